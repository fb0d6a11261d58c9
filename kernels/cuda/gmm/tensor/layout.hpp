// How the tensor engine cuts a shape into instructions, blocks and memory: constants of (d, K) only.
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "kernels/cuda/gmm/tensor/wide_layout.hpp"
#include "kernels/math/macros.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cuda {

/// Dimensions that the log-densities and the moments of up to 128 are compiled for, of which the moments have fewer: a
/// build costs processor time. Rows are filled up with zeros on the way to registers.
constexpr int tensor_dimensions(std::int64_t d) {
    return d <= 32 ? 32 : static_cast<int>((d + 15) / 16 * 16);
}
constexpr int moment_dimensions(std::int64_t d) {
    return d <= 32 ? 32 : d <= 64 ? 64 : d <= 80 ? 80 : d <= 96 ? 96 : 128;
}

inline constexpr int tensor_cluster = 2;               ///< blocks that share the panels they read
inline constexpr int tensor_block_rows = 128;          ///< of the log-densities: two warpgroups of 64 rows
inline constexpr int tensor_threads = 384;             ///< and a producer
inline constexpr int tensor_shared_limit = 227 * 1024; ///< of a block
inline constexpr int rule_rows = 32;                   ///< of a block of the row rule, a partial of the scalars each

/// The factors of some components in fp16 pieces, as they lie in device memory and, copied unchanged, in shared memory.
/// A wgmma multiplies 64 rows (A, registers, kept for the whole loop over the components) by one 16 x 16 block of
/// several components at once (B, shared memory): the columns of a panel are interleaved by blocks of 16,
///
///     panel = [block 0 of all its components | block 1 of all | ...],
///
/// so that contraction step s (rows 16 s ... of U) multiplies exactly the blocks j >= s that are not zero, and every
/// instruction keeps its full width n = 16 x components of the panel.
///
///     d     components  n    blocks a chunk  chunks a panel  instructions a panel (triangle / full), three times
///     32    8           128  2               1               3 / 4
///     48    4           64   3               1               6 / 9
///     64    4           64   4               1               10 / 16
///     80    4           64   3, 2            2               15 / 25
///     96    4           64   3               2               21 / 36
///     112   4           64   4, 3            2               28 / 49
///     128   4           64   4               2               36 / 64
///
/// The accumulators of a chunk are at most 128 registers. [chunk: l tiles | header | h tiles] ...; the header has b by
/// [block][8 columns][4] as pairs, then (offset, scale) of each component.
template <int D>
struct panel_layout {
    static_assert(D == tensor_dimensions(D));
    static constexpr int components = D == 32 ? 8 : 4; ///< of a panel
    static constexpr int columns = 16 * components;    ///< n of an instruction
    static constexpr int steps = D / 16;               ///< of the contraction, and 16-column blocks
    static constexpr int blocks = D == 32 ? 2 : D == 48 || D == 80 || D == 96 ? 3 : 4; ///< of a chunk, at most
    static constexpr int groups = (steps + blocks - 1) / blocks;                       ///< chunks of a panel
    static constexpr int tile_bytes = columns * 32;                                    ///< B of one instruction
    static constexpr int parameters = blocks * columns * 4;
    static constexpr int header = (parameters + components * 8 + 127) / 128 * 128;

    /// Blocks of chunk g.
    ELBO_HD static constexpr int width(int g) { return steps < blocks * (g + 1) ? steps - blocks * g : blocks; }
    /// Tiles of chunk g; tile (s, j) of the loops "s = 0 ...; j = max(s, first block) ..." has number tile(g, s, j). In
    /// closed form: a loop here survives into the kernel, between the wgmmas.
    ELBO_HD static constexpr int tiles(int g) { return width(g) * (blocks * g) + width(g) * (width(g) + 1) / 2; }
    ELBO_HD static constexpr int tile(int g, int s, int j) {
        const int i = s - blocks * g; // step inside the triangle at the end of the chunk
        return i <= 0 ? s * width(g) + j - blocks * g : width(g) * (blocks * g + i) - i * (i - 1) / 2 + j - s;
    }
    static constexpr int low_bytes(int g) { return tiles(g) * tile_bytes; }
    static constexpr int high_bytes(int g) { return header + tiles(g) * tile_bytes; }
    static constexpr int panel_bytes = low_bytes(0) + high_bytes(0) + (groups > 1 ? low_bytes(1) + high_bytes(1) : 0);
    static constexpr int stage_bytes = std::max(high_bytes(0), high_bytes(groups - 1));
    static constexpr int stages = std::min(10, (tensor_shared_limit - 256) / stage_bytes);
    static constexpr int shared_bytes = stages * (stage_bytes + 16);
    /// Multiply-adds of 64 rows and a panel, times two.
    static constexpr double flop = 3.0 * (tiles(0) + (groups > 1 ? tiles(1) : 0)) * 2 * 64 * columns * 16;
    static_assert(groups <= 2 && stages >= 4);
};

/// A block of the second moments: teams of warpgroups, each with some components of a unit.
template <int D>
struct moment_layout {
    static_assert(D == moment_dimensions(D));
    static constexpr int stripes = D > 64 ? 2 : 1;   ///< warpgroups of a team, 64 dimensions each
    static constexpr int halves = D == 32 ? 2 : 1;   ///< components side by side in a warpgroup
    static constexpr int pairs = D > 64 ? 1 : 2;     ///< sets of accumulators
    static constexpr int teams = D > 64 ? 1 : 2;     ///< of a block
    static constexpr int lists = pairs * halves;     ///< components of a team
    static constexpr int components = lists * teams; ///< of a block
    static constexpr int team_threads = 128 * stripes;
    static constexpr int threads = team_threads * teams;
    static constexpr int columns = D > 64 ? D : 64;  ///< n of an instruction
    static constexpr bool full = columns % 64 == 0;  ///< else the last warps of a team have no dimensions
    static constexpr int block_bytes = columns * 32; ///< h (or 2 l) of 16 rows
    static constexpr int rows = 32;                  ///< of a step
    static constexpr int row_blocks = rows / 16;
    static constexpr int chain_rows = 256; ///< between promotions of the accumulators
    static constexpr int buffer_bytes = row_blocks * 2 * block_bytes;
    static constexpr int scale_floats = 4 * lists * rows; ///< √(w r) of four tiles
    static constexpr int ring_bytes = 3 * buffer_bytes + 4 * scale_floats;
    // At the end a team leaves, for the cluster: M of each pair by rows of exchange_width; N and S1 of each list, and
    // what M is to be multiplied by, 0 where no row was summed, as doubles.
    static constexpr int exchange_width = (columns + 31) / 32 * 32 + 1;
    static constexpr int product_bytes = (columns * exchange_width * 4 + 15) / 16 * 16;
    static constexpr int first_at = pairs * product_bytes;
    static constexpr int scale_at = first_at + lists * (1 + D) * 8;
    static constexpr int exchange_bytes = scale_at + lists * 8;
    static constexpr int work_bytes = (std::max(ring_bytes, exchange_bytes) + 127) / 128 * 128;
    static constexpr int list_bytes = 2 * (static_cast<int>(unit_rows) + 64); ///< the rows that are summed
    static constexpr int team_bytes = work_bytes + list_bytes;
    static constexpr int shared_bytes = team_bytes * teams;
    static constexpr double flop = row_blocks * 2 * 2.0 * 64 * columns * 16 * stripes * pairs; ///< of a step
    static_assert(shared_bytes <= tensor_shared_limit && lists * rows <= team_threads);
};

inline constexpr int most_moment_ranks = 8;

/// Units whose blocks are a cluster and share their additions to the sums: as many as leave at most an eighth of the
/// blocks without rows.
constexpr int moment_ranks(std::int64_t units) {
    for (const int ranks : {most_moment_ranks, 4, 3, 2})
        if (7 * ranks * blocks_for(units, ranks) <= 8 * units)
            return ranks;
    return 1;
}

/// What follows from a shape.
struct tensor_plan {
    std::int64_t panels = 0, panel_bytes = 0;
    /// Of the panels, one after the other: more blocks where few rows fit a slab.
    std::int64_t ranges = 1, range_panels = 1; ///< the last range may have fewer
    std::int64_t units = 1;                    ///< of a slab
};

template <int D>
constexpr tensor_plan plan_tensor_of(const gmm_shape& s) {
    using L = panel_layout<D>;
    tensor_plan p;
    p.panels = blocks_for(s.components, L::components);
    p.panel_bytes = L::panel_bytes;
    p.range_panels = blocks_for(p.panels, std::clamp<std::int64_t>(p.panels / 8, 1, 4));
    p.ranges = blocks_for(p.panels, p.range_panels);
    // Rows and log-densities take half of the 50 MB of L2; fours of units are whole waves of blocks: 4 · 4096 rows are
    // 128 blocks of 128 rows, on 132 multiprocessors.
    const std::int64_t fitting = (std::int64_t(25) << 20) / (4 * unit_rows * (padded(s.dimensions) + s.components));
    p.units = fitting >= 16 ? 16 : fitting >= 4 ? fitting / 4 * 4 : std::max<std::int64_t>(fitting, 1);
    return p;
}

/// Panels are components. A few ranges even where K is small: the rows that all blocks of the device read at a time
/// then stay in L2.
constexpr tensor_plan plan_wide(const gmm_shape& s) {
    const wide_shape w(s.dimensions);
    tensor_plan p;
    p.panels = s.components;
    p.panel_bytes = w.factor_stages() * operand_bytes;
    p.range_panels = std::min<std::int64_t>(chain_rows, wide_width * blocks_for(p.panels, 8 * wide_width));
    p.ranges = blocks_for(p.panels, p.range_panels);
    const std::int64_t fitting = (std::int64_t(64) << 20) / (unit_rows * w.halves * wide_half * 4);
    p.units = std::clamp<std::int64_t>(fitting, 1, std::min<std::int64_t>(4, slab_units(s, 4)));
    return p;
}

/// Components of a panel up to 128 dimensions.
constexpr std::int64_t panel_components(const gmm_shape& s) {
    return tensor_dimensions(s.dimensions) == 32 ? panel_layout<32>::components : panel_layout<64>::components;
}

constexpr tensor_plan plan_tensor(const gmm_shape& s) {
    if (is_wide(s.dimensions))
        return plan_wide(s);
    switch (tensor_dimensions(s.dimensions)) {
    case 32:
        return plan_tensor_of<32>(s);
    case 48:
        return plan_tensor_of<48>(s);
    case 64:
        return plan_tensor_of<64>(s);
    case 80:
        return plan_tensor_of<80>(s);
    case 96:
        return plan_tensor_of<96>(s);
    case 112:
        return plan_tensor_of<112>(s);
    default:
        return plan_tensor_of<128>(s);
    }
}

/// Rows of a tile of the screen: those of a cluster of the log-densities.
inline constexpr int screen_rows = tensor_block_rows * tensor_cluster;
inline constexpr int screen_components = 2048; ///< at most: the separations of all pairs are 16 MB
/// Whether components are screened from the homes of the rows: where there are panels to leave out.
constexpr bool suits_screen(const gmm_shape& s) {
    return !is_wide(s.dimensions) && s.components <= screen_components && plan_tensor(s).panels >= 8;
}
/// Whether that pays for so many rows: separations cost K² d² / 2 multiply-adds, log-densities N K d² / 2 faster ones.
constexpr bool pays_screen(const gmm_shape& s, std::int64_t rows) {
    return rows >= 32 * s.components;
}

constexpr std::int64_t tensor_slab_rows(const gmm_shape& s) {
    return plan_tensor(s).units * unit_rows;
}

} // namespace elbo::kernels::cuda
