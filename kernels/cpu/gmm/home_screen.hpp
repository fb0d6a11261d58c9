// The pairs of a unit of full covariances that may count, found from the homes of its rows.
//
// ‖U_kᵀ (x − μ_k)‖ ≥ ‖U_kᵀ (μ_a − μ_k)‖ − ‖U_k‖ ‖x − μ_a‖ bounds the log-densities under component k of all rows at
// home in a at once (packed_model::find_separations). Those that it leaves are bounded by partial sums of squares, as
// in screen.hpp, up to the exact log-density.
#pragma once

#include "kernels/cpu/gmm/unit_layout.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Lists the components but `home` that one of the listed rows at home there may need. Returns how many.
template <class T>
static std::int64_t list_near_home(const model_view<T>& m, std::int64_t home, const std::int32_t* rows,
                                   std::int64_t count, const workspace_view<T>& ws) {
    T limit = ws.row_limits[rows[0]], reach = ws.home_reaches[rows[0]];
    for (std::int64_t i = 1; i < count; ++i) {
        limit = ws.row_limits[rows[i]] < limit ? ws.row_limits[rows[i]] : limit;
        reach = ws.home_reaches[rows[i]] > reach ? ws.home_reaches[rows[i]] : reach;
    }
    // c_k − ½ q < limit, q as computed; offsets are not above zero.
    const T slack = rounding_slack<T>(m.dimensions), magnitude = limit < 0 ? -limit : limit;
    const vec<T> least = broadcast(-limit + slack * (magnitude + m.threshold));
    const T* separations = m.separations + home * near_stride(m.components);
    std::int64_t near = 0;
    for (std::int64_t k = 0; k < m.components; k += lanes<T>) {
        const vec<T> root = load(separations + k) - load(m.stretches + k) * broadcast(reach);
        const vec<T> needed = load(m.offsets + k) * broadcast(1 - slack) + least;
        const vec_mask<T> out = (root > T(0)) & (broadcast(T(0.5) * (1 - slack)) * root * root > needed);
        for (unsigned bits = mask_bits(~out); bits != 0; bits &= bits - 1) {
            const std::int64_t component = k + __builtin_ctz(bits);
            if (component != home)
                ws.near[near++] = static_cast<std::int32_t>(component);
        }
    }
    return near;
}

/// Calls f(home, rows, count, near) for up to a vector of rows of one home at a time; `near` are listed in ws.near.
template <class T, class F>
static inline void for_home_rows(const model_view<T>& m, const workspace_view<T>& ws, const F& f) {
    for (std::int64_t k = 0, begin = 0; k < m.components; begin = ws.starts[k++])
        for (std::int64_t at = begin; at < ws.starts[k]; at += lanes<T>) {
            const std::int64_t left = ws.starts[k] - at, count = left < lanes<T> ? left : lanes<T>;
            f(k, ws.sorted + at, count, list_near_home(m, k, ws.sorted + at, count, ws));
        }
}

/// Squares of whole groups of outputs before `end` added to q, from output `first` on, while some row's bound reaches
/// its limit; z = x − μ. Returns the outputs that are in q.
template <class T>
static inline std::int64_t bound_rows(const model_view<T>& m, std::int64_t k, const T* x, vec<T> limits, T* z,
                                      vec<T> (&q)[1]) {
    const T *mean = m.means + k * m.dimensions, *u = m.factors + k * m.triangle;
    std::int64_t first = 0;
    for (; first + triangle_outputs <= m.dimensions; first += triangle_outputs) {
#pragma GCC unroll 8
        for (int j = 0; j < triangle_outputs; ++j)
            store(z + (first + j) * strip_rows, load(x + (first + j) * lanes<T>) - mean[first + j]);
        u = squared_outputs<T, triangle_outputs, 1>(z, u, first, q);
        const vec_mask<T> in = broadcast(m.offsets[k]) - T(0.5) * q[0] >= limits;
        if (mask_bits(in) == 0)
            return first + triangle_outputs;
    }
    for (std::int64_t j = first; j < m.dimensions; ++j)
        store(z + j * strip_rows, load(x + j * lanes<T>) - mean[j]);
    if (first < m.dimensions)
        with_count<triangle_outputs>(m.dimensions - first, [&]<int N>() { squared_outputs<T, N, 1>(z, u, first, q); });
    return m.dimensions;
}

/// Lists the pairs of rows of one home and the components near it that may count, with their log-densities. Returns
/// what that cost, in vector operations; the list may turn out too short, then ws.screen->near is more than it holds.
template <class T>
static std::int64_t list_near_pairs(const model_view<T>& m, const unit_view<T>& unit, const std::int32_t* rows,
                                    std::int64_t count, std::int64_t near, const workspace_view<T>& ws) {
    alignas(vector_bytes) T limits[lanes<T>], lp[lanes<T>];
    for (std::int64_t i = 0; i < lanes<T>; ++i)
        limits[i] = i < count ? ws.row_limits[rows[i]] : static_cast<T>(__builtin_inf());
    T* x = ws.panel;
    gather_rows(
        m.dimensions, ws.rows, [&](int i) { return rows[i < count ? i : count - 1]; },
        [&](std::int64_t j, vec<T> column) { store(x + j * lanes<T>, column); });
    std::int64_t cost = 0;
    for (std::int64_t n = 0; n < near; ++n) {
        const std::int32_t k = ws.near[n];
        vec<T> q[1] = {};
        const std::int64_t outputs = bound_rows(m, k, x, load(limits), ws.strip, q);
        cost += triangle_size(outputs) + 3 * outputs;
        if (outputs < m.dimensions)
            continue;
        store_log_density(lp, m.offsets[k], q);
        for (std::int64_t i = 0; i < count; ++i) {
            if (!(lp[i] >= limits[i]))
                continue;
            if (const std::int64_t pair = ws.screen->near++; pair < pair_capacity)
                ws.near_rows[pair] = rows[i], ws.near_components[pair] = k, ws.near_densities[pair] = lp[i];
            if (lp[i] > ws.home_densities[rows[i]])
                unit.homes[rows[i]] = k;
        }
    }
    return cost;
}

/// All pairs of a unit that may count, from the components near the homes of its rows, where that costs less than
/// looking at prefixes; else none, and ws.screen->near is −1.
template <class T>
static void find_near_pairs(const model_view<T>& m, const unit_view<T>& unit, std::int64_t rows,
                            const workspace_view<T>& ws) {
    ws.screen->near = -1;
    if (!m.separations)
        return;
    std::int64_t vectors = 0, cost = 0;
    for_home_rows(m, ws, [&](std::int64_t, const std::int32_t*, std::int64_t, std::int64_t near) { vectors += near; });
    if (2 * vectors * lanes < T >> m.components * rows)
        return;
    ws.screen->near = 0;
    for_home_rows(m, ws, [&](std::int64_t, const std::int32_t* listed, std::int64_t count, std::int64_t near) {
        cost += list_near_pairs(m, unit, listed, count, near, ws);
    });
    ws.screen->near_cost = static_cast<double>(cost) / static_cast<double>(rows);
    if (ws.screen->near > pair_capacity)
        ws.screen->near = -1;
}

/// Before the blocks of a unit: the log-densities of its rows at home, where they have homes and screening may pay.
template <class T>
static void begin_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    ws.screen->at_home = false;
    ws.screen->pairs = 0;
    if (!gathers_rows(m.family, m.dimensions))
        return;
    ws.screen->laid_out = false;
    const std::int64_t rows = (unit.rows + strip_rows - 1) / strip_rows * strip_rows;
    if (!unit.homes || unit.log_factors || ws.screen->skip * m.block_rows >= rows ||
        !homes_are_known(unit.homes, unit.rows))
        return;
    for (std::int64_t i = 0; i < rows; ++i)
        ws.nearest[i] = unit.homes[i] < 0 ? 0 : unit.homes[i];
    find_limits(m, unit, 0, rows, ws);
    ws.screen->at_home = true;
    find_near_pairs(m, unit, rows, ws);
}

/// Log-densities of a block from the pairs that have been found.
template <class T>
static void place_near_pairs(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows, end = b.first + b.strips * strip_rows;
    for (std::int64_t i = 0; i < b.strips * slab; i += lanes<T>)
        store(ws.log_densities + i, minus_infinity<T>());
    for (std::int64_t row = b.first; row < end; ++row)
        density_at(m, b, row, ws.nearest[row], ws) = ws.home_densities[row];
    for (std::int64_t pair = 0; pair < ws.screen->near; ++pair)
        if (ws.near_rows[pair] >= b.first && ws.near_rows[pair] < end)
            density_at(m, b, ws.near_rows[pair], ws.near_components[pair], ws) = ws.near_densities[pair];
}

/// Distances of a strip of means from all components (kernel_table::separate).
template <class T>
static void separate_means(const model_view<T>& m, const T* means, T* z, T* squares, T* lengths) {
    const std::int64_t d = m.dimensions;
    for (std::int64_t k = 0; k < m.components; ++k) {
        centre_strip(means, m.means + k * d, d, z);
        for (std::int64_t g = 0; g < strip_rows; g += group_rows<T>) {
            vec<T> q[group_vectors], length[group_vectors] = {};
            triangular_squares<T, group_vectors>(z + g, m.factors + k * m.triangle, d, q);
            for (std::int64_t j = 0; j < d; ++j)
                for (int v = 0; v < group_vectors; ++v) {
                    const vec<T> x = load(z + j * strip_rows + g + v * lanes<T>);
                    length[v] += x * x;
                }
            for (int v = 0; v < group_vectors; ++v) {
                store(squares + k * strip_rows + g + v * lanes<T>, q[v]);
                store(lengths + k * strip_rows + g + v * lanes<T>, length[v]);
            }
        }
    }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
