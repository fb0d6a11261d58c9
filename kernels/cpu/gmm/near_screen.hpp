// Screening of all families but full: log-densities of those pairs alone that can be in an active set (docs/kernels.md
// section 2).
//
// Each row has a home, the component that it was summed under in the last pass. A row near its home is farther from
// another component than the active set reaches, by the triangle inequality: packed_model finds for each pair of
// components how near is near enough (model_view::radii). Rows of one home are taken together, as many as there are
// lanes, and get their distances to the home and to the components that the farthest of them may still need. Homes are
// guesses: a wrong one costs time alone. What is computed is computed by the operations of the dense kernels, so
// screening changes no bit.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/core/transpose.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"
#include "kernels/cpu/gmm/screen.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Vector operations, times lanes, that putting a log-density in its place and laying out a coordinate cost.
inline constexpr double placing_cost = 32, layout_cost = 12;

/// Rows of one home in a vector, `count` of them, the others repeat one.
template <class T>
struct home_rows {
    std::int32_t row[lanes<T>];
    std::int64_t count;
};

/// Log-densities of the rows in ws.strip under N listed components, into the slab. Returns the distances to the last.
template <class T, int N, bool Scaled>
static inline vec<T> refine_near(const model_view<T>& m, const home_rows<T>& rows, const std::int32_t* components,
                                 const workspace_view<T>& ws) {
    vec<T> q[N][1] = {};
    add_squares<T, N, 1, Scaled>(
        m, ws.strip, [components](int i) { return components[i]; }, q);
    for (int n = 0; n < N; ++n) {
        const vec<T> lp = log_density_of(m, components[n], q[n][0]);
        for (std::int64_t i = 0; i < rows.count; ++i) {
            const std::int64_t at = strip_position(rows.row[i], slab_rows(m.components)) + components[n] * strip_rows;
            ws.log_densities[at] = lp[i];
            if (m.family == gmm::family::spherical)
                ws.distances[at] = q[n][0][i];
        }
    }
    return q[N - 1][0];
}

/// Lists the components but `home` that a row at squared distance q from its home may need.
template <class T>
static inline std::int64_t list_near(const model_view<T>& m, std::int32_t home, T q, std::int32_t* list) {
    const T* radii = m.radii + home * m.components;
    std::int64_t count = 0;
    for (std::int32_t k = 0; k < m.components; ++k) {
        list[count] = k;
        count += !(q < radii[k]) & (k != home);
    }
    return count;
}

/// Log-densities of rows of one home. Returns under how many components.
template <class T, bool Scaled>
static std::int64_t screen_home(const model_view<T>& m, std::int32_t home, const home_rows<T>& rows,
                                const workspace_view<T>& ws) {
    constexpr int at_once = 4;
    gather_rows(
        m.dimensions, ws.rows, [&](int i) { return rows.row[i]; },
        [&](std::int64_t j, vec<T> x) { store(ws.strip + j * strip_rows, x); });
    const vec<T> q = refine_near<T, 1, Scaled>(m, rows, &home, ws);
    T farthest = q[0];
    for (std::int64_t i = 1; i < rows.count; ++i)
        farthest = q[i] < farthest ? farthest : q[i];
    const std::int64_t count = list_near(m, home, farthest, ws.near);
    in_groups<at_once>(count, [&]<int N>(std::int64_t i) { refine_near<T, N, Scaled>(m, rows, ws.near + i, ws); });
    return 1 + count;
}

/// Log-densities of a block by screening. Returns the cost relative to that of the dense kernels.
template <class T, bool Scaled>
static double near_log_densities(const model_view<T>& m, const T* x, std::int64_t strips, const std::int32_t* homes,
                                 const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        lay_out_strip(distance_rows(m, x + s * d * strip_rows, ws), d, ws.rows + s * strip_rows * row_stride(d));
    for (std::int64_t i = 0; i < strips * slab; i += lanes<T>)
        store(ws.log_densities + i, minus_infinity<T>());
    sort_by_component(m, homes, strips * strip_rows, ws.listed, ws);
    std::int64_t pairs = 0;
    for (std::int32_t k = 0; k < m.components; ++k)
        for (std::int64_t at = k == 0 ? 0 : ws.starts[k - 1]; at < ws.starts[k]; at += lanes<T>) {
            home_rows<T> rows;
            rows.count = ws.starts[k] - at < lanes<T> ? ws.starts[k] - at : lanes<T>;
            for (std::int64_t i = 0; i < lanes<T>; ++i)
                rows.row[i] = ws.listed[i < rows.count ? at + i : at];
            pairs += lanes<T> * screen_home<T, Scaled>(m, k, rows, ws);
        }
    // In vector operations: a pair that is computed takes about as much again to be put in its place.
    const double pair = (Scaled ? 3 : 2) * static_cast<double>(d), dense = pair * static_cast<double>(m.components);
    const double rows = static_cast<double>(strips * strip_rows);
    return (static_cast<double>(pairs) / rows * (pair + placing_cost) + layout_cost * static_cast<double>(d)) / dense;
}

/// Log-densities, relative to reference_offset, of a block of a unit into the slab; −infinity is possible for pairs
/// outside the active set.
template <class T>
static void block_log_densities(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    if (m.family == gmm::family::full)
        return full_log_densities(m, b, ws);
    const std::int32_t* homes = b.unit.homes + b.first;
    const T* x = b.strip(m, 0);
    const bool known = ws.screen->homes_known && homes_are_known(homes, b.strips * strip_rows);
    ws.screen->laid_out = false;
    if (!known || skips_screen(*ws.screen) || !m.radii)
        return log_densities(m, x, b.strips, ws);
    ws.screen->laid_out = !m.whitener;
    note_screen(*ws.screen, m.family == gmm::family::diagonal
                                ? near_log_densities<T, true>(m, x, b.strips, homes, ws)
                                : near_log_densities<T, false>(m, x, b.strips, homes, ws));
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
