// Screening of full covariances: log-densities of those pairs alone that can be in an active set (docs/kernels.md
// section 2).
//
// The first outputs of Uᵀ (x − μ) give a partial sum of squares. Adding squares never lowers a sum, under rounding
// neither, so c − ½ partial bounds the log-density from above in the very arithmetic of the whole. A row's component
// with the largest bound gets its exact log-density, a lower bound of m_n; pairs whose upper bound is below that less Θ
// are outside the active set and become −infinity. The others are computed by the same operations as in the dense
// kernels, so screening changes no bit.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Whether to take a block densely because leaving pairs out did not pay in those before.
static inline bool skips_screen(screen_state& state) {
    if (state.skip == 0)
        return false;
    --state.skip;
    return true;
}

/// Learns from the cost of a block whose pairs were screened, relative to that of the dense kernels.
static inline void note_screen(screen_state& state, double cost) {
    constexpr int longest_pause = 64;
    if (cost < 0.9) {
        state.pause = 0;
        return;
    }
    state.pause = state.pause == 0 ? 8 : state.pause < longest_pause ? 2 * state.pause : longest_pause;
    state.skip = state.pause;
}

/// Outputs of the partial sums, in whole groups; 0 where screening cannot pay.
template <class T>
static inline std::int64_t screened_outputs(const model_view<T>& m) {
    if (m.family != gmm::family::full || m.dimensions < 12 || m.components < 4)
        return 0;
    return m.dimensions < 32 ? 6 : m.dimensions < 48 ? 12 : 18;
}

/// Vector operations that fetching one coordinate of one row out of its strip costs.
inline constexpr double gather_cost = 2.5;

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

/// The nearest component of every row by upper bound.
template <class T>
static void find_nearest(const model_view<T>& m, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            const vec_mask<T> best = largest_component(ws.log_densities + s * slab + v, m.components);
            for (int i = 0; i < lanes<T>; ++i)
                ws.nearest[s * strip_rows + v + i] = static_cast<std::int32_t>(best[i]);
        }
}

/// Exact log-densities of `count` ≤ 64 listed rows under component k, into the slab.
template <class T>
static void refine_chunk(const model_view<T>& m, const T* x, std::int64_t k, const std::int32_t* rows,
                         std::int64_t count, const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions;
    const T* mean = m.means + k * d;
    T* z = ws.strip;
    for (std::int64_t c = 0; c < count; ++c) {
        const T* row = x + strip_position(rows[c], d);
        for (std::int64_t j = 0; j < d; ++j)
            z[j * strip_rows + c] = row[j * strip_rows] - mean[j];
    }
    alignas(vector_bytes) T lp[strip_rows];
    for (std::int64_t g = 0; g < count; g += group_rows<T>) {
        const auto part = [&]<int V>() {
            vec<T> q[V];
            triangular_squares<T, V>(z + g, m.factors + k * m.triangle, d, q);
            store_log_density(lp + g, m.offsets[k], q);
        };
        if (count - g <= lanes<T>)
            part.template operator()<1>();
        else if (count - g <= 2 * lanes<T>)
            part.template operator()<2>();
        else
            part.template operator()<group_vectors>();
    }
    T* slab = ws.log_densities + k * strip_rows;
    for (std::int64_t c = 0; c < count; ++c)
        slab[strip_position(rows[c], slab_rows(m.components))] = lp[c];
}

template <class T>
static void refine(const model_view<T>& m, const T* x, std::int64_t k, const std::int32_t* rows, std::int64_t count,
                   const workspace_view<T>& ws) {
    for (std::int64_t first = 0; first < count; first += strip_rows)
        refine_chunk(m, x, k, rows + first, count - first < strip_rows ? count - first : strip_rows, ws);
}

/// Sorts the rows of a block by component_of(row) into ws.listed; those of component k end at ws.starts[k].
template <class T, class F>
static void sort_rows(const model_view<T>& m, std::int64_t rows, const workspace_view<T>& ws, const F& component_of) {
    for (std::int64_t k = 0; k <= m.components; ++k)
        ws.starts[k] = 0;
    for (std::int64_t i = 0; i < rows; ++i)
        ++ws.starts[component_of(i) + 1];
    for (std::int64_t k = 0; k < m.components; ++k)
        ws.starts[k + 1] += ws.starts[k];
    for (std::int64_t i = 0; i < rows; ++i)
        ws.listed[ws.starts[component_of(i)]++] = static_cast<std::int32_t>(i);
}

/// Exact log-densities of the nearest components, and from them the limit below which a pair does not count.
template <class T>
static void refine_nearest(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t rows = strips * strip_rows;
    sort_rows(m, rows, ws, [&](std::int64_t row) { return ws.nearest[row]; });
    for (std::int64_t k = 0, first = 0; k < m.components; first = ws.starts[k++])
        refine(m, x, k, ws.listed + first, ws.starts[k] - first, ws);
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t at = strip_position(i, slab_rows(m.components)) + ws.nearest[i] * strip_rows;
        ws.row_limits[i] = ws.log_densities[at] - m.threshold;
    }
}

/// Lists the rows whose bound under component k reaches their limit and that are not done; the others that are not done
/// become −infinity.
template <class T>
static std::int64_t list_survivors(const model_view<T>& m, std::int64_t k, std::int64_t strips,
                                   const workspace_view<T>& ws) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    std::int64_t count = 0;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            T* bounds = ws.log_densities + s * slab + k * strip_rows + v;
            const vec<T> bound = load(bounds);
            const std::int64_t first = s * strip_rows + v;
            const vec_mask<T> in = bound >= load(ws.row_limits + first);
            store(bounds, in ? bound : minus_infinity<T>());
            for (unsigned bits = mask_bits(in); bits != 0; bits &= bits - 1) {
                const std::int64_t row = first + __builtin_ctz(bits);
                if (ws.nearest[row] != k)
                    ws.listed[count++] = static_cast<std::int32_t>(row);
            }
        }
    return count;
}

/// Log-densities of a block by screening. Returns the cost relative to that of the dense kernels.
template <class T>
static double screened_log_densities(const model_view<T>& m, const T* x, std::int64_t strips, std::int64_t outputs,
                                     const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, slab = slab_rows(m.components) * strip_rows, rows = strips * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        full_strip(m, x + s * d * strip_rows, outputs, ws.strip, ws.log_densities + s * slab);
    find_nearest(m, strips, ws);
    refine_nearest(m, x, strips, ws);
    // In vector operations a row.
    const double dense = static_cast<double>(m.triangle) / lanes<T>;
    const double gathered = dense + gather_cost * static_cast<double>(d);
    double cost = static_cast<double>(m.components * rows) * static_cast<double>(triangle_size(outputs)) / lanes<T> +
                  static_cast<double>(rows) * gathered;
    for (std::int64_t k = 0; k < m.components; ++k) {
        const std::int64_t count = list_survivors(m, k, strips, ws);
        if (static_cast<double>(count) * gathered < static_cast<double>(rows) * dense) {
            refine(m, x, k, ws.listed, count, ws);
            cost += static_cast<double>(count) * gathered;
        } else {
            for (std::int64_t s = 0; s < strips; ++s)
                full_component_strip(m, x + s * d * strip_rows, k, d, ws.strip,
                                     ws.log_densities + s * slab + k * strip_rows);
            cost += static_cast<double>(rows) * dense;
        }
    }
    return cost / (static_cast<double>(m.components * rows) * dense);
}

/// Log-densities, relative to reference_offset, of a block of strips into the slab; −infinity is possible for pairs
/// outside the active set.
template <class T>
static void full_log_densities(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t outputs = screened_outputs(m);
    if (outputs == 0 || skips_screen(*ws.screen))
        return log_densities(m, x, strips, ws);
    note_screen(*ws.screen, screened_log_densities(m, x, strips, outputs, ws));
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
