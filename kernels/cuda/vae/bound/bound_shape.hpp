// How the kernel of the importance bound cuts a decoder into instructions, stages and memory: constants of the
// architecture only.
#pragma once

#include "kernels/contract/vae_layout.hpp"
#include "kernels/math/macros.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace elbo::kernels::cuda {

inline constexpr int bound_cluster = 2;       ///< blocks that share the weights they read
inline constexpr int bound_block_pairs = 128; ///< pairs of (row, draw): two warpgroups of 64
inline constexpr int bound_pass_pairs = bound_cluster * bound_block_pairs;
inline constexpr int bound_threads = 384;                   ///< and a warpgroup that fetches weights
inline constexpr int bound_consumers = 256;                 ///< threads with pairs
inline constexpr int bound_group = 16;                      ///< draws of a row that a warp adds up, at most
inline constexpr int bound_unit_groups = 256 / bound_group; ///< groups of a unit of draws
inline constexpr int most_bound_width = 256, most_bound_latents = 128;

/// Hidden layers of up to 16 · Steps units. A wgmma multiplies 64 pairs (A, registers) by 16 inputs of half a hidden
/// layer (B, shared memory), or of as many outputs. A stage has what several steps of the contraction read of one
/// piece, h or l, of the weights; no more than four are needed for the products of half a layer.
template <int Steps>
struct bound_tile {
    static constexpr int steps = Steps;
    static constexpr int columns = 8 * Steps; ///< n of an instruction
    static constexpr int accumulators = columns / 2;
    static constexpr int step_bytes = columns * 32; ///< B of one instruction
    static constexpr int stage_steps = Steps == 13 ? 7 : 8;
    static constexpr int stage_bytes = stage_steps * step_bytes;
    static constexpr int parked_bytes = bound_consumers * accumulators * 4;
    static constexpr int ratio_bytes = 8 * bound_block_pairs;
    static constexpr int barrier_bytes = 128;
    static constexpr int other_bytes = parked_bytes + ratio_bytes + barrier_bytes;
    static constexpr int stages = std::min((227 * 1024 - other_bytes) / stage_bytes, 8);
    static constexpr int shared_bytes = stages * stage_bytes + other_bytes;
    static_assert(stages >= 5 && 16 * stages <= barrier_bytes);
    /// Stages of one piece of `count` steps.
    ELBO_HD static constexpr int parts(int count) { return (count + stage_steps - 1) / stage_steps; }
};

/// The sizes of bound_tile that are compiled.
inline constexpr int bound_steps[] = {8, 13, 16};

/// A decoder. Its weights lie layer by layer, half a hidden layer or `columns` outputs at a time, the l pieces of all
/// steps before the h pieces.
struct bound_plan {
    int steps = 0;       ///< of bound_tile
    int layers = 0;      ///< dense ones, with that of the outputs
    int first_steps = 0; ///< of the contraction over the latents
    int blocks = 0;      ///< of outputs

    int columns() const { return 8 * steps; }
    ELBO_HD int blocks_of(int layer) const { return layer + 1 < layers ? 2 : blocks; }
    ELBO_HD int steps_of(int layer) const { return layer == 0 ? first_steps : steps; }
    std::int64_t step_bytes() const { return 32 * columns(); }
    std::int64_t layer_bytes(int layer) const { return 2 * step_bytes() * blocks_of(layer) * steps_of(layer); }
    /// Of all layers, with padding.
    std::int64_t bytes() const {
        std::int64_t sum = 0;
        for (int i = 0; i < layers; ++i)
            sum += layer_bytes(i);
        return sum;
    }
    std::int64_t all_columns() const { return std::int64_t(columns()) * (2 * (layers - 1) + blocks); }
    /// Of matrix instructions, for each pair: three products of pieces.
    double flops_per_pair() const { return 3.0 * 2 * static_cast<double>(bytes()) / 4; }
};

inline bound_plan plan_bound(const vae_layout& l) {
    std::int64_t widest = 1;
    for (std::size_t i = 0; i + 1 < l.decoder.size(); ++i)
        widest = std::max(widest, l.decoder[i].outputs);
    bound_plan p;
    p.steps = *std::find_if(std::begin(bound_steps), std::end(bound_steps) - 1,
                            [&](int steps) { return widest <= 16 * steps; });
    p.layers = static_cast<int>(l.decoder.size());
    p.first_steps = p.layers == 1 ? p.steps : l.architecture.latent <= 64 ? 4 : 8;
    p.blocks = static_cast<int>((l.architecture.dimensions + p.columns() - 1) / p.columns());
    return p;
}

/// Whether the kernel has a form for a decoder of these sizes.
inline bool has_bound_sizes(const vae_layout& l) {
    return !l.decoder.empty() && l.architecture.latent <= most_bound_latents &&
           std::all_of(l.decoder.begin(), l.decoder.end() - 1,
                       [](const dense_layer& layer) { return layer.outputs <= most_bound_width; });
}

/// How the draws of a row lie among the pairs: `group` of them are added up by a warp, rows begin with a group.
struct bound_slots {
    int group;                                              ///< a power of two
    std::int64_t per_row;                                   ///< pairs, the last of which may be empty
    std::int64_t groups() const { return per_row / group; } ///< of a row
};
/// Of `count` draws out of `all`, which decides the group.
inline bound_slots slots_of(std::int64_t all, std::int64_t count) {
    int group = 1;
    while (group < bound_group && group < all)
        group *= 2;
    return {group, (count + group - 1) / group * group};
}

/// Predicted seconds of the draws of `rows` rows: matrix instructions at `tensor_rate` FLOP/s (800e12 on an H200), of
/// passes that fill `multiprocessors` in whole rounds, and what they wait for one another (measured nowhere yet).
inline double bound_seconds(const bound_plan& p, double rows, std::int64_t draws, double tensor_rate = 800e12,
                            double multiprocessors = 132) {
    const double pairs = rows * static_cast<double>(slots_of(draws, draws).per_row);
    const double clusters = multiprocessors / bound_cluster;
    const double passes = (pairs + bound_pass_pairs - 1) / bound_pass_pairs,
                 rounds = (passes + clusters - 1) / clusters;
    constexpr double idle = 1.1; // tensor cores wait where hidden layers are short, see bound.cuh
    return idle * static_cast<double>(static_cast<std::int64_t>(rounds)) * clusters * bound_pass_pairs *
           p.flops_per_pair() / tensor_rate;
}

} // namespace elbo::kernels::cuda
