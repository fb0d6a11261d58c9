// How loops over a number known at run time only become loops over constants, and how rows lie in a block.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Calls f.template operator()<N>() for the N = 1 ... Most that equals n.
template <int Most, class F>
static inline void with_count(std::int64_t n, const F& f) {
    if constexpr (Most > 1) {
        if (n < Most)
            return with_count<Most - 1>(n, f);
    }
    f.template operator()<Most>();
}

/// Calls group.template operator()<N>(first) for 0 ≤ first < n: groups of Most, and last what is left.
template <int Most, class F>
static inline void in_groups(std::int64_t n, const F& group) {
    std::int64_t first = 0;
    for (; first + Most <= n; first += Most)
        group.template operator()<Most>(first);
    if (first < n)
        with_count<Most - 1>(n - first, [&]<int N>() { group.template operator()<N>(first); });
}

/// Strips between two flushes of the accumulators: 64 products a lane.
template <class T>
inline constexpr std::int64_t flush_strips = lanes<T>;

/// Splits n into ceil(n / most) parts that differ by at most one and calls part.template operator()<N>(first) on each.
template <int Most, class F>
static inline void in_even_parts(std::int64_t n, const F& part) {
    const std::int64_t parts = (n + Most - 1) / Most;
    std::int64_t first = 0;
    for (std::int64_t p = 0; p < parts; ++p) {
        const std::int64_t size = n / parts + (p < n % parts ? 1 : 0);
        with_count<Most>(size, [&]<int N>() { part.template operator()<N>(first); });
        first += size;
    }
}

/// sum[i][v] += left[(i − first) · Step] right[v] for the rows i ≥ first and the vectors v of a tile in registers.
template <int Step = 1, class T, int N, int V>
[[gnu::always_inline]] static inline void add_outer(const T* left, const T* right, vec<T> (&sum)[N][V], int first = 0) {
    vec<T> columns[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v)
        columns[v] = load(right + v * lanes<T>);
#pragma GCC unroll 24
    for (int i = first; i < N; ++i) {
        const vec<T> row = broadcast(left[(i - first) * Step]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            sum[i][v] += row * columns[v];
    }
}

/// Where row `row` of a block begins among strips of `height` rows of 64 numbers.
static inline std::int64_t strip_position(std::int64_t row, std::int64_t height) {
    return row / strip_rows * height * strip_rows + row % strip_rows;
}

/// Lists the rows of a block in which component k takes part, in ascending order. Returns how many.
template <class T>
static std::int64_t list_active(const model_view<T>& m, std::int64_t k, std::int64_t strips,
                                const workspace_view<T>& ws) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    const T* column = ws.log_densities + k * strip_rows;
    std::int32_t* const rows = ws.listed;
    std::int64_t count = 0;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            const vec_mask<T> active = load(column + s * slab + v) != T(0);
            for (unsigned bits = mask_bits(active); bits != 0; bits &= bits - 1)
                rows[count++] = static_cast<std::int32_t>(s * strip_rows + v + __builtin_ctz(bits));
        }
    return count;
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
