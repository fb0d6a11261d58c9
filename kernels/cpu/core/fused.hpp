// a b + c with one rounding, on machines with and without an instruction for it.
#pragma once

#include "kernels/cpu/core/simd.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

#if defined(__AVX512F__)
static inline double_vector fused(double_vector a, double_vector b, double_vector c) {
    return _mm512_fmadd_pd(a, b, c);
}
#elif defined(__AVX2__) && defined(__FMA__)
static inline double_vector fused(double_vector a, double_vector b, double_vector c) {
    return _mm256_fmadd_pd(a, b, c);
}
#elif defined(__FP_FAST_FMA)
static inline double_vector fused(double_vector a, double_vector b, double_vector c) {
    for (int i = 0; i < lanes<double>; ++i)
        c[i] = __builtin_fma(a[i], b[i], c[i]);
    return c;
}
#else
/// A number as the sum of two, without error.
struct exact_pair {
    double_vector value, error;
};

/// a + b (Knuth).
static inline exact_pair two_sum(double_vector a, double_vector b) {
    const double_vector sum = a + b, part = sum - a;
    return {sum, (a - (sum - part)) + (b - part)};
}

/// The upper 26 bits of a, and the rest (Veltkamp).
static inline exact_pair halves(double_vector a) {
    const double_vector scaled = a * 0x8000001p0, upper = scaled - (scaled - a);
    return {upper, a - upper};
}

/// a b (Dekker).
static inline exact_pair two_product(double_vector a, double_vector b) {
    const double_vector product = a * b;
    const exact_pair x = halves(a), y = halves(b);
    return {product, ((x.value * y.value - product) + x.value * y.error + x.error * y.value) + x.error * y.error};
}

/// a + b rounded to odd: where it is not exact the last bit is one.
static inline double_vector odd_sum(double_vector a, double_vector b) {
    const exact_pair sum = two_sum(a, b);
    const int64_vector bits = reinterpret_cast<int64_vector>(sum.value);
    const int64_vector even = (bits & 1) - 1, inexact = sum.error != 0.0;
    // Away from zero where the error has the sign of the sum, else towards it.
    const int64_vector step = 1 | ((bits ^ reinterpret_cast<int64_vector>(sum.error)) >> 63);
    return reinterpret_cast<double_vector>(bits + (step & even & inexact));
}

/// Without an instruction, and without the library's function, which would be called for each number and is slow where
/// it has none either: exact sums and products, the tail rounded to odd (Boldo and Melquiond, Emulation of FMA and
/// correctly rounded sums, 2008). Rounded once like the instruction, so k-means has the same bits everywhere, unless
/// a b or its error leaves the range of float64 (|a b| below 2⁻⁹⁶⁸, or a factor above 2⁹⁹⁶): then rounded twice at
/// most.
static inline double_vector fused(double_vector a, double_vector b, double_vector c) {
    const exact_pair product = two_product(a, b);
    const exact_pair low = two_sum(c, product.error);
    const exact_pair high = two_sum(product.value, low.value);
    const double_vector result = high.value + odd_sum(low.error, high.error);
    return result == result ? result : a * b + c;
}
#endif

static inline double fused(double a, double b, double c) {
#if defined(__FMA__) || defined(__FP_FAST_FMA)
    return __builtin_fma(a, b, c);
#else
    return fused(broadcast(a), broadcast(b), broadcast(c))[0];
#endif
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
