// What a training step, an evaluation and the importance bound of an autoencoder should take on one NVIDIA H200, from
// the counts of the kernels and what such a device was measured to do: for comparison with what is measured, on any
// device.
#pragma once

#include "bench/mixture/prediction.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "kernels/cuda/vae/bound/bound_shape.hpp"
#include "kernels/cuda/vae/layer/shapes.hpp"
#include "kernels/cuda/vae/wide/shape.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace elbo::bench {

using vae::training_precision;

/// What one kernel, or several launches of the same form, have to do.
struct kernel_work {
    std::string name;
    double blocks = 1;       ///< that work side by side
    double barriers = 0;     ///< of a block, one after the other: chunks of the depth
    double bytes = 0;        ///< read and written, each number once
    double cache = 0;        ///< read by all blocks together
    double flop = 0;         ///< of matrix instructions, or of the library
    double rate = 0;         ///< of these a second
    double instructions = 0; ///< of lanes, beside the product
    double launches = 1;
    bool library = false; ///< cuBLASLt, which the emulator does not count
};

/// Estimates that no counter shows and a measurement has to replace.
struct vae_estimates {
    double start = 1.5e-6;         ///< seconds from the end of a kernel to the first instruction of the next that count
    double latency = 0.7e-6;       ///< of the first piece of a factor
    double barrier = 0.12e-6;      ///< of a chunk of the depth whose pieces have arrived
    double resident = 30e6;        ///< bytes of a step that stay in L2
    double mma = mma_share;        ///< of the rate of wgmma that mma.sync reaches
    double adam = 45;              ///< instructions of a parameter
    double bernoulli = 30;         ///< of an output with its gradient
    double draw = 60;              ///< of a latent unit
    double activation = 20;        ///< of a hidden unit
    double gather = 12;            ///< of a number of the data
    double one_evaluation = 10e-6; ///< of the host between two chunks of an evaluation
};

inline std::int64_t operand_bytes(training_precision p) {
    return p == training_precision::bfloat16 ? 2 : 4;
}
/// As internal::wide_limits (kernels/cuda/core/cuda_state.hpp).
struct library_limits {
    std::int64_t width = 128, rows = 512;
};
inline bool is_library_layer(const kernels::dense_layer& l, std::int64_t rows) {
    return kernels::cuda::is_wide(library_limits{}, l.inputs, l.outputs, rows);
}
/// FLOP a second of the matrix instructions: tf32 at half the rate. float32 products are three of tf32 (shapes.hpp).
inline double matrix_rate(training_precision p) {
    return vae_estimates{}.mma * device_rates{}.tensor / (p == training_precision::bfloat16 ? 1 : 2);
}

/// Bytes of rows of a matrix, which begin at multiples of 32.
inline double row_bytes(std::int64_t rows, std::int64_t columns, std::int64_t bytes) {
    return 32 * static_cast<double>(rows) * static_cast<double>(kernels::cuda::blocks_for(columns * bytes, 32));
}

/// Products of layers. `columns` and `depth` as the kernel sees them.
inline kernel_work product_work(const std::string& name, const kernels::cuda::tile_size& tile, std::int64_t chunk_bytes,
                                std::int64_t rows, std::int64_t columns, std::int64_t depth, training_precision p) {
    const std::int64_t bytes = operand_bytes(p);
    const kernels::cuda::product_cost cost =
        kernels::cuda::cost_of_product(tile, rows, columns, depth, bytes, p == training_precision::float32);
    kernel_work w;
    w.name = name;
    w.blocks = cost.tiles;
    w.barriers = static_cast<double>(kernels::cuda::blocks_for(depth * bytes, chunk_bytes));
    w.bytes = row_bytes(rows, depth, bytes) + row_bytes(rows, columns, bytes) + row_bytes(depth, columns, bytes);
    w.cache = cost.factor_bytes;
    w.flop = cost.flop;
    w.rate = matrix_rate(p);
    return w;
}

/// Bytes of the depth in a chunk: the smallest tile has eight warps along it.
inline std::int64_t chunk_of(std::size_t tile) {
    return tile == 0 ? 256 : 128;
}
inline kernel_work layer_work(const std::string& name, std::int64_t rows, std::int64_t columns, std::int64_t depth,
                              training_precision p) {
    const std::size_t tile = kernels::cuda::choose_tile(kernels::cuda::layer_tiles, rows, columns);
    return product_work(name, kernels::cuda::layer_tiles[tile], chunk_of(tile), rows, columns, depth, p);
}
inline kernel_work row_work(const std::string& name, double warps, double bytes, double instructions) {
    kernel_work w;
    w.name = name;
    w.blocks = std::ceil(warps / 8);
    w.bytes = bytes;
    w.instructions = instructions;
    return w;
}

/// A product of the library, at the rate of its tiles in whole waves; `parts` of the depth are results of their own.
inline kernel_work library_work(const std::string& name, std::int64_t rows, std::int64_t columns, std::int64_t depth,
                                double result_bytes, training_precision p, double parts = 1) {
    kernel_work w;
    w.name = name;
    w.library = true;
    w.blocks = device_rates{}.multiprocessors;
    w.launches = p == training_precision::float32 ? 3 : 1;
    const double m = static_cast<double>(rows), n = static_cast<double>(columns), k = static_cast<double>(depth);
    w.flop = w.launches * 2 * m * n * k;
    w.bytes = static_cast<double>(operand_bytes(p)) * (m + n) * k + w.launches * result_bytes * m * n;
    const kernels::cuda::wide_rates rates;
    w.rate =
        w.flop / (w.launches * kernels::cuda::product_seconds(m, n, k / parts, parts, 0, rates.operations(p), rates));
    return w;
}
/// What is done to each number before or after it, eight of them a thread.
inline kernel_work strip_work(const std::string& name, std::int64_t rows, std::int64_t columns, double bytes,
                              double instructions) {
    using namespace kernels::cuda;
    const double numbers = static_cast<double>(rows) * static_cast<double>(columns);
    kernel_work w = row_work(name, 0, bytes * numbers, instructions * numbers);
    w.blocks = static_cast<double>(blocks_for(rows, strip_rows) * blocks_for(columns, strip_columns));
    return w;
}

/// float32 numbers in two pieces of float16: the largest of them, then the pieces.
/// `found`: the kernel that made them has found the largest.
inline void add_pieces(std::vector<kernel_work>& all, std::int64_t rows, std::int64_t columns, bool found,
                       training_precision p) {
    if (p != training_precision::float32)
        return;
    all.push_back(strip_work("pieces", rows, columns, found ? 8 : 12, 20));
    all.back().launches = found ? 1 : 2;
}

/// One pass of `rows` rows with `draws` draws each.
struct pass_shape {
    std::int64_t rows, draws;
    training_precision precision;

    std::int64_t pairs() const { return rows * draws; }
};

/// Whether the likelihood of the library's last layer reads bits from the operand of its first.
inline bool bits_as_operand(const kernels::vae_layout& l, const pass_shape& s) {
    return s.precision != training_precision::float32 && is_library_layer(l.encoder.front(), s.rows) &&
           is_library_layer(l.decoder.back(), s.pairs());
}
inline kernel_work gather_work(const kernels::vae_layout& l, const pass_shape& s, const vae_estimates& guess) {
    const double numbers = static_cast<double>(s.rows * l.architecture.dimensions);
    // Bits in; the operand, and float32 for the likelihood.
    const double bytes = 0.125 + static_cast<double>(operand_bytes(s.precision)) + (bits_as_operand(l, s) ? 0 : 4);
    return row_work("gather", static_cast<double>(s.rows), numbers * bytes, guess.gather * numbers);
}
inline kernel_work draw_work(const kernels::vae_layout& l, const pass_shape& s, const vae_estimates& guess) {
    const std::int64_t units = l.architecture.latent;
    // Heads, ln σ², z twice, two terms of a row.
    const double bytes = row_bytes(s.rows, 2 * units, 4) + row_bytes(s.rows, units, 4) +
                         row_bytes(s.pairs(), units, 4) + row_bytes(s.pairs(), units, operand_bytes(s.precision)) +
                         16 * static_cast<double>(s.pairs());
    return row_work("draw", static_cast<double>(s.pairs()), bytes, guess.draw * static_cast<double>(s.pairs() * units));
}
inline kernel_work output_work(const kernels::vae_layout& l, const pass_shape& s, bool training,
                               const vae_estimates& guess) {
    using namespace kernels::cuda;
    const kernels::dense_layer& last = l.decoder.back();
    const std::size_t tile = choose_tile(output_tiles, s.pairs(), last.outputs);
    kernel_work w =
        product_work("output", output_tiles[tile], chunk_of(1), s.pairs(), last.outputs, last.inputs, s.precision);
    const double numbers = static_cast<double>(s.pairs() * last.outputs);
    // The rows of data, two terms of each tile; outputs are not kept, but their gradient in training.
    const double terms = 16 * static_cast<double>(s.pairs() * blocks_for(last.outputs, output_tiles[tile].columns));
    w.bytes += row_bytes(s.rows, last.outputs, 4) + terms -
               (training ? 0 : row_bytes(s.pairs(), last.outputs, operand_bytes(s.precision)));
    w.instructions = guess.bernoulli * numbers;
    return w;
}

/// What a layer of the library reads, where no other has written it as an operand.
inline void add_operand(std::vector<kernel_work>& all, std::int64_t rows, std::int64_t columns, training_precision p) {
    if (p != training_precision::float32)
        all.push_back(strip_work("operand", rows, columns, 4 + static_cast<double>(operand_bytes(p)), 4));
}

/// A layer of a forward pass or of gradients of data, with what is done to each number of the result. `beside`: the
/// layer whose result it takes is one of the library, or there is none.
inline void add_layer(std::vector<kernel_work>& all, const std::string& name, const kernels::dense_layer& l,
                      std::int64_t rows, bool back, bool beside, training_precision p, const vae_estimates& guess) {
    const std::int64_t columns = back ? l.inputs : l.outputs, depth = back ? l.outputs : l.inputs;
    const double numbers = static_cast<double>(rows) * static_cast<double>(columns);
    if (!is_library_layer(l, rows)) {
        all.push_back(layer_work(name, rows, columns, depth, p));
        all.back().instructions = guess.activation * numbers;
        if (back) // what the slope comes from
            all.back().bytes += row_bytes(rows, columns, operand_bytes(p));
        return;
    }
    if (!beside)
        add_operand(all, rows, depth, p);
    const double size = static_cast<double>(operand_bytes(p));
    add_pieces(all, rows, depth, beside, p);
    if (!back)
        add_pieces(all, l.inputs, l.outputs, false, p);
    all.push_back(library_work(name, rows, columns, depth, size, p));
    all.push_back(
        strip_work(name + (back ? " slope" : " activation"), rows, columns, (back ? 3 : 2) * size, guess.activation));
}

inline std::vector<kernel_work> encoder_kernels(const kernels::vae_layout& l, const pass_shape& s,
                                                const vae_estimates& guess = {}) {
    std::vector<kernel_work> all{gather_work(l, s, guess)};
    for (std::size_t i = 0; i < l.encoder.size(); ++i)
        add_layer(all, "encoder", l.encoder[i], s.rows, false, i == 0 || is_library_layer(l.encoder[i - 1], s.rows),
                  s.precision, guess);
    return all;
}

/// Draws and the decoder with the likelihood.
inline void add_decoder(std::vector<kernel_work>& all, const kernels::vae_layout& l, const pass_shape& s, bool training,
                        const vae_estimates& guess = {}) {
    all.push_back(draw_work(l, s, guess));
    const auto after_library = [&](std::size_t i) { return i > 0 && is_library_layer(l.decoder[i - 1], s.pairs()); };
    for (std::size_t i = 0; i + 1 < l.decoder.size(); ++i)
        add_layer(all, "decoder", l.decoder[i], s.pairs(), false, after_library(i), s.precision, guess);
    const kernels::dense_layer& last = l.decoder.back();
    if (!training || !is_library_layer(last, s.pairs())) {
        all.push_back(output_work(l, s, training, guess));
        return;
    }
    if (!after_library(l.decoder.size() - 1))
        add_operand(all, s.pairs(), last.inputs, s.precision);
    add_pieces(all, s.pairs(), last.inputs, after_library(l.decoder.size() - 1), s.precision);
    add_pieces(all, last.inputs, last.outputs, false, s.precision);
    all.push_back(library_work("output", s.pairs(), last.outputs, last.inputs, 4, s.precision));
    const double size = static_cast<double>(operand_bytes(s.precision));
    all.push_back(strip_work("likelihood", s.pairs(), last.outputs, 4 + (bits_as_operand(l, s) ? size : 4) + size,
                             guess.bernoulli));
}

template <class Use>
void for_each_layer(const kernels::vae_layout& l, const pass_shape& s, const Use& use) {
    for (const kernels::dense_layer& layer : l.encoder)
        use(layer, s.rows);
    for (const kernels::dense_layer& layer : l.decoder)
        use(layer, s.pairs());
}

/// Gradients of all weights in one launch, with those of biases as a row of ones, but of the layers of the library.
inline kernel_work weight_work(const kernels::vae_layout& l, const pass_shape& s) {
    using namespace kernels::cuda;
    const std::size_t chosen = choose_weight_tile(s.pairs());
    kernel_work sum;
    sum.name = "weights";
    sum.blocks = 0;
    const auto add = [&](const kernels::dense_layer& layer, std::int64_t rows) {
        const std::int64_t shard = blocks_for(rows, gradient_shards);
        const kernel_work one = product_work("", weight_tiles[chosen], chosen == 0 ? 32 : chunk_of(3), layer.inputs + 1,
                                             layer.outputs, shard, s.precision);
        sum.blocks += one.blocks * (chosen == 0 ? 1 : gradient_shards);
        sum.barriers = std::max(sum.barriers, one.barriers);
        sum.flop += gradient_shards * one.flop;
        sum.rate = one.rate;
        sum.cache += gradient_shards * one.cache;
        const double factors = static_cast<double>(operand_bytes(s.precision) * rows * (layer.inputs + layer.outputs));
        sum.bytes += factors + 4.0 * static_cast<double>((chosen == 0 ? 1 : gradient_shards) * (layer.inputs + 1) *
                                                         layer.outputs);
    };
    for_each_layer(l, s, [&](const kernels::dense_layer& layer, std::int64_t rows) {
        if (!is_library_layer(layer, rows))
            add(layer, rows);
    });
    return sum;
}

/// One step: forward, gradients of data and of weights, Adam.
inline std::vector<kernel_work> step_kernels(const kernels::vae_layout& l, const pass_shape& s,
                                             const vae_estimates& guess = {}) {
    std::vector<kernel_work> all = encoder_kernels(l, s, guess);
    add_decoder(all, l, s, true, guess);
    for (std::size_t i = l.decoder.size(); i-- > 0;)
        add_layer(all, "decoder back", l.decoder[i], s.pairs(), true,
                  i + 1 == l.decoder.size() || is_library_layer(l.decoder[i + 1], s.pairs()), s.precision, guess);
    bool library = false;
    for_each_layer(
        l, s, [&](const kernels::dense_layer& layer, std::int64_t rows) { library |= is_library_layer(layer, rows); });
    if (s.draws > 1 || is_library_layer(l.decoder.front(), s.pairs()))
        all.push_back(draw_work(l, s, guess)); // gradients of the heads, summed over the draws
    for (std::size_t i = l.encoder.size(); i-- > 1;)
        add_layer(all, "encoder back", l.encoder[i], s.rows, true,
                  i + 1 < l.encoder.size() && is_library_layer(l.encoder[i + 1], s.rows), s.precision, guess);
    const bool single = l.encoder.size() == 1;
    if (is_library_layer(l.encoder[0], s.rows) && (single || !is_library_layer(l.encoder[1], s.rows)))
        add_operand(all, s.rows, l.encoder[0].outputs, s.precision);
    all.push_back(weight_work(l, s));
    const bool sharded = kernels::cuda::choose_weight_tile(s.pairs()) > 0;
    const double parts = sharded ? kernels::cuda::gradient_shards : 1;
    for_each_layer(l, s, [&](const kernels::dense_layer& layer, std::int64_t rows) {
        if (is_library_layer(layer, rows))
            all.push_back(library_work("weights of the library", layer.inputs, layer.outputs, rows, 4 * parts,
                                       s.precision, parts));
    });
    if (library)
        all.push_back(row_work("biases", 1, 0, 0));
    const double parameters = static_cast<double>(l.parameters);
    if (sharded || library)
        all.push_back(
            row_work("shards", parameters / 128, 4 * parameters * (parts + (sharded ? 1 : 0)), 2 * parts * parameters));
    const double bytes = s.precision == training_precision::bfloat16 ? 30 : 28;
    all.push_back(row_work("adam", parameters / 128, bytes * parameters, guess.adam * parameters));
    return all;
}

/// Seconds of one kernel after another: by the slowest of bytes, reads of L2, matrix instructions and instructions of
/// the whole device, and by what the multiprocessors that have a block can do, after the start and the chain of the
/// depth. What all kernels touch together decides whether it stays in L2.
inline prediction predict_kernels(const std::vector<kernel_work>& all, const device_rates& device = {},
                                  const vae_estimates& guess = {}) {
    double touched = 0;
    for (const kernel_work& w : all)
        touched += w.bytes;
    const double memory = touched < guess.resident ? device.cache : device.copy;
    prediction sum{0, 0};
    for (const kernel_work& w : all) {
        const double matrix = w.flop > 0 ? w.flop / w.rate : 0;
        const double work =
            std::max({w.bytes / memory, w.cache / device.cache, matrix, w.instructions / device.instructions});
        sum.low += w.launches * device.node + work;
        const double rounds = std::ceil(w.blocks / device.multiprocessors) * device.multiprocessors / w.blocks;
        const double serial = std::max(w.cache / device.cache, matrix + w.instructions / device.instructions) * rounds;
        sum.high += w.launches * (guess.start + (w.barriers > 0 ? guess.latency : 0) + w.barriers * guess.barrier) +
                    std::max(w.bytes / memory, serial);
    }
    return sum;
}

inline prediction predict_step(const kernels::vae_layout& l, const pass_shape& s, const device_rates& device = {}) {
    return predict_kernels(step_kernels(l, s), device);
}

/// Draws of a chunk of rows through the decoder: in one kernel, between KL terms and the sum of its groups, or in tiles
/// of so many pairs.
inline prediction predict_draws(const kernels::vae_layout& l, std::int64_t rows, std::int64_t draws,
                                const device_rates& device, const vae_estimates& guess) {
    constexpr auto precision = training_precision::float32;
    constexpr std::int64_t pairs = 4096; // evaluation_pairs of the engine
    const double all = static_cast<double>(rows) * static_cast<double>(draws);
    if (kernels::cuda::has_bound_sizes(l)) {
        const kernels::cuda::bound_plan plan = kernels::cuda::plan_bound(l);
        const double work =
            kernels::cuda::bound_seconds(plan, static_cast<double>(rows), draws, device.tensor, device.multiprocessors);
        return {3 * device.node + all * plan.flops_per_pair() / device.tensor, 3 * guess.start + work};
    }
    const std::int64_t tile = std::min(draws, std::max<std::int64_t>(1, pairs / rows));
    std::vector<kernel_work> decoder;
    add_decoder(decoder, l, {rows, tile, precision}, false, guess);
    decoder.push_back(
        row_work("draws", static_cast<double>(rows), 24 * static_cast<double>(rows) * static_cast<double>(tile), 0));
    const prediction one = predict_kernels(decoder, device, guess);
    const double tiles = static_cast<double>(kernels::cuda::blocks_for(draws, tile));
    return {tiles * one.low, tiles * one.high};
}

/// Bounds of rows with `draws` draws, in chunks of rows that the host waits for.
inline prediction predict_evaluation(const kernels::vae_layout& l, std::int64_t rows, std::int64_t draws,
                                     const device_rates& device = {}) {
    const vae_estimates guess;
    // evaluation_rows of the engine
    const std::int64_t chunk =
        std::min(rows, std::clamp<std::int64_t>((1 << 22) / l.architecture.dimensions, 1024, 4096));
    const prediction encoder =
        predict_kernels(encoder_kernels(l, {chunk, 1, training_precision::float32}, guess), device, guess);
    const prediction decoder = predict_draws(l, chunk, draws, device, guess);
    const double chunks = static_cast<double>(kernels::cuda::blocks_for(rows, chunk));
    return {chunks * (encoder.low + decoder.low), chunks * (encoder.high + decoder.high + guess.one_evaluation)};
}

} // namespace elbo::bench
