// From strips, in which lanes are rows, to rows, in which lanes are columns.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

#include <utility>

namespace elbo::kernels::cpu::ELBO_SIMD {

/// a₀ b₀ a₁ b₁ ... of the lower halves of two vectors (First = 0) or of the upper ones (First: half the lanes).
template <class T, int First, int... I>
static inline vec<T> interleave(vec<T> a, vec<T> b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I % 2 * lanes<T> + First + I / 2)...);
}

/// Transposes a square of numbers. Each step turns the bits of a number's place, row before lane, by one to the left;
/// log2(lanes) steps exchange row and lane.
template <class T>
static inline void transpose(vec<T> (&square)[lanes<T>]) {
    constexpr int half = lanes<T> / 2;
    constexpr auto all = std::make_integer_sequence<int, lanes<T>>();
#pragma GCC unroll 4
    for (int step = 1; step < lanes<T>; step *= 2) {
        vec<T> turned[lanes<T>];
#pragma GCC unroll 8
        for (int i = 0; i < half; ++i) {
            turned[2 * i] = interleave<T, 0>(square[i], square[i + half], all);
            turned[2 * i + 1] = interleave<T, half>(square[i], square[i + half], all);
        }
#pragma GCC unroll 16
        for (int i = 0; i < lanes<T>; ++i)
            square[i] = turned[i];
    }
}

/// Lays out a strip of d columns row after row, row_stride(d) apart, with zeros at the end of each. Reads from front to
/// back, and asks for what lies a square of columns ahead: too few loads are under way otherwise.
template <class T>
static void lay_out_strip(const T* x, std::int64_t d, T* rows) {
    const std::int64_t stride = row_stride(d);
    for (std::int64_t c = 0; c < stride; c += lanes<T>)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            vec<T> square[lanes<T>];
#pragma GCC unroll 16
            for (int i = 0; i < lanes<T>; ++i) {
                const T* from = x + (c + i) * strip_rows + v;
                __builtin_prefetch(from + lanes<T> * strip_rows);
                square[i] = c + i < d ? load(from) : vec<T>{};
            }
            transpose<T>(square);
#pragma GCC unroll 16
            for (int i = 0; i < lanes<T>; ++i)
                store(rows + (v + i) * stride + c, square[i]);
        }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
