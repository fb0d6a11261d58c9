// Sums of a span of rows: of components with many active rows in a block over all its rows, of the others over the
// pairs of the span, together. Decided by the active sets of the block, so that the order of every sum is.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/full_moments.hpp"
#include "kernels/cpu/gmm/moments.hpp"
#include "kernels/cpu/gmm/near_slots.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Adds the sums of the listed pairs of a span, component by component, and empties the list.
template <class T>
static void grouped_sums(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    if (ws.screen->pairs == 0)
        return;
    lay_out_unit(m, unit, ws);
    sort_by_key(ws.pair_components, ws.screen->pairs, m.components, ws.starts, ws.sorted);
    const bool full = m.family == gmm::family::full;
    const std::int64_t most = full ? pairs_at_once : pair_capacity;
    for (std::int64_t k = 0, begin = 0; k < m.components; begin = ws.starts[k++])
        for (std::int64_t first = begin; first < ws.starts[k]; first += most) {
            const std::int64_t left = ws.starts[k] - first, count = left < most ? left : most;
            if (full)
                add_pairs(m, k, ws.sorted + first, count, ws);
            else
                add_listed(m, k, ws.sorted + first, count, ws);
        }
    ws.screen->pairs = 0;
}

template <class T>
static inline void add_pair(std::int64_t row, std::int64_t k, T weight, const workspace_view<T>& ws) {
    const std::int64_t pair = ws.screen->pairs++;
    ws.pair_rows[pair] = static_cast<std::int32_t>(row);
    ws.pair_components[pair] = static_cast<std::int32_t>(k);
    ws.pair_weights[pair] = weight;
}

/// Lists the pairs of component k in a block, of which there are ws.active[k]. Rows of cheap families that have not
/// been screened become at home there.
template <class T>
static void list_pairs(const model_view<T>& m, const unit_block<T>& b, std::int64_t k, const workspace_view<T>& ws) {
    if (ws.screen->pairs + ws.active[k] > pair_capacity)
        grouped_sums(m, b.unit, ws);
    const bool moves = m.family != gmm::family::full && ws.screen->near < 0;
    const std::int64_t count = list_active(m, k, b.strips, ws);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = b.first + ws.listed[i];
        add_pair(row, k, density_at(m, b, row, k, ws), ws);
        if (moves)
            move_home(b.unit, row, k);
    }
    ws.screen->homes_known = ws.screen->homes_known || moves;
}

/// Lists the pairs of a block from its slots. All of a span fit into the list.
template <class T>
static void list_slots(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    for_slots(m, b, ws, [&](std::int64_t row, std::int64_t k, T weight) {
        if (weight != T(0))
            add_pair(b.first + row, k, weight, ws);
    });
}

/// ‖x − μ‖² of spherical components that are summed over all rows of a block, where the dense kernels have not run.
template <class T>
static void find_distances(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    for (std::int64_t k = 0; k < m.components; ++k)
        for (std::int64_t row = 0; is_dense(ws, k) && row < b.strips * strip_rows; row += group_rows<T>) {
            vec<T> q[1][group_vectors] = {};
            add_squares<T, 1, group_vectors, false>(
                m, b.strip(m, row / strip_rows) + row % strip_rows, [k](int) { return k; }, q);
            T* to = ws.distances + strip_position(row, slab_rows(m.components)) + k * strip_rows;
            for (int v = 0; v < group_vectors; ++v)
                store(to + v * lanes<T>, q[0][v]);
        }
}

/// The sums of a block whose w r, of full covariances √(w r), are in the slab or in slots: adds those over all rows,
/// lists the pairs of the others.
template <class T>
static void block_sums(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    const T* x = b.strip(m, 0);
    const bool full = m.family == gmm::family::full;
    if (!gathers_rows(m.family, m.dimensions))
        return with_count<small_dimensions>(m.dimensions, [&]<int D>() { small_full_sums<T, D>(m, x, b.strips, ws); });
    if (full)
        choose_full(m, b.strips, ws);
    else
        choose_moments(m, b.strips, ws);
    bool dense = false;
    for (std::int64_t k = 0; k < m.components; ++k)
        dense = dense || is_dense(ws, k);
    if (ws.screen->near >= 0) {
        if (!dense)
            return list_slots(m, b, ws);
        spread_slots(m, b, T(0), ws);
        if (m.family == gmm::family::spherical)
            find_distances(m, b, ws);
    }
    for (std::int64_t k = 0; k < m.components; ++k)
        if (ws.choices[k] == moment_choice::active_rows)
            list_pairs(m, b, k, ws);
    if (dense && full)
        full_sums(m, x, b.strips, ws);
    else if (dense)
        moment_sums(m, x, b.strips, ws);
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
