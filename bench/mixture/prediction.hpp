// What an iteration should take on one NVIDIA H200, from the counts of the kernels (docs/kernels.md section 6) and
// what such a device was measured to do: for comparison with what is measured, on any device.
#pragma once

#include "kernels/contract/gmm_layout.hpp"
#include "kernels/cuda/gmm/products/layout.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

namespace elbo::bench {

using gmm::family;
using kernels::gmm_shape;

/// PTX instructions of the longest warp of an iteration of 272 x 2 x 2, all of it in one block (docs/kernels.md,
/// "Loop").
inline constexpr double lone_instructions = 2300;

/// Of one H200, medians.
struct device_rates {
    double copy = 4.27e12;         ///< bytes of device memory a second
    double instructions = 33.5e12; ///< of a lane, at the clock of such kernels
    double cache = 5.5e12;         ///< bytes of L2 a second
    double tensor = 800e12;        ///< multiplications and additions of fp16 a second
    double atomics = 2e11;         ///< 64-bit additions in L2 a second
    double fp64 = 16.7e12;         ///< multiply-adds of float64 a second
    double multiprocessors = 132;
    double node = 0.52e-6; ///< seconds of an empty kernel in a graph
    /// Of the longest warp of an iteration of few rows, an estimate: 3.2 ns an instruction that waits for the one
    /// before, 0.5 µs for device memory and the turns of the loop.
    double chain = lone_instructions * 3.2e-9 + 0.5e-6;
};

/// Machine instructions of a pair of row and component in the register variant: where the means lie near the origin, so
/// that moments are about it and the features of a row serve all components, and where they do not.
struct register_counts {
    double common, own;
};
inline register_counts register_instructions(const gmm_shape& s) {
    using namespace kernels::cuda;
    const double d = static_cast<double>(s.dimensions);
    const double statistics = static_cast<double>(kernels::statistics_size(s.family, s.dimensions));
    const double factors = s.family == family::full ? d * (d + 1) / 2 : s.family == family::diagonal ? d : 1;
    const double room = register_room(s.components), lanes = register_lanes(s);
    // Uᵀx + b and squares, exp, two sums of it, statistics; about its own mean differences twice, scale, products.
    const double pair = (s.family == family::full ? factors : d) + d + 3 + statistics, about_mean = 3 * d + 1;
    // Parameters, four at a time, for all rows of a batch.
    const double reads = std::ceil((d + factors + 1) / 4) / register_batch, means = std::ceil(d / 4) / register_batch;
    // Loads, logarithm, reciprocal, scalars and loop of a row, in each thread that shares it; its features.
    const double row = 20 * lanes / room, features = statistics * lanes / room;
    // At the end of a chunk: a selection, two of them, exchange and addition a number; then sums of the block.
    const double flush = (4.5 * statistics + 250 * lanes / room) / register_rows;
    const double filled = room / static_cast<double>(s.components);
    return {filled * (pair + reads + row + features + flush),
            filled * (pair + about_mean + reads + means + row + flush)};
}

/// The same in the fused variant, where all components have a share in a row; `dots`: in the dot form, which runs
/// where the means lie near the origin.
inline double fused_instructions(const gmm_shape& s, bool dots = false) {
    const double p = static_cast<double>(kernels::cuda::padded(s.dimensions)), rule = 20;
    const double blocks = static_cast<double>(kernels::cuda::blocks_for(s.dimensions, 8));
    dots = dots && kernels::cuda::suits_dot_form(s);
    const double centres = (dots ? 2 : 4) * p; // of both products
    switch (s.family) {
    case family::full:
        return p * (p + 4) / 2 + p + 72 * blocks + 88 * blocks * (blocks - 1) / 2 + rule;
    case family::diagonal:
        return (dots ? 4 : 6) * p + rule;
    case family::tied:
        return centres + rule + p * p / 2 / static_cast<double>(kernels::cuda::shape_fused(s, 4).span);
    case family::tied_diagonal:
        return (dots ? 3 : 4) * p + rule;
    default:
        return centres + rule;
    }
}

/// Components of all warps in the variant by mma.sync.
inline double mma_filled(const gmm_shape& s) {
    const kernels::cuda::mma_shape shape = kernels::cuda::shape_mma(s);
    return shape.ranks * shape.span;
}
/// Machine instructions of a pair in it, where all components have a share in a row: 75 for
/// log-densities, 134 for moments and 25 for their sums over a tile, 10 for powers of two and weights; 15 for the row
/// rule, in a cluster 23. Components are filled up to fours, and a row takes 1000 in each rank to be loaded and cut
/// into pieces, and for its scalars.
inline double mma_instructions(const gmm_shape& s) {
    const kernels::cuda::mma_shape shape = kernels::cuda::shape_mma(s);
    return (244 * mma_filled(s) + 1000 * shape.ranks) / static_cast<double>(s.components) + (shape.ranks > 1 ? 23 : 15);
}
/// Operations of its matrix instructions: three products of pieces in the triangle of 16 x 16, of which 8 x 8 take two
/// thirds; two products of moments.
inline constexpr double mma_density_flop = 4.5 * 2 * 8 * 16, mma_moment_flop = 2 * 2 * 16 * 16;
/// Share of the rate of the tensor cores that mma.sync reaches.
inline constexpr double mma_share = 0.62;
/// Issue slots for an instruction of it: 16 warps, which wait for matrix instructions and at a barrier, an estimate.
inline constexpr double mma_slots = 1.4;

/// Operations of the matrix instructions of a pair in the tensor variant: log-densities, moments.
struct tensor_flop {
    double densities, moments;
};
inline tensor_flop tensor_work(const gmm_shape& s) {
    if (kernels::cuda::is_wide(s.dimensions)) {
        const double work = kernels::cuda::wide_shape(s.dimensions).flop();
        return {work, work};
    }
    const double blocks = kernels::cuda::tensor_dimensions(s.dimensions) / 16;
    const double m = kernels::cuda::moment_dimensions(s.dimensions);
    // Three products of pieces; two, of 64 columns at least and 64 or 128 rows, where d <= 32 of two components.
    const double moments = 2 * 2 * (m <= 64 ? m * 64 : 128 * m);
    return {3 * 2 * 16 * 16 * blocks * (blocks + 1) / 2, moments};
}

/// What the products of the cheap families take a pair: operations of the matrix instructions, log-densities and sums
/// alike; bytes from L2 and to or from memory, of each of the two.
struct product_work {
    double flop, cache, memory;
};
inline product_work work_of_products(const gmm_shape& s) {
    using namespace kernels::cuda;
    const product_plan plan = plan_products(s);
    const double terms = static_cast<double>(plan.stages * product_terms);
    // Three products of pieces; operands of 4 bytes a term that 128 lines share, in clusters 256; the log-density.
    return {6 * terms, 4 + 4 * terms / (plan.blocks > 1 ? 256 : 128), 4};
}
/// Bytes of a row beside: it is read, its operands written, and read by both, which for tied components have their own.
inline double row_bytes_of_products(const gmm_shape& s) {
    const double terms = static_cast<double>(kernels::cuda::plan_products(s).stages * kernels::cuda::product_terms);
    return 4 * (static_cast<double>(s.dimensions) + (s.family == family::tied ? 4 : 3) * terms);
}
/// Instructions of a row beside: Uᵀx, 16 multiply-adds for five reads.
inline double row_instructions_of_products(const gmm_shape& s) {
    const double p = static_cast<double>(kernels::cuda::padded(s.dimensions));
    return s.family == family::tied ? 21.0 / 16 * p * p / 2 : 0;
}

/// PTX has more instructions than arithmetic needs, machine code fewer than PTX: counted at most so many times as many
/// as the functions above say.
inline constexpr double most_instructions = 2.2;
/// Of a pair in the fused variant. In the dot form, row rule and flush weigh as much as in the direct one, and PTX
/// moves more registers.
inline double most_fused_instructions(const gmm_shape& s, bool dots = false) {
    return most_instructions * fused_instructions(s, dots) + (dots && kernels::cuda::suits_dot_form(s) ? 95 : 0);
}
/// Issue slots of the register variant for an instruction of it: 16 warps of four rows each hide most latencies, an
/// estimate. With two rows, a 16-byte read a pair and three times the work at the end of a chunk it was 2.2, measured.
inline constexpr double register_slots = 1.25;
/// What the matrix instructions of the tensor variant may wait for: loads from L2, row rule, promotions.
inline constexpr double tensor_waits = 1.35;

/// PTX instructions of a pair in inference by tiles, as counted: distances, with loads for two rows at a time; the
/// largest of a row; what all results but the assignment need beside; a share of reading the row.
inline double tile_instructions(const gmm_shape& s, bool assigns) {
    const double n = static_cast<double>(kernels::cuda::quads(s.dimensions));
    const double distance = s.family == family::full ? 24 * n * (n + 1) / 2 + 6 * n : 16 * n;
    const double whitening = s.family == family::tied ? 20 * n * (n + 1) / 2 : 0; // of a row
    const double of_row = (assigns ? 500 : 1000) + whitening;
    return distance + (assigns ? 45 : 90) + of_row / static_cast<double>(s.components);
}

/// PTX instructions of a number of the rows for its summary and its normalised value, where d is small, as counted.
inline constexpr double load_instructions = 90;

/// Seconds: by arithmetic alone, and with what is around it.
struct prediction {
    double low, high;
};
/// Loading rows that lie on the device: a pass for the summaries of their columns, one to normalise them.
inline prediction predict_load(const gmm_shape& s, std::int64_t rows, std::int64_t element_bytes,
                               const device_rates& device = {}) {
    const double n = static_cast<double>(rows);
    const double stride = static_cast<double>(kernels::cuda::row_stride(s, element_bytes));
    const double numbers = n * static_cast<double>(s.dimensions), size = static_cast<double>(element_bytes);
    const double bytes = size * (2 * numbers + n * stride) / device.copy;
    return {bytes, std::max(bytes / 0.6, numbers * load_instructions / device.instructions)};
}

/// Seconds of a pair of row and component of more than 128 dimensions in the tensor variant: matrix instructions alone,
/// and what bounds each of log-densities, pieces and moments.
inline prediction wide_pair(const gmm_shape& s, const device_rates& device) {
    const kernels::cuda::wide_shape wide(s.dimensions);
    const double work = wide.flop() / device.tensor;
    const double pieces = 4 * static_cast<double>(wide.panels * kernels::cuda::wide_block) / device.copy;
    return {2 * work, std::max(work, wide.density_bytes() / device.cache) +
                          std::max(work, wide.moment_bytes() / device.cache) + pieces};
}
/// The update of one full covariance: factor and inverse, d³/6 each, and as much again around them; statistics in three
/// limbs, the unrounded factor out and in, the rounded one and the one before it (docs/kernels.md section 7).
struct update_counts {
    double multiply_adds, bytes;
};
inline update_counts update_work(const gmm_shape& s) {
    const double d = static_cast<double>(s.dimensions);
    const double statistics = static_cast<double>(kernels::statistics_size(s.family, s.dimensions));
    const double matrices = s.dimensions <= kernels::cuda::factor_in_shared ? 24 : 32;
    return {2 * d * d * d / 3, 24 * statistics + matrices * d * d + 64 * d};
}
/// Share of the float64 rate of its multiprocessor that a block reaches with a factor.
inline constexpr double factor_share = 0.2;
/// Seconds of a panel of 32 columns in which the other blocks of a cluster wait for the first one, an estimate.
inline constexpr double panel_wait = 30e-6;
/// The update: own full covariances by a block or a cluster a matrix; the common one of the tied family by one block,
/// beside sums over the components by all; next to nothing in the other families.
inline prediction predict_update(const gmm_shape& s, const device_rates& device = {}) {
    if (!geometry(s.family).matrix())
        return {0, 0};
    const bool tied = gmm::is_tied(s.family);
    const double count = tied ? 1 : static_cast<double>(s.components);
    const double turns = std::ceil(count / device.multiprocessors);
    const update_counts work = update_work(s);
    const double blocks = static_cast<double>(
        kernels::cuda::factor_blocks(s, static_cast<std::int64_t>(device.multiprocessors), kernels::cuda::most_ranks));
    const double d = static_cast<double>(s.dimensions);
    const double between = tied ? static_cast<double>(s.components) * d * d / 2 / device.fp64 : 0;
    const double arithmetic = between + turns * work.multiply_adds / (blocks * device.fp64 / device.multiprocessors);
    const double waits = blocks > 1 ? panel_wait * d / kernels::cuda::factor_panel : 0;
    return {arithmetic, arithmetic / factor_share + waits + count * work.bytes / device.copy};
}

/// Issue slots for a multiply-add of the slab variant, which waits for loads: full covariances, log-densities and
/// statistics, and the other families. Measured on an H200 before there were other variants, to within a factor 1.4;
/// twice as many in float64.
struct slab_slots {
    double densities = 4.5, statistics = 20, diagonal = 32;
};
inline double slab_seconds(const gmm_shape& s, double pairs, std::int64_t element_bytes, const device_rates& device) {
    constexpr slab_slots slots;
    const double d = static_cast<double>(s.dimensions), triangle = d * (d + 1) / 2;
    const double sums = gmm::is_tied(s.family) || s.family == family::spherical ? d : 2 * d;
    const double pair = s.family == family::full ? slots.densities * (triangle + d) + slots.statistics * (triangle + d)
                                                 : slots.diagonal * (2 * d + sums);
    return pairs * pair * static_cast<double>(element_bytes) / 4 / device.instructions;
}

/// How often a statistic is added to the sums: chunks, or clusters of units.
inline double partial_sums(const gmm_shape& s, std::int64_t rows, std::int64_t element_bytes) {
    using namespace kernels::cuda;
    if (choose_variant(s, element_bytes, false, {.tensor = true}) != e_step_variant::tensor)
        return static_cast<double>(blocks_for(rows, chunk_rows(s, element_bytes, false, {.tensor = true})));
    const std::int64_t units = plan_tensor(s).units;
    const std::int64_t ranks =
        is_wide(s.dimensions) ? wide_ranks(units, wide_pairs(s.dimensions, units * s.components)) : moment_ranks(units);
    return static_cast<double>(blocks_for(rows, tensor_slab_rows(s)) * blocks_for(units, ranks));
}

/// The E-step with its sums, the update and the nodes of the loop. `dots`: the means lie so near the origin that the
/// dot form runs, or the products.
inline prediction predict_iteration(const gmm_shape& s, std::int64_t rows, std::int64_t element_bytes, bool dots,
                                    const device_rates& device = {}) {
    using namespace kernels::cuda;
    const double n = static_cast<double>(rows), pairs = n * static_cast<double>(s.components);
    const double bytes = n * static_cast<double>(s.dimensions * element_bytes) / device.copy;
    const double limbs = 3 * partial_sums(s, rows, element_bytes) * static_cast<double>(kernels::sum_count(s));
    const auto between = [&](double low, double high, double nodes) {
        const double rest = nodes * device.node;
        const prediction update = predict_update(s, device);
        return prediction{std::max(bytes, low) + update.low + rest,
                          std::max(bytes, high) + limbs / device.atomics + update.high + rest + device.chain};
    };
    const auto around = [&](double arithmetic, double waits, double nodes) {
        return between(arithmetic, arithmetic * waits, nodes);
    };
    const e_step_variant variant = choose_variant(s, element_bytes, false, {.tensor = true});
    if (dots && variant == e_step_variant::fused && suits_products(s, element_bytes)) {
        const product_work work = work_of_products(s);
        const double bound =
            std::max({work.flop / device.tensor, work.cache / device.cache, work.memory / device.copy});
        const double slabs = static_cast<double>(blocks_for(rows, plan_products(s).units * kernels::unit_rows));
        const double units = static_cast<double>(blocks_for(rows, kernels::unit_rows));
        const prediction update = predict_update(s, device);
        const double beside =
            n * row_bytes_of_products(s) / device.copy + n * row_instructions_of_products(s) / device.instructions +
            3 * units * static_cast<double>(kernels::sum_count(s)) / device.atomics + (4 * slabs + 3) * device.node;
        return {2 * pairs * bound + update.low + (4 * slabs + 3) * device.node,
                2 * pairs * bound * tensor_waits + beside + update.high + device.chain};
    }
    switch (variant) {
    case e_step_variant::registers: {
        const register_counts count = register_instructions(s);
        const double rate = device.instructions;
        return between(pairs * count.common / rate, pairs * count.own * register_slots / rate, 2);
    }
    case e_step_variant::fused:
        return around(pairs * fused_instructions(s, dots) * static_cast<double>(element_bytes) / 4 /
                          device.instructions, // float64 at half the rate
                      most_fused_instructions(s, dots) / fused_instructions(s, dots), 2);
    case e_step_variant::mma: {
        const double instructions = pairs * mma_instructions(s) / device.instructions;
        const double work = pairs * (mma_density_flop + mma_moment_flop) / (mma_share * device.tensor);
        return around(std::max(instructions, work), mma_slots, 2);
    }
    case e_step_variant::tensor: {
        const tensor_flop work = tensor_work(s);
        const double slabs = static_cast<double>(blocks_for(rows, tensor_slab_rows(s)));
        if (is_wide(s.dimensions)) {
            const prediction pair = wide_pair(s, device);
            const std::int64_t slab_pairs = plan_tensor(s).units * s.components;
            const std::int64_t groups = blocks_for(slab_pairs, wide_pairs(s.dimensions, slab_pairs));
            return around(pairs * pair.low, pair.high / pair.low, slabs * static_cast<double>(4 + 2 * groups) + 3);
        }
        return around(pairs * (work.densities + work.moments) / device.tensor, tensor_waits, 3 * slabs + 2);
    }
    default: {
        const double time = slab_seconds(s, pairs, element_bytes, device);
        const double slabs = static_cast<double>(blocks_for(rows, slab_units(s, element_bytes) * kernels::unit_rows));
        return between(time / 1.4, time * 1.4, 3 * slabs + 2);
    }
    }
}

/// Share of the panels that a tile of rows visits in the tensor variant where each row is active in one component:
/// sorted by home, a tile has rows of consecutive components.
inline double separated_share(const gmm_shape& s, std::int64_t rows) {
    using namespace kernels::cuda;
    const double slab = static_cast<double>(std::min(rows, tensor_slab_rows(s)));
    const double homes = 1 + screen_rows * static_cast<double>(s.components) / slab;
    const double panels = 1 + homes / static_cast<double>(panel_components(s));
    return std::min(1.0, panels / static_cast<double>(plan_tensor(s).panels));
}

/// An iteration of the tensor variant whose clusters lie apart, from homes that are known: log-densities of some
/// panels, log-densities far away out, in for the row rule and in for the moments; the screen has 5 clocks of loads for
/// 4 multiply-adds; separations and norms; four kernels a slab, which last some µs each; three limbs of the sums.
inline prediction predict_separated(const gmm_shape& s, std::int64_t rows, const device_rates& device = {}) {
    using namespace kernels::cuda;
    const double n = static_cast<double>(rows), k = static_cast<double>(s.components), pairs = n * k;
    const double d = static_cast<double>(s.dimensions), multiply_adds = n * d * (d + 4) / 2;
    const double tensor = pairs * tensor_work(s).densities * separated_share(s, rows) / device.tensor;
    const double bytes = 12 * pairs / device.cache;
    const double parameters = (k * k * d * d / 2 + 5 * k * d * d * d) / device.instructions;
    const double limbs = 3 * partial_sums(s, rows, 4) * static_cast<double>(kernels::sum_count(s)) / device.atomics;
    const double kernels_of_slabs = 4 * static_cast<double>(blocks_for(rows, tensor_slab_rows(s)));
    const prediction update = predict_update(s, device);
    return {tensor + bytes + multiply_adds / device.instructions + parameters + update.low +
                kernels_of_slabs * device.node,
            tensor_waits * tensor + 1.5 * bytes + limbs + 5 * multiply_adds / device.instructions + 4 * parameters +
                update.high + kernels_of_slabs * 4e-6 + device.chain};
}

/// An iteration where means have standard normal coordinates times spread: where clusters lie so far apart that few
/// pairs count, as many as the screens of the variant leave.
inline prediction predict_spread(const gmm_shape& s, std::int64_t rows, std::int64_t element_bytes, double spread,
                                 bool dots, const device_rates& device = {}) {
    using namespace kernels::cuda;
    constexpr double apart = 8; // at 5 half of the pairs are left out
    const bool screened = choose_variant(s, element_bytes, false, {.tensor = true}) == e_step_variant::tensor &&
                          suits_screen(s) && pays_screen(s, rows);
    return spread >= apart && screened ? predict_separated(s, rows, device)
                                       : predict_iteration(s, rows, element_bytes, dots, device);
}

/// Inference by tiles; none for shapes that have no tile.
inline std::optional<prediction> predict_tiles(const gmm_shape& s, std::int64_t rows, std::int64_t element_bytes,
                                               double result_bytes, const device_rates& device) {
    if (kernels::cuda::shape_inference(s, element_bytes).tile_rows == 0)
        return std::nullopt;
    const double n = static_cast<double>(rows);
    const double bytes = n * (static_cast<double>(s.dimensions * element_bytes) + result_bytes) / device.copy;
    const double instructions = n * static_cast<double>(s.components) * tile_instructions(s, result_bytes <= 4);
    const double work = instructions / device.instructions;
    return prediction{std::max(bytes, work / 2), std::max(bytes, work) + device.chain}; // machine code has fewer
}

/// Inference into device memory, `result_bytes` a row. None for shapes that run over a slab.
inline std::optional<prediction> predict_inference(const gmm_shape& s, std::int64_t rows, std::int64_t element_bytes,
                                                   double result_bytes, const device_rates& device = {}) {
    using namespace kernels::cuda;
    if (!suits_tensor(s, element_bytes))
        return predict_tiles(s, rows, element_bytes, result_bytes, device);
    const double n = static_cast<double>(rows), pairs = n * static_cast<double>(s.components);
    const bool wide = is_wide(s.dimensions);
    const double work = pairs * tensor_work(s).densities / device.tensor;
    const double bound =
        wide ? std::max(work, pairs * wide_shape(s.dimensions).density_bytes() / device.cache) : work * tensor_waits;
    // Rows, their pieces out and in again, results; the log-densities out and in twice.
    const double pieces = wide ? 8 * static_cast<double>(wide_shape(s.dimensions).halves * wide_half) : 0;
    const double bytes = n * (4 * static_cast<double>(s.dimensions) + pieces + result_bytes) / device.copy;
    const double rule = 12 * pairs / device.cache;
    const double nodes = (wide ? 3.0 : 2.0) * static_cast<double>(blocks_for(rows, tensor_slab_rows(s))) + 2;
    return prediction{std::max(work, bytes) + nodes * device.node,
                      bound + bytes + rule + nodes * device.node + device.chain};
}

} // namespace elbo::bench
