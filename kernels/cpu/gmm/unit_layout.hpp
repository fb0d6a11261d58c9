// A unit of full covariances laid out row after row, and the exact log-densities of listed rows of it: kernels in the
// namespace of one instruction set.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/core/tiling.hpp"
#include "kernels/cpu/core/transpose.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Vector operations, times lanes, that laying out a unit and gathering from it cost a coordinate of a row.
inline constexpr double gather_cost = 6;

/// Whether most rows have homes.
static inline bool homes_are_known(const std::int32_t* homes, std::int64_t rows) {
    std::int64_t known = 0;
    for (std::int64_t i = 0; i < rows; ++i)
        known += homes[i] >= 0;
    return 2 * known > rows;
}

/// Lists `count` items by component, those without one as of component 0, in ascending order; those of component k end
/// at ws.starts[k].
template <class T>
static void sort_by_component(const model_view<T>& m, const std::int32_t* of, std::int64_t count, std::int32_t* sorted,
                              const workspace_view<T>& ws) {
    const auto component = [&](std::int64_t i) { return of[i] < 0 ? 0 : of[i]; };
    for (std::int64_t k = 0; k <= m.components; ++k)
        ws.starts[k] = 0;
    for (std::int64_t i = 0; i < count; ++i)
        ++ws.starts[component(i) + 1];
    for (std::int64_t k = 0; k < m.components; ++k)
        ws.starts[k + 1] += ws.starts[k];
    for (std::int64_t i = 0; i < count; ++i)
        sorted[ws.starts[component(i)]++] = static_cast<std::int32_t>(i);
}

/// A block of a unit of full covariances.
template <class T>
struct unit_block {
    const unit_view<T>& unit;
    std::int64_t first, strips; ///< `first` row in the unit

    const T* strip(const model_view<T>& m, std::int64_t s) const {
        return unit.x + (first + s * strip_rows) * m.dimensions;
    }
};

/// Calls place(j, x) with coordinate j of the rows row(0) ... row(lanes − 1) of those laid out.
template <class T, class Row, class Place>
static inline void gather_rows(std::int64_t d, const T* laid_out, const Row& row, const Place& place) {
    for (std::int64_t c = 0; c < d; c += lanes<T>) {
        vec<T> square[lanes<T>];
#pragma GCC unroll 16
        for (int i = 0; i < lanes<T>; ++i)
            square[i] = load(laid_out + row(i) * row_stride(d) + c);
        transpose<T>(square);
#pragma GCC unroll 16
        for (int i = 0; i < lanes<T>; ++i)
            if (c + i < d)
                place(c + i, square[i]);
    }
}

/// Lays out the unit row after row, once.
template <class T>
static void lay_out_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    if (ws.screen->laid_out)
        return;
    const std::int64_t d = m.dimensions;
    for (std::int64_t row = 0; row < unit.rows; row += strip_rows)
        lay_out_strip(unit.x + row * d, d, ws.rows + row * row_stride(d));
    ws.screen->laid_out = true;
}

/// x − μ of `count` ≤ 64 listed rows of the unit into ws.strip, in whole vectors.
template <class T>
static void gather_centred(const model_view<T>& m, const T* mean, const std::int32_t* rows, std::int64_t count,
                           const workspace_view<T>& ws) {
    for (std::int64_t v = 0; v < count; v += lanes<T>)
        gather_rows(
            m.dimensions, ws.rows, [&](int i) { return rows[v + i < count ? v + i : count - 1]; },
            [&](std::int64_t j, vec<T> x) { store(ws.strip + j * strip_rows + v, x - mean[j]); });
}

/// Exact log-densities of `count` ≤ 64 listed rows of the unit under component k into lp.
template <class T>
static void listed_log_densities(const model_view<T>& m, std::int64_t k, const std::int32_t* rows, std::int64_t count,
                                 const workspace_view<T>& ws, T (&lp)[strip_rows]) {
    gather_centred(m, m.means + k * m.dimensions, rows, count, ws);
    for (std::int64_t g = 0; g < count; g += group_rows<T>) {
        const auto part = [&]<int V>() {
            vec<T> q[V];
            triangular_squares<T, V>(ws.strip + g, m.factors + k * m.triangle, m.dimensions, q);
            store_log_density(lp + g, m.offsets[k], q);
        };
        if (count - g <= lanes<T>)
            part.template operator()<1>();
        else if (count - g <= 2 * lanes<T>)
            part.template operator()<2>();
        else
            part.template operator()<group_vectors>();
    }
}

/// Calls f(rows, count, lp) with the exact log-densities of listed rows of the unit under component k, up to 64 at a
/// time.
template <class T, class F>
static inline void for_exact(const model_view<T>& m, std::int64_t k, const std::int32_t* rows, std::int64_t count,
                             const workspace_view<T>& ws, const F& f) {
    alignas(vector_bytes) T lp[strip_rows];
    for (std::int64_t first = 0; first < count; first += strip_rows) {
        const std::int64_t part = count - first < strip_rows ? count - first : strip_rows;
        listed_log_densities(m, k, rows + first, part, ws, lp);
        f(rows + first, part, lp);
    }
}

/// Where the log-density of a row of the block, counted in the unit, under component k lies.
template <class T>
static inline T& density_at(const model_view<T>& m, const unit_block<T>& b, std::int64_t row, std::int64_t k,
                            const workspace_view<T>& ws) {
    return ws.log_densities[strip_position(row - b.first, slab_rows(m.components)) + k * strip_rows];
}

/// Upper bounds of ‖z‖ for `count` columns of a strip.
template <class T>
static void centred_norms(std::int64_t d, std::int64_t count, const T* z, T* norms) {
    const vec<T> slack = broadcast(1 + rounding_slack<T>(d));
    for (std::int64_t v = 0; v < count; v += lanes<T>) {
        vec<T> sum{};
        for (std::int64_t j = 0; j < d; ++j) {
            const vec<T> x = load(z + j * strip_rows + v);
            sum += x * x;
        }
        store(norms + v, square_root(sum) * slack);
    }
}

/// Lists the rows of a block, counted in the unit, by their component in ws.nearest, into ws.sorted.
template <class T>
static void sort_rows(const model_view<T>& m, std::int64_t first, std::int64_t rows, const workspace_view<T>& ws) {
    sort_by_component(m, ws.nearest + first, rows, ws.sorted, ws);
    for (std::int64_t i = 0; i < rows; ++i)
        ws.sorted[i] += static_cast<std::int32_t>(first);
}

/// Exact log-densities of the rows of the unit from `first` on under their component in ws.nearest, and from them the
/// limit below which a pair does not count.
template <class T>
static void find_limits(const model_view<T>& m, const unit_view<T>& unit, std::int64_t first, std::int64_t rows,
                        const workspace_view<T>& ws) {
    lay_out_unit(m, unit, ws);
    sort_rows(m, first, rows, ws);
    for (std::int64_t k = 0, begin = 0; k < m.components; begin = ws.starts[k++])
        for_exact(m, k, ws.sorted + begin, ws.starts[k] - begin, ws,
                  [&](const std::int32_t* listed, std::int64_t count, const T* lp) {
                      alignas(vector_bytes) T reach[strip_rows];
                      centred_norms(m.dimensions, count, ws.strip, reach);
                      for (std::int64_t c = 0; c < count; ++c) {
                          ws.home_densities[listed[c]] = lp[c];
                          ws.home_reaches[listed[c]] = reach[c];
                          ws.row_limits[listed[c]] = lp[c] - m.threshold;
                      }
                  });
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
