// Sums of a block of rows, full covariances: kernels in the namespace of one instruction set. Lanes are rows; float32
// accumulators take at most 64 products, then their lanes are added in float64 in a fixed order.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"
#include "kernels/cpu/gmm/moments.hpp"
#include "kernels/cpu/gmm/screen.hpp"

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

/// Whether to gather `active` rows of a block and sum over those alone, when a row costs `work` vector operations a
/// lane once it is in place. Decided by the data of the block, so that the order of every sum is.
template <class T>
static inline bool gathering_pays(std::int64_t active, std::int64_t rows, std::int64_t d, double work) {
    const double gathered = work + gather_cost * lanes<T> * static_cast<double>(d);
    return static_cast<double>(active) * gathered < static_cast<double>(rows) * (work + 2 * static_cast<double>(d));
}

/// The listed rows as columns of a panel, g (x − μ) and g; zeros up to a whole vector. Returns the number of columns.
template <class T>
static std::int64_t gathered_panel(const T* x, const T* mean, std::int64_t d, const T* column, std::int64_t slab_height,
                                   const std::int32_t* rows, std::int64_t count, T* panel, std::int64_t stride) {
    const std::int64_t columns = (count + lanes<T> - 1) / lanes<T> * lanes<T>;
    for (std::int64_t c = 0; c < count; ++c) {
        const T* row = x + strip_position(rows[c], d);
        const T g = column[strip_position(rows[c], slab_height)];
        for (std::int64_t j = 0; j < d; ++j)
            panel[j * stride + c] = (row[j * strip_rows] - mean[j]) * g;
        panel[d * stride + c] = g;
    }
    for (std::int64_t j = 0; j <= d; ++j)
        for (std::int64_t c = count; c < columns; ++c)
            panel[j * stride + c] = 0;
    return columns;
}

template <class T>
static void full_sums(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, height = slab_rows(m.components);
    const std::int64_t slab = height * strip_rows, stride = panel_stride(m.block_rows);
    for (std::int64_t k = 0; k < m.components; ++k) {
        if (ws.active[k] == 0)
            continue;
        const T *roots = ws.log_densities + k * strip_rows, *mean = m.means + k * d;
        std::int64_t columns = strips * strip_rows;
        if (gathering_pays<T>(ws.active[k], columns, d, static_cast<double>(triangle_size(d + 1)))) {
            const std::int64_t count = list_active(m, k, strips, ws);
            columns = gathered_panel(x, mean, d, roots, height, ws.listed, count, ws.panel, stride);
        } else {
            for (std::int64_t s = 0; s < strips; ++s)
                weighted_panel_strip(x + s * d * strip_rows, mean, d, roots + s * slab, ws.panel + s * strip_rows,
                                     stride);
        }
        rank_update(ws.panel, columns, stride, d, ws.partial + k * m.statistics);
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

/// Adds the sums of a block to ws.partial.
template <class T>
static void block_sums(const model_view<T>& m, const T* x, std::int64_t strips, std::int32_t* homes,
                       const workspace_view<T>& ws) {
    if (m.family != gmm::family::full)
        return moment_sums(m, x, strips, homes, ws);
    if (m.dimensions <= small_dimensions)
        with_count<small_dimensions>(m.dimensions, [&]<int D>() { small_full_sums<T, D>(m, x, strips, ws); });
    else
        full_sums(m, x, strips, ws);
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
