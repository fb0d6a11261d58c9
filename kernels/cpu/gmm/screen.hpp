// Screening of full covariances by prefixes, where the homes of rows are not known or many components lie near them:
// log-densities of those pairs alone that can be in an active set (docs/kernels.md section 2).
//
// The first outputs of Uᵀ (x − μ) give a partial sum of squares. Adding squares never lowers a sum, under rounding
// neither, so c − ½ partial bounds the log-density from above in the very arithmetic of the whole. The exact
// log-density under one component bounds m_n from below: under the row's home, the component that it was summed under
// lately, or where rows have none, under the one with the largest bound. Pairs whose upper bound is below that less Θ
// are outside the active set and become −infinity. What is left is computed by the same operations as in the dense
// kernels, so screening changes no bit.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/home_screen.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"
#include "kernels/cpu/gmm/unit_layout.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Whether to take a block densely because leaving pairs out did not pay in those before.
static inline bool skips_screen(screen_state& state) {
    if (state.skip == 0)
        return false;
    --state.skip;
    return true;
}

/// Outputs of the partial sums, in whole groups; 0 where screening cannot pay.
template <class T>
static inline std::int64_t screened_outputs(const model_view<T>& m) {
    if (m.family != gmm::family::full || !screens_pairs(m.family, m.dimensions, m.components))
        return 0;
    return m.dimensions < 32 ? 6 : m.dimensions < 48 ? 12 : 18;
}

/// argmax over the components of one vector of rows, the lowest at a tie.
template <class T>
static inline vec_mask<T> largest_component(const T* lp, std::int64_t components) {
    vec<T> largest = load(lp);
    vec_mask<T> best{};
    for (std::int64_t k = 1; k < components; ++k) {
        const vec<T> value = load(lp + k * strip_rows);
        const vec_mask<T> above = value > largest;
        largest = above ? value : largest;
        best = above ? vec_mask<T>{} + static_cast<decltype(best[0] + 0)>(k) : best;
    }
    return best;
}

/// The nearest component of every row of a block by upper bound.
template <class T>
static void find_nearest(const model_view<T>& m, std::int64_t first, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            const vec_mask<T> best = largest_component(ws.log_densities + s * slab + v, m.components);
            for (int i = 0; i < lanes<T>; ++i)
                ws.nearest[first + s * strip_rows + v + i] = static_cast<std::int32_t>(best[i]);
        }
}

/// Makes the rows of a strip under component k whose bound does not reach their limit −infinity and lists the others.
/// Returns how many there are in the list.
template <class T>
static inline std::int64_t list_survivors(T* bounds, std::int64_t first, std::int64_t vectors, std::int64_t count,
                                          const workspace_view<T>& ws) {
    for (std::int64_t v = 0; v < vectors * lanes<T>; v += lanes<T>) {
        const vec<T> bound = load(bounds + v);
        const vec_mask<T> in = bound >= load(ws.row_limits + first + v);
        store(bounds + v, in ? bound : minus_infinity<T>());
        for (unsigned bits = mask_bits(in); bits != 0; bits &= bits - 1)
            ws.listed[count++] = static_cast<std::int32_t>(first + v + __builtin_ctz(bits));
    }
    return count;
}

/// Bounds of the rows of a group of vectors under component k, from as many outputs, in whole groups up to `outputs`,
/// as it takes to know that none reaches its limit. Returns how many that were.
template <class T>
static std::int64_t bound_group(const model_view<T>& m, const T* x, std::int64_t k, std::int64_t outputs,
                                const T* limits, T* z, T* bounds) {
    const T *mean = m.means + k * m.dimensions, *u = m.factors + k * m.triangle;
    vec<T> q[group_vectors] = {};
    std::int64_t first = 0;
    for (bool some = true; some && first < outputs; first += triangle_outputs) {
#pragma GCC unroll 8
        for (int j = 0; j < triangle_outputs; ++j)
#pragma GCC unroll 4
            for (int v = 0; v < group_vectors; ++v) {
                const std::int64_t at = (first + j) * strip_rows + v * lanes<T>;
                store(z + at, load(x + at) - mean[first + j]);
            }
        u = squared_outputs<T, triangle_outputs, group_vectors>(z, u, first, q);
        store_log_density(bounds, m.offsets[k], q);
        vec_mask<T> in{};
#pragma GCC unroll 4
        for (int v = 0; v < group_vectors; ++v)
            in |= load(bounds + v * lanes<T>) >= load(limits + v * lanes<T>);
        some = mask_bits(in) != 0;
    }
    return first;
}

/// What the pairs of a block cost in vector operations: a row in the dense kernels and gathered, and all so far.
struct screen_cost {
    double dense, gathered, total = 0;
};

/// Puts log-densities of listed rows under component k in their places; where one is above that at home, the row moves.
template <class T>
static void place_densities(const model_view<T>& m, const unit_block<T>& b, std::int64_t k, const std::int32_t* rows,
                            std::int64_t count, const T* lp, const workspace_view<T>& ws) {
    for (std::int64_t c = 0; c < count; ++c) {
        density_at(m, b, rows[c], k, ws) = lp[c];
        if (b.unit.homes && lp[c] > ws.home_densities[rows[c]])
            move_home(b.unit, rows[c], k);
    }
}

/// Log-densities of the `count` listed rows under component k, or of all rows of the block if that is cheaper.
template <class T>
static void refine_survivors(const model_view<T>& m, const unit_block<T>& b, std::int64_t k, std::int64_t count,
                             screen_cost& cost, const workspace_view<T>& ws) {
    const auto rows = static_cast<double>(b.strips * strip_rows), listed = static_cast<double>(count);
    if (listed * cost.gathered >= rows * cost.dense) {
        for (std::int64_t s = 0; s < b.strips; ++s)
            full_component_strip(m, b.strip(m, s), k, m.dimensions, ws.strip,
                                 &density_at(m, b, b.first + s * strip_rows, k, ws));
        cost.total += rows * cost.dense;
        return;
    }
    for_exact(m, k, ws.listed, count, ws, [&](const std::int32_t* part, std::int64_t size, const exact_rows<T>& exact) {
        place_densities(m, b, k, part, size, exact.lp, ws);
    });
    cost.total += listed * cost.gathered;
}

/// Bounds of all pairs of a block by prefixes, or those in the slab, and log-densities of the survivors.
template <class T>
static void screen_by_prefix(const model_view<T>& m, const unit_block<T>& b, std::int64_t outputs, bool bounds_known,
                             screen_cost& cost, const workspace_view<T>& ws) {
    const std::int64_t rows = b.strips * strip_rows;
    for (std::int64_t k = 0, begin = 0; k < m.components; begin = ws.starts[k++]) {
        // Rows at home are done.
        for (std::int64_t i = begin; i < ws.starts[k]; ++i)
            ws.row_limits[ws.sorted[i]] = static_cast<T>(__builtin_inf());
        std::int64_t count = 0;
        for (std::int64_t row = b.first; row < b.first + rows; row += group_rows<T>) {
            T* bounds = &density_at(m, b, row, k, ws);
            const T* x = b.strip(m, (row - b.first) / strip_rows) + (row - b.first) % strip_rows;
            const std::int64_t used =
                bounds_known ? outputs : bound_group(m, x, k, outputs, ws.row_limits + row, ws.strip, bounds);
            cost.total += group_vectors * static_cast<double>(triangle_size(used) + used);
            count = list_survivors(bounds, row, group_vectors, count, ws);
        }
        for (std::int64_t i = begin; i < ws.starts[k]; ++i) {
            const std::int32_t row = ws.sorted[i];
            ws.row_limits[row] = ws.home_densities[row] - m.threshold;
            density_at(m, b, row, k, ws) = ws.home_densities[row];
        }
        refine_survivors(m, b, k, count, cost, ws);
    }
}

/// The nearest components by upper bound become homes; the bounds stay in the slab.
template <class T>
static void find_homes(const model_view<T>& m, const unit_block<T>& b, std::int64_t outputs,
                       const workspace_view<T>& ws) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows, rows = b.strips * strip_rows;
    for (std::int64_t s = 0; s < b.strips; ++s)
        full_strip(m, b.strip(m, s), outputs, ws.strip, ws.log_densities + s * slab);
    find_nearest(m, b.first, b.strips, ws);
    find_limits(m, b.unit, b.first, rows, ws);
    if (!b.unit.homes)
        return;
    for (std::int64_t i = b.first; i < b.first + rows; ++i)
        move_home(b.unit, i, ws.nearest[i]);
    ws.screen->homes_known = true;
}

/// Log-densities of a block by screening. Returns the cost relative to that of the dense kernels.
template <class T>
static double screened_log_densities(const model_view<T>& m, const unit_block<T>& b, std::int64_t outputs,
                                     const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, rows = b.strips * strip_rows;
    if (!ws.screen->at_home)
        find_homes(m, b, outputs, ws);
    screen_cost cost{static_cast<double>(m.triangle) / lanes<T>, 0};
    cost.gathered = cost.dense + gather_cost * static_cast<double>(d) / lanes<T>;
    cost.total = static_cast<double>(rows) * cost.gathered;
    sort_rows(m, b.first, rows, ws);
    screen_by_prefix(m, b, outputs, !ws.screen->at_home, cost, ws);
    return cost.total / (static_cast<double>(m.components * rows) * cost.dense);
}

/// Log-densities, relative to reference_offset, of a block of strips into the slab; −infinity is possible for pairs
/// outside the active set. Not for spans whose pairs are known.
template <class T>
static void block_log_densities(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    const std::int64_t outputs = screened_outputs(m);
    if (skips_screen(*ws.screen) || outputs == 0)
        return log_densities(m, b.strip(m, 0), b.strips, ws);
    note_screen(*ws.screen, screened_log_densities(m, b, outputs, ws));
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
