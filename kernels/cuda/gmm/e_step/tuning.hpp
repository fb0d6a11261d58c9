// Which variant of the E-step runs a shape, and how its kernels are launched: pure functions of the shape and the
// limits of the device, so that they can be tested on any machine. What decides bits (variant, chunk, tile, row split)
// depends on (family, d, K, element size) only, never on the number of rows or on the grid.
#pragma once

#include "kernels/contract/gmm_layout.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cuda {

struct launch_shape {
    std::int64_t blocks = 0;
    int threads = 1;
    std::int64_t shared_bytes = 0;
    std::int64_t blocks_y = 1;
};

/// How a component's density is computed.
enum class density_form {
    full,     ///< ‖U_kᵀ(x − μ_k)‖²
    diagonal, ///< Σ ((x_j − μ_kj) u_kj)²: diagonal, spherical, tied_diagonal, tied_spherical
    whitened  ///< ‖Uᵀx − Uᵀμ_k‖², Uᵀx once a row: tied
};

constexpr density_form form_of(gmm::family f) {
    if (f == gmm::family::full)
        return density_form::full;
    return f == gmm::family::tied ? density_form::whitened : density_form::diagonal;
}

/// Second moments that the accumulation kernels keep for a component.
enum class moment_form {
    full,    ///< upper triangle
    squares, ///< one a dimension; spherical adds them up at the end of a chunk
    none     ///< tied families
};

constexpr moment_form moments_of(gmm::family f) {
    if (f == gmm::family::full)
        return moment_form::full;
    return gmm::is_tied(f) ? moment_form::none : moment_form::squares;
}

/// Numbers kept for a component inside a chunk: statistics_size, but d squares for the spherical family.
constexpr std::int64_t chunk_statistics(gmm::family f, std::int64_t d) {
    return f == gmm::family::spherical ? 1 + 2 * d : statistics_size(f, d);
}

/// d rounded up to a multiple of 4, so that parameters and rows can be read four at a time.
constexpr std::int64_t padded(std::int64_t d) {
    return (d + 3) / 4 * 4;
}

/// Elements from one row of a tile in shared memory to the next: an odd number of quads, so that 16-byte reads of eight
/// neighbouring rows touch all banks once.
constexpr std::int64_t tile_stride(std::int64_t d) {
    return padded(d) / 4 % 2 == 1 ? padded(d) : padded(d) + 4;
}

/// Micro-tiles of 4 x 4 in the upper triangle, and groups of 4 means, of one component.
constexpr std::int64_t quads(std::int64_t d) {
    return padded(d) / 4;
}
constexpr std::int64_t triangle(std::int64_t n) {
    return n * (n + 1) / 2;
}
constexpr std::int64_t moment_tasks(const gmm_shape& s) {
    const std::int64_t n = quads(s.dimensions);
    return s.components * ((moments_of(s.family) == moment_form::full ? triangle(n) : 0) + n);
}

inline constexpr int accumulate_threads = 256;
/// Longest sum in T before it is added to a float64 (docs/kernels.md section 3).
inline constexpr int chain_rows = 64;

/// Launch of the fused variant: E-step, row rule and statistics of a chunk of rows in one block.
struct fused_shape {
    std::int64_t tile_rows = 0; ///< 0: does not fit, the slab variant runs the shape
    std::int64_t row_split = 1; ///< threads that share a micro-tile, each with a part of the tile's rows
    std::int64_t chunk_rows = 0;
    std::int64_t shared_bytes = 0;
};

constexpr std::int64_t fused_shared_bytes(const gmm_shape& s, std::int64_t element_bytes, std::int64_t tile_rows,
                                          std::int64_t row_split) {
    const std::int64_t tiles = form_of(s.family) == density_form::whitened ? 2 : 1;
    return 8 * row_split * s.components * chunk_statistics(s.family, s.dimensions) +
           element_bytes * tile_rows * (tiles * tile_stride(s.dimensions) + s.components + 2) + 16;
}

constexpr fused_shape shape_fused(const gmm_shape& s, std::int64_t element_bytes) {
    constexpr std::int64_t limit = 200 * 1024; // of the 227 KB that a block can have, room for static arrays
    const auto fits = [&](std::int64_t rows, std::int64_t split) {
        return fused_shared_bytes(s, element_bytes, rows, split) <= limit;
    };
    fused_shape f;
    if (!fits(64, 1))
        return f;
    f.tile_rows = 64;
    while (f.row_split < 16 && 2 * f.row_split * moment_tasks(s) <= accumulate_threads && fits(64, 2 * f.row_split))
        f.row_split *= 2;
    // Small problems take more rows a tile, so that every warp has work in the E-step and chains stay long.
    while (f.tile_rows < 256 && (f.tile_rows / 64 * s.components < 8 || f.tile_rows / f.row_split < 32) &&
           fits(2 * f.tile_rows, f.row_split))
        f.tile_rows *= 2;
    // Few statistics are cheap to add to the sums: smaller chunks keep more multiprocessors busy.
    f.chunk_rows = s.components * statistics_size(s.family, s.dimensions) <= 2048 ? 1024 : unit_rows;
    f.shared_bytes = fused_shared_bytes(s, element_bytes, f.tile_rows, f.row_split);
    return f;
}

/// Launch of the register variant: a thread a row, register_rows rows a thread and chunk.
inline constexpr int register_threads = 128;
inline constexpr int register_rows = 32;
inline constexpr int register_chunk_rows = register_threads * register_rows;
static_assert(unit_rows % register_chunk_rows == 0 && register_rows + 5 <= chain_rows);

enum class e_step_variant {
    registers, ///< d <= 4, K <= 8, own covariances, float32, no labels
    fused,     ///< statistics in shared memory
    tensor,    ///< full covariances, float32, on devices that have the instructions
    slab       ///< everything else
};

/// 24 < d <= 128, and fewer dimensions, filled up to 32, where so many components do not fit the fused variant.
constexpr bool suits_tensor(const gmm_shape& s, std::int64_t element_bytes) {
    if (s.family != gmm::family::full || element_bytes != 4 || s.dimensions < 8 || s.dimensions > 128)
        return false;
    return s.dimensions > 24 || shape_fused(s, element_bytes).tile_rows == 0;
}

/// `tensor`: whether the device and the library have that variant.
constexpr e_step_variant choose_variant(const gmm_shape& s, std::int64_t element_bytes, bool labelled = false,
                                        bool tensor = false) {
    if (tensor && suits_tensor(s, element_bytes))
        return e_step_variant::tensor;
    if (!labelled && element_bytes == 4 && s.dimensions <= 4 && s.components <= 8 && !gmm::is_tied(s.family))
        return e_step_variant::registers;
    return shape_fused(s, element_bytes).tile_rows > 0 ? e_step_variant::fused : e_step_variant::slab;
}

/// Rows of one partial sum: chunks divide units.
constexpr std::int64_t chunk_rows(const gmm_shape& s, std::int64_t element_bytes, bool labelled = false,
                                  bool tensor = false) {
    switch (choose_variant(s, element_bytes, labelled, tensor)) {
    case e_step_variant::registers:
        return register_chunk_rows;
    case e_step_variant::fused:
        return shape_fused(s, element_bytes).chunk_rows;
    default:
        return unit_rows;
    }
}

/// Elements from one normalised row to the next: the tensor and the slab variant read rows four numbers at a time from
/// device memory.
constexpr std::int64_t row_stride(const gmm_shape& s, std::int64_t element_bytes) {
    const bool padding = suits_tensor(s, element_bytes) || choose_variant(s, element_bytes) == e_step_variant::slab;
    return padding ? padded(s.dimensions) : s.dimensions;
}

/// Units whose log-densities lie in the slab at a time: bounded memory, never rows x components.
constexpr std::int64_t slab_units(const gmm_shape& s, std::int64_t element_bytes) {
    const std::int64_t unit_bytes = unit_rows * s.components * element_bytes;
    return std::clamp<std::int64_t>((std::int64_t(64) << 20) / unit_bytes, 1, 16);
}

/// Tile of rows for the densities of the slab; without shared memory the rows are read from device memory.
inline constexpr std::int64_t density_tile_rows = 64;
inline constexpr std::int64_t density_components = 64; ///< a block
constexpr std::int64_t density_shared_bytes(const gmm_shape& s, std::int64_t element_bytes) {
    const std::int64_t bytes = element_bytes * density_tile_rows * tile_stride(s.dimensions);
    return bytes <= 200 * 1024 ? bytes : 0;
}

/// Threads for one matrix of the parameter phase.
constexpr int factor_threads(std::int64_t d) {
    return d <= 32 ? 32 : 256;
}
/// A covariance is factored in shared memory up to this size, in device memory above.
inline constexpr std::int64_t factor_in_shared = 128;
/// Elements from row to row in shared memory: odd, so that columns are free of bank conflicts.
constexpr std::int64_t factor_stride(std::int64_t d) {
    return d <= factor_in_shared ? d | 1 : d;
}
/// In device memory it is factored in panels of columns, by tiles of rows (m_step/cholesky_blocked.cuh).
inline constexpr int factor_panel = 32;
inline constexpr int factor_panel_stride = factor_panel + 1;
inline constexpr int factor_tile_rows = 128;
constexpr std::int64_t factor_shared_bytes(std::int64_t d) {
    constexpr std::int64_t blocked = (factor_tile_rows + 2 * factor_panel) * factor_panel_stride + factor_panel;
    return 8 * (d <= factor_in_shared ? d * factor_stride(d) + d : std::max(d, blocked));
}

constexpr std::int64_t blocks_for(std::int64_t items, std::int64_t per_block) {
    return (items + per_block - 1) / per_block;
}

} // namespace elbo::kernels::cuda
