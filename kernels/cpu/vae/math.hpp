// Vectors of panels, elementary functions of float vectors that networks need, and Philox. Errors were measured against
// float64.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

#include <cstdint>

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Vectors of one row of a panel.
inline constexpr int panel_vectors = static_cast<int>(panel_width) / lanes<float>;
/// Lanes of vector v of a panel that lie in its first `columns` columns.
static inline int32_vector column_mask(int v, std::int64_t columns) {
    int32_vector lane;
    for (int i = 0; i < lanes<float>; ++i)
        lane[i] = i;
    return lane < static_cast<std::int32_t>(columns) - v * lanes<float>;
}

static inline float_vector absolute(float_vector x) {
    return reinterpret_cast<float_vector>(reinterpret_cast<int32_vector>(x) & 0x7fffffff);
}
/// |x| with the sign of `sign`, for x ≥ 0.
static inline float_vector with_sign(float_vector x, float_vector sign) {
    const int32_vector bit = reinterpret_cast<int32_vector>(sign) & static_cast<std::int32_t>(0x80000000);
    return reinterpret_cast<float_vector>(reinterpret_cast<int32_vector>(x) | bit);
}

/// tanh x, at most 3 ulp off: an odd polynomial below 0.625 (Cephes' tanhf), else 1 − 2/(e^2|x| + 1). NaN stays NaN.
static inline float_vector hyperbolic_tangent(float_vector x) {
    const float_vector size = absolute(x), square = x * x;
    const float_vector near = polynomial<float>(square, -5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f,
                                                1.33314422036e-1f, -3.33332819422e-1f) *
                                  square * x +
                              x;
    const float_vector e = exponential<float>(-2.0f * size);
    const float_vector far = with_sign((1.0f - e) / (1.0f + e), x);
    return size < 0.625f ? near : far;
}

/// ln(1 + x) for finite x ≥ 0, at most 2 ulp off.
static inline float_vector log_one_plus(float_vector x) {
    // ln u of u = 1 + x rounded, and what the rounding lost, to first order.
    const float_vector u = x + 1.0f;
    return logarithm<float>(u) + (x - (u - 1.0f)) / u;
}

/// 1 / (1 + e^-a), at most 3 ulp off; never NaN but for NaN.
static inline float_vector logistic_of(float_vector a) {
    const float_vector e = exponential<float>(-absolute(a));
    return (a > 0.0f ? broadcast(1.0f) : e) / (1.0f + e);
}

/// max(a, 0) + ln(1 + e^-|a|).
static inline float_vector soft_plus(float_vector a) {
    return maximum(a, float_vector{}) + log_one_plus(exponential<float>(-absolute(a)));
}

/// 1 − e^-y, y ≥ 0.
static inline float_vector one_minus_exponential(float_vector y) {
    // Taylor series; at 1/4 the first term left out is 2e-8 of the sum.
    const float_vector near = y * polynomial<float>(y, -1.0f / 720, 1.0f / 120, -1.0f / 24, 1.0f / 6, -0.5f, 1.0f);
    return y < 0.25f ? near : 1.0f - exponential<float>(-y);
}

/// Φ(a) of the standard normal distribution, at most 3e-7 off and 8e-6 of its value down to a = -9; below -13, where it
/// is less than 1e-38, it may be 0. Chebyshev fit of erfc from Numerical Recipes (erfcc).
static inline float_vector normal_cdf(float_vector a) {
    const float_vector x = absolute(a) * 0.70710678118654752440f;
    const float_vector t = 1.0f / (1.0f + 0.5f * x);
    const float_vector exponent =
        polynomial<float>(t, 0.17087277f, -0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f,
                          0.09678418f, 0.37409196f, 1.00002368f, -1.26551223f);
    // e^(-x²) with x² in two parts, so that the error of a large square does not become one of the result.
    const float_vector high =
        reinterpret_cast<float_vector>(reinterpret_cast<int32_vector>(x) & static_cast<std::int32_t>(0xfffff000));
    const float_vector rest = (x - high) * (x + high);
    const float_vector upper = 0.5f * t * exponential<float>(-high * high) * exponential<float>(exponent - rest);
    return a > 0.0f ? 1.0f - upper : upper;
}

/// The functions of kernels/math/elementary.hpp, a vector at a time.
struct vector_math {
    using real = float_vector;
    using scalar = float;
    static real broadcast(scalar value) { return cpu::ELBO_SIMD::broadcast(value); }
    static real sqrt(real a) { return square_root(a); }
    static real exp(real a) { return exponential<float>(a); }
    static real log(real a) { return logarithm<float>(a); }
    static real tanh(real a) { return hyperbolic_tangent(a); }
    static real log1p(real a) { return log_one_plus(a); }
    static real one_minus_exp(real a) { return one_minus_exponential(a); }
    static real softplus(real a) { return soft_plus(a); }
    static real logistic(real a) { return logistic_of(a); }
    static real normal_cdf(real a) { return cpu::ELBO_SIMD::normal_cdf(a); }
};

/// Sine and cosine of a turn/2³² · (word + ½).
static inline void sine_cosine(int32_vector word, float_vector& sine, float_vector& cosine) {
    // The nearest quarter turn is taken off in integers, exactly.
    const uint32_vector w = reinterpret_cast<uint32_vector>(word);
    const uint32_vector quarter = (w + 0x20000000u) >> 30;
    const int32_vector rest = reinterpret_cast<int32_vector>(w - (quarter << 30));
    const float_vector x = (__builtin_convertvector(rest, float_vector) + 0.5f) * 0x1.921fb6p-30f;
    const float_vector square = x * x;
    const float_vector s =
        polynomial<float>(square, -1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f) * square * x + x;
    const float_vector c =
        polynomial<float>(square, 2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f) * square *
            square -
        0.5f * square + 1.0f;
    const int32_vector turns = reinterpret_cast<int32_vector>(quarter);
    const int32_vector swapped = (turns & 1) != 0;
    const int32_vector sine_sign = (turns & 2) << 30, cosine_sign = ((turns + 1) & 2) << 30;
    sine = reinterpret_cast<float_vector>(reinterpret_cast<int32_vector>(swapped ? c : s) ^ sine_sign);
    cosine = reinterpret_cast<float_vector>(reinterpret_cast<int32_vector>(swapped ? s : c) ^ cosine_sign);
}

/// word + ½ over 2³² of unsigned words, in (0, 1].
static inline float_vector unit_uniform(int32_vector word) {
    // Halves of 16 bits convert exactly; their sum is rounded once.
    const float_vector high = __builtin_convertvector((word >> 16) & 0xffff, float_vector);
    const float_vector low = __builtin_convertvector(word & 0xffff, float_vector);
    return high * 0x1p-16f + (low + 0.5f) * 0x1p-32f;
}

/// Low and high words of the products of unsigned words with a constant.
struct wide_products {
    int32_vector low, high;
};
#if defined(__AVX512F__)
static inline wide_products multiply_words(int32_vector words, std::uint32_t factor) {
    const __m512i a = reinterpret_cast<__m512i>(words), f = _mm512_set1_epi64(factor);
    const __m512i even = _mm512_maskz_mul_epu32(0xff, a, f),
                  odd = _mm512_maskz_mul_epu32(0xff, _mm512_maskz_srli_epi64(0xff, a, 32), f);
    return {
        reinterpret_cast<int32_vector>(_mm512_mask_mov_epi32(even, 0xaaaa, _mm512_maskz_slli_epi64(0xff, odd, 32))),
        reinterpret_cast<int32_vector>(_mm512_mask_mov_epi32(_mm512_maskz_srli_epi64(0xff, even, 32), 0xaaaa, odd))};
}
#elif defined(__AVX2__)
static inline wide_products multiply_words(int32_vector words, std::uint32_t factor) {
    const __m256i a = reinterpret_cast<__m256i>(words), f = _mm256_set1_epi64x(factor);
    const __m256i even = _mm256_mul_epu32(a, f), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), f);
    return {reinterpret_cast<int32_vector>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa)),
            reinterpret_cast<int32_vector>(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa))};
}
#else
static inline wide_products multiply_words(int32_vector words, std::uint32_t factor) {
    wide_products result;
    for (int i = 0; i < lanes<float>; ++i) {
        const std::uint64_t product = std::uint64_t(factor) * static_cast<std::uint32_t>(words[i]);
        result.low[i] = static_cast<std::int32_t>(product);
        result.high[i] = static_cast<std::int32_t>(product >> 32);
    }
    return result;
}
#endif

/// Blocks of Philox, one a lane, that share a key (kernels/math/philox.hpp has it one at a time).
struct philox_lanes {
    alignas(vector_bytes) std::uint32_t word[4][lanes<float>];
    int32_vector& lane(int i) { return *reinterpret_cast<int32_vector*>(word[i]); }
};
static inline void draw_words(philox_lanes& block, std::uint32_t key0, std::uint32_t key1) {
    int32_vector word[4] = {block.lane(0), block.lane(1), block.lane(2), block.lane(3)};
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const wide_products first = multiply_words(word[0], 0xD2511F53u), second = multiply_words(word[2], 0xCD9E8D57u);
        word[0] = second.high ^ word[1] ^ static_cast<std::int32_t>(key0);
        word[1] = second.low;
        word[2] = first.high ^ word[3] ^ static_cast<std::int32_t>(key1);
        word[3] = first.low;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; ++i)
        block.lane(i) = word[i];
}

/// Σ of the lanes of a float vector in float64, in a fixed tree.
static inline double sum_of(float_vector v) {
    return sum_lanes(widen_low(v) + widen_high(v));
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
