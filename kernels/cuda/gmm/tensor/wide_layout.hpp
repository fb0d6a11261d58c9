// How the tensor engine cuts more than 128 dimensions, where a row does not fit registers: blocks of 128 x 128 sums
// over stages of 64 terms, both operands from shared memory. Constants of (d, K) only.
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "kernels/math/macros.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cuda {

constexpr bool is_wide(std::int64_t d) {
    return d > 128;
}

inline constexpr int wide_block = 128;   ///< rows or columns of an operand
inline constexpr int wide_half = 64;     ///< those of one instruction, and terms of a stage
inline constexpr int wide_steps = 4;     ///< of 16 terms, of a stage
inline constexpr int wide_threads = 384; ///< two warpgroups of 64 rows, and one that copies
inline constexpr int wide_cluster = 2;   ///< blocks of log-densities that share the factors they read
inline constexpr int piece_bytes = 4096; ///< [128 x 16] fp16 in core matrices (8 x 16 bytes), h or l
inline constexpr int operand_bytes = wide_steps * 2 * piece_bytes; ///< of a stage: [step][h, l]
inline constexpr int wide_width = 2; ///< operands B that share an A: components, or panels of dimensions
inline constexpr int wide_slots = 7; ///< operands in shared memory
inline constexpr int wide_shared_bytes = wide_slots * (operand_bytes + 16);
static_assert(wide_width * wide_block * wide_block * 4 <= wide_slots * operand_bytes,
              "sums take the place of operands");

/// Operands of the factor of a component: panel q of 128 columns has the terms up to its diagonal.
struct wide_shape {
    std::int64_t halves, panels; ///< of d: blocks of 64, of 128

    ELBO_HD explicit constexpr wide_shape(std::int64_t d)
        : halves((d + wide_half - 1) / wide_half), panels((d + wide_block - 1) / wide_block) {}
    ELBO_HD constexpr std::int64_t stages(std::int64_t panel) const {
        return 2 * panel + 2 < halves ? 2 * panel + 2 : halves;
    }
    ELBO_HD constexpr std::int64_t first_stage(std::int64_t panel) const { return panel * (panel + 1); }
    ELBO_HD constexpr std::int64_t factor_stages() const { return first_stage(panels - 1) + stages(panels - 1); }
    /// Of 128 x 128 second moments on and below the diagonal.
    ELBO_HD constexpr std::int64_t tiles() const { return panels * (panels + 1) / 2; }
    /// Blocks that they take, two tiles of a row each, the last of a row one or two.
    ELBO_HD constexpr std::int64_t tile_blocks() const { return (panels + 1) * (panels + 1) / 4; }
    /// Operations of the matrix instructions of a row and component, of the log-densities and of the moments each:
    /// three products of pieces for every block of 64 x 64 on and below the diagonal.
    constexpr double flop() const {
        return 3 * 2.0 * wide_half * wide_half * static_cast<double>(halves * (halves + 1) / 2);
    }
    /// Bytes that the blocks read from L2 for a row and component: log-densities (where K is even), moments (tiles on
    /// the diagonal have one operand).
    constexpr double density_bytes() const {
        return static_cast<double>(factor_stages() * operand_bytes) * (1.0 / wide_width + 1.0 / wide_cluster) /
               wide_block;
    }
    constexpr double moment_bytes() const {
        return static_cast<double>((tile_blocks() + tiles() - panels) * operand_bytes) / wide_half;
    }
};

/// Bytes of the pieces of a unit and component: z of all rows.
constexpr std::int64_t wide_moment_bytes(std::int64_t d) {
    return wide_shape(d).panels * (unit_rows / wide_half) * operand_bytes;
}

/// Units and components whose pieces lie in memory at a time: up to three waves of blocks of the moments on 132
/// multiprocessors, in 256 MB where that is possible. Bits do not depend on it.
constexpr std::int64_t wide_pairs(std::int64_t d, std::int64_t slab_pairs) {
    const std::int64_t blocks = wide_shape(d).tile_blocks(), limit = (std::int64_t(256) << 20) / wide_moment_bytes(d);
    std::int64_t waves = 3;
    while (waves > 1 && waves * 132 / blocks > limit)
        --waves;
    return std::clamp<std::int64_t>(std::min(waves * 132 / blocks, limit), 1, slab_pairs);
}

/// Units of a slab whose blocks are a cluster and share their additions to the sums, where so many pairs lie in memory.
constexpr std::int64_t wide_ranks(std::int64_t units, std::int64_t pairs) {
    std::int64_t ranks = std::min(units, pairs);
    while (units % ranks != 0)
        --ranks;
    return ranks;
}

} // namespace elbo::kernels::cuda
