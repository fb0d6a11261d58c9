// Sums of a block of rows, all families but full: Σ r, Σ r t and, by family, Σ r t² or Σ r ‖t‖², t = x − μ.
//
// A group of components with many active rows is summed over all rows of the block, lanes being rows; one with few over
// its active rows alone, with those of the other blocks of the span, lanes being columns. Which one it is follows from
// the active sets of the block, so the order of every sum does. float32 accumulators take at most 64 products and are
// then added in float64.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/core/tiling.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// What the sums of a block are made of and where they go.
template <class T>
struct moment_task {
    const model_view<T>& m;
    const workspace_view<T>& ws;
    const T* x;
    std::int64_t strips;
    const T* distances; ///< slab of ‖t‖², or null

    std::int64_t slab() const { return slab_rows(m.components) * strip_rows; }
    double* statistics(std::int64_t k) const { return ws.partial + k * m.statistics; }
};

// --- over all rows
// ----------------------------------------------------------------------------------------------------

/// Coordinates and components of a tile of first (and second) moments.
inline constexpr int moment_columns = vector_registers == 32 ? 4 : 2;
inline constexpr int moment_components = vector_registers == 32 ? 3 : 2;

/// For N components from k on and B coordinates from j on, which lie in the panel: Σ r t and, with Second, Σ r t².
template <class T, int N, int B, bool Second>
static void moment_tile(const moment_task<T>& task, std::int64_t k, std::int64_t j) {
    const std::int64_t d = task.m.dimensions, slab = task.slab(), stride = panel_stride(task.m.block_rows);
    const T *columns = task.ws.panel, *slab_first = task.ws.log_densities, *means = task.m.means;
    for (std::int64_t begin = 0; begin < task.strips; begin += flush_strips<T>) {
        const std::int64_t end = begin + flush_strips<T> < task.strips ? begin + flush_strips<T> : task.strips;
        vec<T> first[N * B] = {}, second[N * B] = {};
        for (std::int64_t s = begin; s < end; ++s)
            for (int v = 0; v < strip_rows; v += lanes<T>) {
                vec<T> r[N];
#pragma GCC unroll 8
                for (int i = 0; i < N; ++i)
                    r[i] = load(slab_first + s * slab + (k + i) * strip_rows + v);
#pragma GCC unroll 8
                for (int b = 0; b < B; ++b) {
                    const vec<T> x = load(columns + b * stride + s * strip_rows + v);
#pragma GCC unroll 8
                    for (int i = 0; i < N; ++i) {
                        const vec<T> t = x - means[(k + i) * d + j + b];
                        const vec<T> weighted = r[i] * t;
                        first[i * B + b] += weighted;
                        if constexpr (Second)
                            second[i * B + b] += weighted * t;
                    }
                }
            }
        double sums[N * B], squares[N * B];
        lane_sums<T>(first, sums);
        if constexpr (Second)
            lane_sums<T>(second, squares);
        for (int i = 0; i < N; ++i)
            for (int b = 0; b < B; ++b) {
                double* stats = task.statistics(k + i);
                stats[1 + j + b] += sums[i * B + b];
                if constexpr (Second)
                    stats[1 + d + j + b] += squares[i * B + b];
            }
    }
}

/// Σ r and, where there are distances, Σ r ‖t‖² of component k.
template <class T>
static void component_totals(const moment_task<T>& task, std::int64_t k) {
    double* stats = task.statistics(k);
    for (std::int64_t begin = 0; begin < task.strips; begin += flush_strips<T>) {
        const std::int64_t end = begin + flush_strips<T> < task.strips ? begin + flush_strips<T> : task.strips;
        vec<T> total{}, spread{};
        for (std::int64_t s = begin; s < end; ++s)
            for (int v = 0; v < strip_rows; v += lanes<T>) {
                const std::int64_t at = s * task.slab() + k * strip_rows + v;
                const vec<T> r = load(task.ws.log_densities + at);
                total += r;
                if (task.distances)
                    spread += r * load(task.distances + at);
            }
        stats[0] += sum_lanes(to_double_lanes(total));
        if (task.distances)
            stats[1 + task.m.dimensions] += sum_lanes(to_double_lanes(spread));
    }
}

/// Whether component k, and with it its group in moments over all rows, is summed over all rows.
template <class T>
static inline bool is_dense(const workspace_view<T>& ws, std::int64_t k) {
    return ws.choices[k] == moment_choice::all_rows;
}

/// The sums of the components that are summed over all rows.
template <class T, bool Second>
static void dense_moments(const moment_task<T>& task) {
    const std::int64_t d = task.m.dimensions, stride = panel_stride(task.m.block_rows);
    for (std::int64_t k = 0; k < task.m.components; ++k)
        if (is_dense(task.ws, k))
            component_totals(task, k);
    in_even_parts<moment_columns>(d, [&]<int B>(std::int64_t j) {
        // B columns in one piece: read again for every group of components.
        for (std::int64_t s = 0; s < task.strips; ++s)
            for (int b = 0; b < B; ++b)
                for (int v = 0; v < strip_rows; v += lanes<T>)
                    store(task.ws.panel + b * stride + s * strip_rows + v,
                          load(task.x + (s * d + j + b) * strip_rows + v));
        in_even_parts<moment_components>(task.m.components, [&]<int N>(std::int64_t k) {
            if (is_dense(task.ws, k))
                moment_tile<T, N, B, Second>(task, k, j);
        });
    });
}

// --- over active rows
// -------------------------------------------------------------------------------------------------

/// Adds Σ r t and, with Second, Σ r t² over the listed rows to `first` and `second`, for V vectors of columns.
template <class T, int V, bool Second>
static void listed_tile(const workspace_view<T>& ws, std::int64_t count, const T* rows, std::int64_t stride,
                        const T* mean, double* first, double* second) {
    constexpr std::int64_t chain = 64;
    vec<T> centre[V];
    for (int v = 0; v < V; ++v)
        centre[v] = load(mean + v * lanes<T>);
    for (std::int64_t begin = 0; begin < count; begin += chain) {
        const std::int64_t end = begin + chain < count ? begin + chain : count;
        vec<T> sum[V] = {}, squares[V] = {};
        for (std::int64_t i = begin; i < end; ++i) {
            const T* row = rows + ws.listed[i] * stride;
            const vec<T> r = broadcast(ws.listed_weights[i]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                const vec<T> t = load(row + v * lanes<T>) - centre[v];
                const vec<T> weighted = r * t;
                sum[v] += weighted;
                if constexpr (Second)
                    squares[v] += weighted * t;
            }
        }
        for (int v = 0; v < V; ++v) {
            add_lanes(first + v * lanes<T>, sum[v]);
            if constexpr (Second)
                add_lanes(second + v * lanes<T>, squares[v]);
        }
    }
}

/// Vectors of columns that a tile has in registers.
inline constexpr int listed_vectors = vector_registers == 32 ? 4 : 2;

/// The moments of component k over the `count` listed rows of the span; of spherical ones Σ r ‖t‖² from Σ r t².
template <class T, bool Second>
static void listed_moments(const model_view<T>& m, std::int64_t k, std::int64_t count, const workspace_view<T>& ws) {
    constexpr std::int64_t at_once = listed_vectors * lanes<T>;
    const std::int64_t d = m.dimensions, stride = row_stride(d);
    const bool spherical = m.family == gmm::family::spherical;
    double* stats = ws.partial + k * m.statistics + 1;
    for (std::int64_t j = 0; j < d; j += at_once) {
        const std::int64_t columns = d - j < at_once ? d - j : at_once;
        alignas(vector_bytes) T mean[at_once] = {};
        alignas(vector_bytes) double first[at_once] = {}, second[at_once] = {};
        for (std::int64_t c = 0; c < columns; ++c)
            mean[c] = m.means[k * d + j + c];
        with_count<listed_vectors>((columns + lanes<T> - 1) / lanes<T>, [&]<int V>() {
            listed_tile<T, V, Second>(ws, count, ws.rows + j, stride, mean, first, second);
        });
        for (std::int64_t c = 0; c < columns; ++c) {
            stats[j + c] += first[c];
            if constexpr (Second)
                stats[spherical ? d : d + j + c] += second[c];
        }
    }
}

/// Adds the sums of the listed pairs of component k, one a row.
template <class T>
static void add_listed(const model_view<T>& m, std::int64_t k, const std::int32_t* pairs, std::int64_t count,
                       const workspace_view<T>& ws) {
    double total = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        ws.listed[i] = ws.pair_rows[pairs[i]];
        ws.listed_weights[i] = ws.pair_weights[pairs[i]];
        total += static_cast<double>(ws.listed_weights[i]);
    }
    ws.partial[k * m.statistics] += total;
    if (gmm::is_tied(m.family))
        listed_moments<T, false>(m, k, count, ws);
    else
        listed_moments<T, true>(m, k, count, ws);
}

// --- the choice
// -------------------------------------------------------------------------------------------------------

/// Vector operations that listing one row and laying out one vector of columns of a row cost.
inline constexpr std::int64_t listing_cost = 6, row_cost = 6;

/// Chooses for each group of components by what their sums cost, in vector operations.
template <class T>
static void choose_moments(const model_view<T>& m, std::int64_t strips, const workspace_view<T>& ws) {
    const bool diagonal = m.family == gmm::family::diagonal;
    const std::int64_t rows = strips * strip_rows, d = m.dimensions, vectors = row_stride(d) / lanes<T>;
    const std::int64_t all_rows = rows / lanes<T> * (d * (diagonal ? 3 : 2) + 2);
    const std::int64_t one_row = vectors * (gmm::is_tied(m.family) ? 5 : 6) + listing_cost;
    std::int64_t saved = -rows * vectors * row_cost;
    const auto choose = [&](bool sparse_pays) {
        in_even_parts<moment_components>(m.components, [&]<int N>(std::int64_t k) {
            std::int64_t active = 0;
            for (int i = 0; i < N; ++i)
                active += ws.active[k + i];
            const bool few = sparse_pays && active * one_row < N * all_rows;
            for (int i = 0; i < N; ++i)
                ws.choices[k + i] = active == 0 ? moment_choice::none
                                    : few       ? moment_choice::active_rows
                                                : moment_choice::all_rows;
            if (few && active > 0)
                saved += N * all_rows - active * one_row;
        });
    };
    choose(true);
    if (saved <= 0)
        choose(false);
}

/// Adds the sums over all rows of the block of the components that this was chosen for, from the slab.
template <class T>
static void moment_sums(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    const moment_task<T> task{m, ws, x, strips, m.family == gmm::family::spherical ? ws.distances : nullptr};
    if (m.family == gmm::family::diagonal)
        dense_moments<T, true>(task);
    else
        dense_moments<T, false>(task);
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
