// Which variant of the E-step runs a shape, and how its kernels are launched: pure functions of the shape and the
// limits of the device, so that they can be tested on any machine. What decides bits (variant, chunk, tile, row split)
// depends on (family, d, K, element size) only, never on the number of rows or on the grid.
#pragma once

#include "kernels/contract/gmm_layout.hpp"
#include "kernels/cuda/gmm/mma/mma_shape.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cuda {

struct launch_shape {
    std::int64_t blocks = 0;
    int threads = 1;
    std::int64_t shared_bytes = 0;
    std::int64_t blocks_y = 1;
    unsigned cluster = 1; ///< blocks of a cluster, a divisor of `blocks`
    /// All blocks at the same time, so that they can wait for one another (core/grid.cuh): no more of the `blocks` than
    /// the device can have. No clusters then.
    bool together = false;
    /// The kernel keeps the rule of core/dependent.cuh: it may begin before the one ahead of it in the stream has
    /// ended. Where the device or the graph does not allow that, an ordinary launch. Not with `together`.
    bool dependent = false;
};

/// Blocks that can share the rows of a chunk on every device that knows clusters.
inline constexpr int most_ranks = 8;

/// What a device can do, as far as it decides how a shape runs; as it stands here that of compute capability 9.0.
struct device_abilities {
    std::int64_t shared_bytes = 227 * 1024; ///< of a block
    std::int64_t cluster = most_ranks;      ///< blocks of a cluster, 1 where there are none
    bool tensor = false; ///< the instructions of the tensor variant, and code for them in the library
};
/// What every device can do that the kernels run on: 8.6, 8.9 and 12.0 have no more shared memory.
inline constexpr device_abilities least_abilities{99 * 1024, 1, false};

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
/// Components and rows that a thread of the fused variant computes log-densities of at a time: what registers hold.
inline constexpr int pair_components = 4;
constexpr int pair_rows(std::int64_t element_bytes) {
    return static_cast<int>(32 / element_bytes);
}
/// Micro-tiles of 4 x 4 on a side of the block of second moments that a thread of the fused variant keeps (full).
constexpr int square_quads(std::int64_t element_bytes) {
    return element_bytes == 4 ? 2 : 1;
}
/// Components whose sums over a tile a thread of the fused variant keeps, for four dimensions.
inline constexpr int moment_components = 4;
/// Shapes for which the fused variant also has the dot form (fused_dots.cuh).
constexpr bool suits_dot_form(const gmm_shape& s) {
    return s.family != gmm::family::full && s.dimensions >= 8 && s.components >= 8;
}
/// Those of them whose distances are of that form, too.
constexpr bool has_row_norms(const gmm_shape& s) {
    return suits_dot_form(s) && s.family != gmm::family::diagonal && s.family != gmm::family::tied_diagonal;
}
/// Greatest ‖U_kᵀμ_k‖ of the dot form (fused_dots.cuh).
inline constexpr double dot_form_limit = 3;
/// Components and quads of dimensions whose sums over a tile a thread keeps in the dot form; with squares one quad.
inline constexpr int dot_components = 8;
constexpr int dot_quads(std::int64_t element_bytes) {
    return element_bytes == 4 ? 2 : 1;
}
/// Up to here a thread of the fused variant keeps whole rows in registers (full covariances, float32).
inline constexpr std::int64_t register_row_dimensions = 24;
/// Float64 numbers that the fused variant keeps for a component: Σ g, means in whole quads, second moments in whole
/// micro-tiles of 4 x 4 (full) or quads, Σ g ‖x − μ‖² (spherical).
constexpr std::int64_t fused_statistics(gmm::family f, std::int64_t d) {
    const std::int64_t n = quads(d);
    return 1 + 4 * n +
           (f == gmm::family::full       ? 16 * triangle(n)
            : f == gmm::family::diagonal ? 4 * n
            : gmm::is_tied(f)            ? 0
                                         : 1);
}

/// Launch of the fused variant: E-step, row rule and statistics of a chunk of rows in one block, or in a cluster of
/// blocks (ranks) that take a range of the components each.
struct fused_shape {
    std::int64_t tile_rows = 0; ///< 0: does not fit, the slab variant runs the shape
    std::int64_t row_split = 1; ///< threads that share the sums of a micro-tile, each with a part of the tile's rows
    std::int64_t dim_split =
        1; ///< threads that share a micro-tile of log-densities, each with a part of the dimensions
    std::int64_t dot_lanes = 1; ///< of a warp that share a micro-tile of sums in the dot form, each a part of the rows
    std::int64_t ranks = 1;
    std::int64_t span = 0; ///< components of a rank, fewer of the last one
    std::int64_t chunk_rows = 0;
    std::int64_t shared_bytes = 0;
};

/// Elements from one component to the next in the tile of log-densities: whole quads, and four neighbouring components
/// in different banks.
constexpr std::int64_t density_column(std::int64_t tile_rows) {
    return tile_rows + 8;
}

constexpr std::int64_t fused_shared_bytes(const gmm_shape& s, std::int64_t element_bytes, const fused_shape& f) {
    const std::int64_t tiles = form_of(s.family) == density_form::whitened ? 2 : 1;
    const std::int64_t columns = s.family == gmm::family::spherical ? 2 : 1;
    const std::int64_t statistics = f.row_split * f.span * fused_statistics(s.family, s.dimensions);
    return 8 * ((statistics + 1) / 2 * 2 + (f.ranks > 1 ? 3 * f.ranks * f.tile_rows : 0)) +
           element_bytes * (f.tile_rows * (tiles * tile_stride(s.dimensions) + (has_row_norms(s) ? 3 : 2)) +
                            columns * f.span * density_column(f.tile_rows));
}

/// Micro-tiles of sums of a rank.
constexpr std::int64_t fused_moment_tasks(const gmm_shape& s, std::int64_t element_bytes, std::int64_t span) {
    const std::int64_t n = quads(s.dimensions), side = square_quads(element_bytes);
    return moments_of(s.family) == moment_form::full ? span * triangle((n + side - 1) / side)
                                                     : (span + moment_components - 1) / moment_components * n;
}

/// How many lanes share a micro-tile of sums in the dot form: where there are fewer of those than threads.
constexpr std::int64_t lanes_of_dots(const gmm_shape& s, std::int64_t element_bytes, const fused_shape& f) {
    const std::int64_t side = moments_of(s.family) == moment_form::squares && s.family != gmm::family::spherical
                                  ? 1
                                  : dot_quads(element_bytes);
    const std::int64_t columns = (quads(s.dimensions) + side - 1) / side;
    const std::int64_t sums = f.row_split * ((f.span + dot_components - 1) / dot_components) * columns;
    std::int64_t lanes = 1;
    while (lanes < 4 && 2 * lanes * sums <= accumulate_threads && 4 * lanes <= f.tile_rows / f.row_split)
        lanes *= 2;
    return lanes;
}

/// The splits and the tile of a rank within `limit` bytes; tile_rows = 0 where nothing fits.
constexpr fused_shape fit_tile(const gmm_shape& s, std::int64_t element_bytes, fused_shape f, std::int64_t limit) {
    const auto fits = [&](const fused_shape& g) { return fused_shared_bytes(s, element_bytes, g) <= limit; };
    for (f.tile_rows = 64; f.tile_rows >= 16 && !fits(f); f.tile_rows /= 2) {
    }
    if (f.tile_rows < 16)
        return {};
    const std::int64_t tasks = fused_moment_tasks(s, element_bytes, f.span);
    // Threads without a micro-tile of their own take a part of the rows; more rows a tile keep the chains long.
    for (fused_shape wider = f; wider.row_split < 16 && wider.row_split * tasks < accumulate_threads; f = wider) {
        wider.row_split *= 2;
        wider.tile_rows = std::min<std::int64_t>(256, std::max(f.tile_rows, 32 * wider.row_split));
        if (!fits(wider) || wider.tile_rows / wider.row_split < 4)
            break;
    }
    const std::int64_t pairs =
        f.tile_rows / pair_rows(element_bytes) * ((f.span + pair_components - 1) / pair_components);
    while (f.dim_split < 32 && 2 * f.dim_split * pairs <= accumulate_threads && 2 * f.dim_split <= quads(s.dimensions))
        f.dim_split *= 2;
    f.dot_lanes = lanes_of_dots(s, element_bytes, f);
    f.shared_bytes = fused_shared_bytes(s, element_bytes, f);
    return f;
}

constexpr fused_shape shape_fused(const gmm_shape& s, std::int64_t element_bytes, const device_abilities& device = {}) {
    // Two blocks of a multiprocessor, so that one computes while the other waits; else one, of all that it can have,
    // with room for static arrays.
    const std::int64_t two_blocks = (device.shared_bytes - 3 * 1024) / 2;
    for (const std::int64_t limit : {two_blocks, 2 * two_blocks})
        for (std::int64_t ranks = 1; ranks <= device.cluster; ranks *= 2) {
            const std::int64_t span = (s.components + ranks - 1) / ranks;
            // Ranks read the same rows: each needs components enough to pay for that.
            if (ranks > 1 && ((ranks - 1) * span >= s.components || span < 16))
                break;
            fused_shape f = fit_tile(s, element_bytes, {.ranks = ranks, .span = span}, limit);
            if (f.tile_rows == 0 || (f.tile_rows < 64 && limit == two_blocks))
                continue;
            // Few statistics are cheap to add to the sums, and long rows come in small numbers: smaller chunks keep
            // more multiprocessors busy.
            const std::int64_t size = s.components * statistics_size(s.family, s.dimensions);
            f.chunk_rows = size <= 2048 || s.dimensions >= 256 ? 1024 : unit_rows;
            return f;
        }
    return {};
}

/// Launch of the register variant: a thread takes register_rows rows of a chunk, register_batch at a time.
inline constexpr int register_threads = 128;
inline constexpr int register_rows = 32;
inline constexpr int register_batch = 4;
static_assert(unit_rows % (register_threads * register_rows) == 0 && register_rows + 5 <= chain_rows);

/// Components that its kernels have room for.
constexpr int register_room(std::int64_t components) {
    return components <= 2 ? 2 : components <= 4 ? 4 : 8;
}
/// Threads that share a row, each with some of the components: their sums lie in registers.
constexpr int register_lanes(const gmm_shape& s) {
    return register_room(s.components) * statistics_size(s.family, s.dimensions) <= 60 ? 1 : 2;
}
constexpr std::int64_t register_chunk_rows(const gmm_shape& s) {
    return register_threads / register_lanes(s) * register_rows;
}
/// Blocks of a multiprocessor: 128 or 168 registers a thread, for its sums and for each row the numbers and exp(lp).
constexpr int register_blocks(const gmm_shape& s) {
    const std::int64_t span = register_room(s.components) / register_lanes(s);
    const std::int64_t needed = span * statistics_size(s.family, s.dimensions) + register_batch * (span + s.dimensions);
    return needed <= 88 ? 4 : 3;
}

/// By mma.sync. Fewer dimensions take less in the fused variant, fewer components leave half of a block without work.
constexpr bool suits_mma(const gmm_shape& s, std::int64_t element_bytes, const device_abilities& device = {}) {
    if (s.family != gmm::family::full || element_bytes != 4 || s.dimensions <= 8 || s.dimensions > mma_dimensions ||
        s.components < 8)
        return false;
    const int ranks = shape_mma(s).ranks;
    return ranks == 1 || (ranks > 1 && ranks <= device.cluster && device.shared_bytes >= mma_cluster_bytes);
}

enum class e_step_variant {
    registers, ///< d <= 4, K <= 8, own covariances, float32, no labels
    mma,       ///< full covariances, 8 < d <= 16, 8 <= K, float32, no labels
    fused,     ///< statistics in the shared memory of a block or a cluster
    tensor,    ///< full covariances, float32, on devices that have the instructions
    slab       ///< everything else
};

/// d > 24, and fewer dimensions, filled up to 32, where that takes less than the fused variant (docs/kernels.md section
/// 6): beyond d = 16 from 32 components on, where launches weigh little, and where the components do not fit the fused
/// variant: from d = 16 on one block of it, below a cluster.
constexpr bool suits_tensor(const gmm_shape& s, std::int64_t element_bytes) {
    if (s.family != gmm::family::full || element_bytes != 4 || s.dimensions < 8)
        return false;
    return s.dimensions > 24 || (s.dimensions > 16 && s.components >= 32) ||
           shape_fused(s, element_bytes, {.cluster = s.dimensions < 16 ? most_ranks : 1}).tile_rows == 0;
}

constexpr e_step_variant choose_variant(const gmm_shape& s, std::int64_t element_bytes, bool labelled = false,
                                        const device_abilities& device = {}) {
    if (!labelled && suits_mma(s, element_bytes, device))
        return e_step_variant::mma;
    if (device.tensor && suits_tensor(s, element_bytes))
        return e_step_variant::tensor;
    if (!labelled && element_bytes == 4 && s.dimensions <= 4 && s.components <= 8 && !gmm::is_tied(s.family))
        return e_step_variant::registers;
    return shape_fused(s, element_bytes, device).tile_rows > 0 ? e_step_variant::fused : e_step_variant::slab;
}

/// Shapes for which products of fp16 pieces (gmm/products) stand beside the fused variant, on devices of compute
/// capability 9.0, and run where the dot form would: from 64 components on they take less (docs/kernels.md section 6).
constexpr bool suits_products(const gmm_shape& s, std::int64_t element_bytes) {
    const std::int64_t terms = (s.family == gmm::family::diagonal ? 2 : 1) * s.dimensions; // x, x²
    return s.family != gmm::family::full && element_bytes == 4 && s.dimensions >= 16 && terms <= 128 &&
           s.components >= 64 && s.components <= 16384;
}

/// Rows of one partial sum: chunks divide units.
constexpr std::int64_t chunk_rows(const gmm_shape& s, std::int64_t element_bytes, bool labelled = false,
                                  const device_abilities& device = {}) {
    switch (choose_variant(s, element_bytes, labelled, device)) {
    case e_step_variant::registers:
        return register_chunk_rows(s);
    case e_step_variant::mma:
        return shape_mma(s).chunk_rows;
    case e_step_variant::fused:
        return shape_fused(s, element_bytes, device).chunk_rows;
    default:
        return unit_rows;
    }
}

/// Tile of rows for the densities of the slab; without shared memory the rows are read from device memory.
inline constexpr std::int64_t density_tile_rows = 64;
inline constexpr std::int64_t density_components = 64; ///< a block
constexpr std::int64_t density_shared_bytes(const gmm_shape& s, std::int64_t element_bytes,
                                            std::int64_t shared_bytes = device_abilities().shared_bytes) {
    const std::int64_t bytes = element_bytes * density_tile_rows * tile_stride(s.dimensions);
    return bytes <= shared_bytes ? bytes : 0;
}

/// Elements from one normalised row to the next: the mma, the tensor and the slab variant read rows two or four numbers
/// at a time from device memory, and so does inference of rows too long for a tile. Where any device would, so that
/// memory does not depend on it.
constexpr std::int64_t row_stride(const gmm_shape& s, std::int64_t element_bytes) {
    const bool padding = suits_mma(s, element_bytes) || suits_tensor(s, element_bytes) ||
                         density_shared_bytes(s, element_bytes, least_abilities.shared_bytes) == 0 ||
                         choose_variant(s, element_bytes, true, least_abilities) == e_step_variant::slab;
    return padding ? padded(s.dimensions) : s.dimensions;
}

/// Units whose log-densities lie in the slab at a time: bounded memory, never rows x components.
constexpr std::int64_t slab_units(const gmm_shape& s, std::int64_t element_bytes) {
    const std::int64_t unit_bytes = unit_rows * s.components * element_bytes;
    return std::clamp<std::int64_t>((std::int64_t(64) << 20) / unit_bytes, 1, 16);
}

/// Inference by tiles: a block has some rows and all their log-densities in shared memory.
struct inference_shape {
    std::int64_t tile_rows = 0; ///< 0: does not fit, the slab takes its place
    std::int64_t shared_bytes = 0;
};
/// Elements from the log-densities of one row to those of the next: an odd number of quads, so that four lanes of each
/// of eight rows, who share the row rule, touch all banks once.
constexpr std::int64_t inference_stride(const gmm_shape& s) {
    return tile_stride(s.components);
}
/// The largest tile of which some blocks fit a multiprocessor; at the least 64 rows in what every device has.
constexpr inference_shape shape_inference(const gmm_shape& s, std::int64_t element_bytes) {
    const std::int64_t tiles = form_of(s.family) == density_form::whitened ? 2 : 1;
    const std::int64_t row = element_bytes * (tiles * tile_stride(s.dimensions) + inference_stride(s));
    constexpr std::int64_t some_blocks = 48 * 1024, one_block = 96 * 1024;
    for (const std::int64_t rows : {256, 128, 64})
        if (rows * row <= (rows > 64 ? some_blocks : one_block))
            return {rows, rows * row};
    return {};
}

/// Threads for one matrix of the parameter phase.
constexpr int factor_threads(std::int64_t d) {
    return d <= 32 ? 32 : 256;
}
/// A covariance is factored in shared memory up to this size, in device memory above: what a block has room for.
constexpr std::int64_t factor_limit(std::int64_t shared_bytes) {
    return shared_bytes >= 136 * 1024 ? 128 : 104;
}
inline constexpr std::int64_t factor_in_shared = factor_limit(device_abilities().shared_bytes);
/// Whether a matrix is one of those; of few dimensions the compiler knows it.
constexpr bool factors_in_shared(std::int64_t d, std::int64_t limit) {
    return d <= factor_limit(least_abilities.shared_bytes) || d <= limit;
}
/// Blocks that factor one of the matrices above it together: a cluster, while there are multiprocessors. No bit of a
/// parameter depends on it; log det, for the bound, is added up in another order.
constexpr std::int64_t factor_blocks(const gmm_shape& s, std::int64_t multiprocessors, std::int64_t largest_cluster,
                                     std::int64_t in_shared = factor_in_shared) {
    std::int64_t blocks =
        s.family == gmm::family::full && !factors_in_shared(s.dimensions, in_shared) ? largest_cluster : 1;
    while (blocks > 1 && blocks * s.components > multiprocessors)
        blocks /= 2;
    return blocks;
}
/// Elements from row to row in shared memory: odd, so that columns are free of bank conflicts.
constexpr std::int64_t factor_stride(std::int64_t d) {
    return d | 1;
}
/// In device memory it is factored in panels of columns, by tiles of rows (m_step/cholesky_blocked.cuh).
inline constexpr int factor_panel = 32;
inline constexpr int factor_panel_stride = factor_panel + 1;
inline constexpr int factor_tile_rows = 128;
constexpr std::int64_t factor_shared_bytes(std::int64_t d, std::int64_t in_shared = factor_in_shared) {
    constexpr std::int64_t blocked = (factor_tile_rows + 2 * factor_panel) * factor_panel_stride + factor_panel;
    return 8 * (factors_in_shared(d, in_shared) ? d * factor_stride(d) + d : std::max(d, blocked));
}

constexpr std::int64_t blocks_for(std::int64_t items, std::int64_t per_block) {
    return (items + per_block - 1) / per_block;
}

} // namespace elbo::kernels::cuda
