// A span of rows laid out row after row, and the exact log-densities of listed rows of it: kernels in the namespace of
// one instruction set.
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

/// Gives a row another home, which it has no guard at.
template <class T>
static inline void move_home(const unit_view<T>& unit, std::int64_t row, std::int64_t k) {
    if (unit.homes[row] == k)
        return;
    unit.homes[row] = static_cast<std::int32_t>(k);
    unit.guards[row] = 0;
}

/// Lists `count` items by key, 0 ≤ key < keys, in ascending order; those of a key end at starts[key].
static inline void sort_by_key(const std::int32_t* of, std::int64_t count, std::int64_t keys, std::int32_t* starts,
                               std::int32_t* sorted) {
    for (std::int64_t k = 0; k <= keys; ++k)
        starts[k] = 0;
    for (std::int64_t i = 0; i < count; ++i)
        ++starts[of[i] + 1];
    for (std::int64_t k = 0; k < keys; ++k)
        starts[k + 1] += starts[k];
    for (std::int64_t i = 0; i < count; ++i)
        sorted[starts[of[i]]++] = static_cast<std::int32_t>(i);
}

/// A block of a span.
template <class T>
struct unit_block {
    const unit_view<T>& unit;   ///< the span
    std::int64_t first, strips; ///< `first` row in the span

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

/// Lays out the span row after row, once.
template <class T>
static void lay_out_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    if (ws.screen->laid_out)
        return;
    const std::int64_t d = m.dimensions;
    for (std::int64_t row = 0; row < unit.rows; row += strip_rows)
        lay_out_strip(unit.x + row * d, d, ws.rows + row * row_stride(d));
    ws.screen->laid_out = true;
}

/// Lays out the span as the distances take it: whitened rows of the tied families, which the sums do not take.
template <class T>
static void lay_out_for_distances(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    if (!m.whitener)
        return lay_out_unit(m, unit, ws);
    const std::int64_t d = m.dimensions;
    for (std::int64_t row = 0; row < unit.rows; row += strip_rows)
        lay_out_strip(distance_rows(m, unit.x + row * d, ws), d, ws.rows + row * row_stride(d));
    ws.screen->laid_out = false;
}

/// Coordinates, less those at `centre` if given, of `count` ≤ 64 listed rows of the span into ws.strip, in whole
/// vectors.
template <class T>
static void gather_listed(const model_view<T>& m, const T* centre, const std::int32_t* rows, std::int64_t count,
                          const workspace_view<T>& ws) {
    for (std::int64_t v = 0; v < count; v += lanes<T>)
        gather_rows(
            m.dimensions, ws.rows, [&](int i) { return rows[v + i < count ? v + i : count - 1]; },
            [&](std::int64_t j, vec<T> x) { store(ws.strip + j * strip_rows + v, centre ? x - centre[j] : x); });
}

/// Log-densities of some rows under one component, and the squared distances that they are made of.
template <class T>
struct exact_rows {
    alignas(vector_bytes) T lp[strip_rows];
    alignas(vector_bytes) T squares[strip_rows];
};

/// ‖Uᵀ (x − μ)‖² under component k, spherical ‖x − μ‖², of V vectors of rows that gather_listed has put at x.
template <class T, int V>
static inline void exact_squares(const model_view<T>& m, std::int64_t k, const T* x, vec<T> (&q)[1][V]) {
    if (m.family == gmm::family::full)
        return triangular_squares<T, V>(x, m.factors + k * m.triangle, m.dimensions, q[0]);
    const auto component = [k](int) { return k; };
    if (m.family == gmm::family::diagonal)
        add_squares<T, 1, V, true>(m, x, component, q);
    else
        add_squares<T, 1, V, false>(m, x, component, q);
}

/// Exact log-densities of `count` ≤ 64 listed rows of the span under component k.
template <class T>
static void listed_log_densities(const model_view<T>& m, std::int64_t k, const std::int32_t* rows, std::int64_t count,
                                 const workspace_view<T>& ws, exact_rows<T>& exact) {
    gather_listed(m, m.family == gmm::family::full ? m.means + k * m.dimensions : nullptr, rows, count, ws);
    for (std::int64_t g = 0; g < count; g += group_rows<T>) {
        const auto part = [&]<int V>() {
            vec<T> q[1][V] = {};
            exact_squares<T, V>(m, k, ws.strip + g, q);
            for (int v = 0; v < V; ++v) {
                store(exact.squares + g + v * lanes<T>, q[0][v]);
                store(exact.lp + g + v * lanes<T>, log_density_of(m, k, q[0][v]));
            }
        };
        if (count - g <= lanes<T>)
            part.template operator()<1>();
        else if (count - g <= 2 * lanes<T>)
            part.template operator()<2>();
        else
            part.template operator()<group_vectors>();
    }
}

/// Calls f(rows, count, exact) with the exact log-densities of listed rows of the span under component k, up to 64 at a
/// time.
template <class T, class F>
static inline void for_exact(const model_view<T>& m, std::int64_t k, const std::int32_t* rows, std::int64_t count,
                             const workspace_view<T>& ws, const F& f) {
    exact_rows<T> exact;
    for (std::int64_t first = 0; first < count; first += strip_rows) {
        const std::int64_t part = count - first < strip_rows ? count - first : strip_rows;
        listed_log_densities(m, k, rows + first, part, ws, exact);
        f(rows + first, part, exact);
    }
}

/// Where the log-density of a row of the block, counted in the unit, under component k lies.
template <class T>
static inline T& density_at(const model_view<T>& m, const unit_block<T>& b, std::int64_t row, std::int64_t k,
                            const workspace_view<T>& ws) {
    return ws.log_densities[strip_position(row - b.first, slab_rows(m.components)) + k * strip_rows];
}

/// Upper bounds of the reaches of `count` rows under a component: of full covariances from ‖z‖ of the columns of
/// ws.strip, of the others from the squared distances.
template <class T>
static void find_reaches(const model_view<T>& m, std::int64_t count, const exact_rows<T>& exact,
                         const workspace_view<T>& ws, T* reaches) {
    const vec<T> slack = broadcast(1 + rounding_slack<T>(m.dimensions));
    for (std::int64_t v = 0; v < count; v += lanes<T>) {
        vec<T> sum{};
        if (m.family == gmm::family::full)
            for (std::int64_t j = 0; j < m.dimensions; ++j) {
                const vec<T> x = load(ws.strip + j * strip_rows + v);
                sum += x * x;
            }
        else
            sum = load(exact.squares + v);
        store(reaches + v, square_root(sum) * slack);
    }
}

/// Lists the rows of a block, counted in the span, by their component in ws.nearest, into ws.sorted.
template <class T>
static void sort_rows(const model_view<T>& m, std::int64_t first, std::int64_t rows, const workspace_view<T>& ws) {
    sort_by_key(ws.nearest + first, rows, m.components, ws.starts, ws.sorted);
    for (std::int64_t i = 0; i < rows; ++i)
        ws.sorted[i] += static_cast<std::int32_t>(first);
}

/// Exact log-densities of the rows of the span from `first` on under their component in ws.nearest, and from them the
/// limit below which a pair does not count.
template <class T>
static void find_limits(const model_view<T>& m, const unit_view<T>& unit, std::int64_t first, std::int64_t rows,
                        const workspace_view<T>& ws) {
    lay_out_for_distances(m, unit, ws);
    sort_rows(m, first, rows, ws);
    for (std::int64_t k = 0, begin = 0; k < m.components; begin = ws.starts[k++])
        for_exact(m, k, ws.sorted + begin, ws.starts[k] - begin, ws,
                  [&](const std::int32_t* listed, std::int64_t count, const exact_rows<T>& exact) {
                      alignas(vector_bytes) T reach[strip_rows];
                      find_reaches(m, count, exact, ws, reach);
                      for (std::int64_t c = 0; c < count; ++c) {
                          ws.home_densities[listed[c]] = exact.lp[c];
                          ws.home_reaches[listed[c]] = reach[c];
                          ws.row_limits[listed[c]] = exact.lp[c] - m.threshold;
                      }
                  });
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
