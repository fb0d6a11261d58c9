// Sums of rows, full covariances: kernels in the namespace of one instruction set. Over all rows of a block lanes are
// rows, over pairs of a span columns; float32 accumulators take at most 64 products, then their lanes are added in
// float64 in a fixed order.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/unit_layout.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

inline constexpr int tile_columns = vector_registers == 32 ? 6 : 4;
inline constexpr int tile_rows = vector_registers == 32 ? 4 : 3;

/// One strip of a panel: rows g (x − μ) and, last, g = √(w r).
template <class T>
static inline void weighted_panel_strip(const T* x, const T* mean, std::int64_t d, const T* root, T* panel,
                                        std::int64_t stride) {
    vec<T> g[strip_rows / lanes<T>];
#pragma GCC unroll 4
    for (int v = 0; v < strip_rows / lanes<T>; ++v)
        g[v] = load(root + v * lanes<T>);
    for (std::int64_t j = 0; j < d; ++j) {
        const vec<T> m = broadcast(mean[j]);
#pragma GCC unroll 4
        for (int v = 0; v < strip_rows / lanes<T>; ++v)
            store(panel + j * stride + v * lanes<T>, (load(x + j * strip_rows + v * lanes<T>) - m) * g[v]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < strip_rows / lanes<T>; ++v)
        store(panel + d * stride + v * lanes<T>, g[v]);
}

/// sums[a, b] = Σ over the columns begin ... end − 1 of row a of `left` times row b of `right`.
template <class T, int A, int B>
static inline void panel_tile(const T* left, const T* right, std::int64_t begin, std::int64_t end, std::int64_t stride,
                              double (&sums)[A * B]) {
    vec<T> sum[A * B] = {};
    for (std::int64_t c = begin; c < end; c += lanes<T>) {
        vec<T> row[A];
#pragma GCC unroll 8
        for (int a = 0; a < A; ++a)
            row[a] = load(left + a * stride + c);
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b) {
            const vec<T> column = load(right + b * stride + c);
#pragma GCC unroll 8
            for (int a = 0; a < A; ++a)
                sum[a * B + b] += row[a] * column;
        }
    }
    lane_sums<T>(sum, sums);
}

/// Adds rows i ... and columns j ... of the product of the panel with itself to the statistics of a full component: the
/// upper triangle; the last column holds Σ g² z and, last, Σ g².
template <int A, int B>
static inline void add_tile(std::int64_t d, std::int64_t i, std::int64_t j, const double (&sums)[A * B],
                            double* stats) {
    const std::int64_t columns = j + B <= d ? B : B - 1;
    for (int a = 0; a < A; ++a) {
        const std::int64_t row = i + a;
        double* second = stats + 1 + d + row * d - row * (row - 1) / 2 - row + j; // (row, j), if it is there
        for (std::int64_t b = row > j ? row - j : 0; b < columns; ++b)
            second[b] += sums[a * B + b];
        if (columns < B)
            stats[row < d ? 1 + row : 0] += sums[a * B + B - 1];
    }
}

/// Σ g² [1, z, upper z zᵀ] from the first `count` columns of a panel, added to the statistics of a full component.
template <class T>
static void rank_update(const T* panel, std::int64_t count, std::int64_t stride, std::int64_t d, double* stats) {
    constexpr std::int64_t chain = flush_strips<T> * strip_rows;
    for (std::int64_t begin = 0; begin < count; begin += chain) {
        const std::int64_t end = begin + chain < count ? begin + chain : count;
        in_even_parts<tile_rows>(d + 1, [&]<int A>(std::int64_t i) {
            in_even_parts<tile_columns>(d + 1 - i, [&]<int B>(std::int64_t j) {
                double sums[A * B];
                panel_tile<T, A, B>(panel + i * stride, panel + (i + j) * stride, begin, end, stride, sums);
                add_tile<A, B>(d, i, i + j, sums, stats);
            });
        });
    }
}

/// Vector operations, times lanes, of one pair in pair_tile.
template <class T>
static inline double pair_work(std::int64_t d) {
    const std::int64_t vectors = (d + lanes<T> - 1) / lanes<T>;
    std::int64_t sum = vectors;
    for (std::int64_t v = 0; v < vectors; ++v)
        sum += (d - v * lanes<T> < lanes<T> ? d - v * lanes<T> : lanes<T>)*(vectors - v);
    return static_cast<double>(sum * lanes<T>);
}

/// Adds sums over a pair's row z and its weight: for rows i ... i + A − 1 of Σ z zᵀ, or with A = 1 for Σ g z, V vectors
/// of columns from `column` on. `left` holds the factors of the rows.
template <class T, int A, int V>
static inline void pair_tile(const T* left, const T* right, std::int64_t count, std::int64_t stride,
                             vec<T> (&sum)[A][V]) {
    for (std::int64_t n = 0; n < count; ++n, left += stride, right += stride)
        add_outer(left, right, sum);
}

/// Adds the lanes from `first` on of a vector of columns to the numbers at `to`, as many as there are columns before
/// `end`.
template <class T>
static inline void add_columns(double* to, vec<T> sum, std::int64_t first, std::int64_t end) {
    if (first <= 0 && end >= lanes<T>)
        return add_lanes_anywhere(to, sum);
    for (std::int64_t c = first > 0 ? first : 0; c < (end < lanes<T> ? end : lanes<T>); ++c)
        to[c] += static_cast<double>(sum[c]);
}

/// Rows and vectors of columns of a tile.
inline constexpr int pair_rows = vector_registers == 32 ? 6 : 3, pair_vectors = vector_registers == 32 ? 4 : 3;

/// Adds Σ z zᵀ, from row i on, of `count` rows of a panel to the statistics of a full component.
template <class T>
static void add_products(const T* panel, std::int64_t count, std::int64_t d, double* stats) {
    const std::int64_t stride = pair_stride(d);
    in_even_parts<pair_rows>(d, [&]<int A>(std::int64_t i) {
        const std::int64_t begin = i / lanes<T>, vectors = (d + lanes<T> - 1) / lanes<T> - begin;
        in_even_parts<pair_vectors>(vectors, [&]<int V>(std::int64_t at) {
            const std::int64_t column = (begin + at) * lanes<T>;
            vec<T> sum[A][V] = {};
            pair_tile<T, A, V>(panel + i, panel + column, count, stride, sum);
            for (int a = 0; a < A; ++a)
                for (int v = 0; v < V; ++v) {
                    const std::int64_t row = i + a, j = column + v * lanes<T>;
                    // (row, j), if it is there.
                    double* second = stats + 1 + d + row * d - row * (row - 1) / 2 - row + j;
                    add_columns<T>(second, sum[a][v], row - j, d - j);
                }
        });
    });
}

/// Adds the sums of `count` ≤ 64 listed pairs of component k.
template <class T>
static void add_pairs(const model_view<T>& m, std::int64_t k, const std::int32_t* pairs, std::int64_t count,
                      const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, columns = row_stride(d), stride = pair_stride(d);
    double* stats = ws.partial + k * m.statistics;
    T* mean = ws.strip; // with zeros at its end
    for (std::int64_t j = 0; j < columns; ++j)
        mean[j] = j < d ? m.means[k * d + j] : T(0);
    double total = 0;
    for (std::int64_t n = 0; n < count; ++n) {
        const T* row = ws.rows + ws.pair_rows[pairs[n]] * columns;
        const T g = ws.pair_weights[pairs[n]];
        for (std::int64_t j = 0; j < columns; j += lanes<T>)
            store(ws.panel + n * stride + j, (load(row + j) - load(mean + j)) * broadcast(g));
        ws.panel[n * stride + columns] = g;
        total += static_cast<double>(g * g);
    }
    stats[0] += total;
    for (std::int64_t j = 0; j < d; j += lanes<T>) {
        vec<T> sum[1][1] = {};
        pair_tile<T, 1, 1>(ws.panel + columns, ws.panel + j, count, stride, sum);
        add_columns<T>(stats + 1 + j, sum[0][0], 0, d - j);
    }
    add_products(ws.panel, count, d, stats);
}

/// Chooses for each component by what its sums cost, in vector operations.
template <class T>
static void choose_full(const model_view<T>& m, std::int64_t strips, const workspace_view<T>& ws) {
    const auto columns = static_cast<double>(m.dimensions), rows = static_cast<double>(strips * strip_rows);
    const double dense = rows * (static_cast<double>(triangle_size(m.dimensions + 1)) + 2 * columns);
    const double pair = pair_work<T>(m.dimensions) + gather_cost * columns;
    for (std::int64_t k = 0; k < m.components; ++k)
        ws.choices[k] = ws.active[k] == 0                                  ? moment_choice::none
                        : static_cast<double>(ws.active[k]) * pair < dense ? moment_choice::active_rows
                                                                           : moment_choice::all_rows;
}

/// Adds the sums over all rows of the block of the components that this was chosen for, from the slab.
template <class T>
static void full_sums(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, stride = panel_stride(m.block_rows);
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t k = 0; k < m.components; ++k) {
        if (ws.choices[k] != moment_choice::all_rows)
            continue;
        const T *roots = ws.log_densities + k * strip_rows, *mean = m.means + k * d;
        for (std::int64_t s = 0; s < strips; ++s)
            weighted_panel_strip(x + s * d * strip_rows, mean, d, roots + s * slab, ws.panel + s * strip_rows, stride);
        rank_update(ws.panel, strips * strip_rows, stride, d, ws.partial + k * m.statistics);
    }
}

/// Full covariances of at most 4 dimensions: all statistics of a component in registers.
template <class T, int D>
static void small_full_sums(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    constexpr int size = 1 + D + D * (D + 1) / 2;
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t k = 0; k < m.components; ++k) {
        if (ws.active[k] == 0)
            continue;
        for (std::int64_t begin = 0; begin < strips; begin += flush_strips<T>) {
            const std::int64_t end = begin + flush_strips<T> < strips ? begin + flush_strips<T> : strips;
            vec<T> sum[size] = {};
            vec<T> mean[D];
#pragma GCC unroll 4
            for (int j = 0; j < D; ++j)
                mean[j] = broadcast(m.means[k * D + j]);
            for (std::int64_t s = begin; s < end; ++s)
                for (int v = 0; v < strip_rows; v += lanes<T>) {
                    const vec<T> r = load(ws.log_densities + s * slab + k * strip_rows + v);
                    vec<T> z[D];
#pragma GCC unroll 4
                    for (int j = 0; j < D; ++j)
                        z[j] = load(x + (s * D + j) * strip_rows + v) - mean[j];
                    sum[0] += r;
                    int entry = 1 + D;
#pragma GCC unroll 4
                    for (int i = 0; i < D; ++i) {
                        const vec<T> weighted = r * z[i];
                        sum[1 + i] += weighted;
#pragma GCC unroll 4
                        for (int j = i; j < D; ++j)
                            sum[entry++] += weighted * z[j];
                    }
                }
#pragma GCC unroll 16
            for (int i = 0; i < size; ++i)
                ws.partial[k * size + i] += sum_lanes(to_double_lanes(sum[i]));
        }
    }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
