// Vectors of the instruction set that a file is compiled for (ELBO_SIMD: avx512, avx2 or baseline), with exp and log.
//
// Files that include this are compiled once per instruction set. All they define must lie in the namespace of that set
// (or be static): an inline function shared by name with another object file could be taken from the wrong one.
#pragma once

#include <cstdint>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace elbo::kernels::cpu::ELBO_SIMD {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
inline constexpr int vector_registers = 32;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
inline constexpr int vector_registers = 16;
#else
inline constexpr int vector_bytes = 16;
inline constexpr int vector_registers = 16;
#endif

typedef float float_vector __attribute__((vector_size(vector_bytes), may_alias));
typedef double double_vector __attribute__((vector_size(vector_bytes), may_alias));
typedef std::int32_t int32_vector __attribute__((vector_size(vector_bytes), may_alias));
typedef std::int64_t int64_vector __attribute__((vector_size(vector_bytes), may_alias));
typedef std::uint32_t uint32_vector __attribute__((vector_size(vector_bytes), may_alias));
typedef std::uint64_t uint64_vector __attribute__((vector_size(vector_bytes), may_alias));
typedef float half_float_vector __attribute__((vector_size(vector_bytes / 2)));

template <class T>
struct simd;
template <>
struct simd<float> {
    using vector = float_vector;
    using mask = int32_vector;
    using bits = uint32_vector;                    ///< for arithmetic that may wrap
    static constexpr float to_integer = 0x1.8p23f; ///< adding it rounds to an integer, which the low bits then hold
    static constexpr int mantissa_bits = 23;
    static constexpr std::int32_t exponent_bias = 127;
    static constexpr float log2_e = 0x1.715476p0f;
    static constexpr float ln2_high = 6.9313812256e-01f; // 14 trailing zero bits: k · ln2_high is exact
    static constexpr float ln2_low = 9.0580006145e-06f;
    static constexpr float exp_smallest = -87.0f;
    static constexpr float lowest = -0x1p126f;
    static constexpr float tiny = 0x1p-126f;
};
template <>
struct simd<double> {
    using vector = double_vector;
    using mask = int64_vector;
    using bits = uint64_vector;
    static constexpr double to_integer = 0x1.8p52;
    static constexpr int mantissa_bits = 52;
    static constexpr std::int64_t exponent_bias = 1023;
    static constexpr double log2_e = 0x1.71547652b82fep0;
    static constexpr double ln2_high = 6.93147180369123816490e-01; // 21 trailing zero bits
    static constexpr double ln2_low = 1.90821492927058770002e-10;
    static constexpr double exp_smallest = -708.0;
    static constexpr double lowest = -0x1p1022;
    static constexpr double tiny = 0x1p-1022;
};

template <class T>
using vec = typename simd<T>::vector;
template <class T>
using vec_mask = typename simd<T>::mask;
template <class T>
inline constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

template <class T>
static inline vec<T> load(const T* p) {
    return *reinterpret_cast<const vec<T>*>(p);
}
template <class T>
static inline void store(T* p, vec<T> v) {
    *reinterpret_cast<vec<T>*>(p) = v;
}
/// Less nothing, and not more: −0 stays −0.
static inline float_vector broadcast(float value) {
    return value - float_vector{};
}
static inline double_vector broadcast(double value) {
    return value - double_vector{};
}

template <class T>
static inline vec<T> minus_infinity() {
    return broadcast(-static_cast<T>(__builtin_inf()));
}

static inline float_vector maximum(float_vector a, float_vector b) {
    return a > b ? a : b;
}
static inline double_vector maximum(double_vector a, double_vector b) {
    return a > b ? a : b;
}
// The masked forms, because GCC 12 takes the undefined operand inside the plain ones for a mistake of ours. mask_bits:
// one bit for each lane of a mask.
#if defined(__AVX512F__)
static inline float_vector square_root(float_vector x) {
    return _mm512_mask_sqrt_ps(x, 0xffff, x);
}
static inline double_vector square_root(double_vector x) {
    return _mm512_mask_sqrt_pd(x, 0xff, x);
}
static inline unsigned mask_bits(int32_vector m) {
    return _mm512_movepi32_mask(reinterpret_cast<__m512i>(m));
}
static inline unsigned mask_bits(int64_vector m) {
    return _mm512_movepi64_mask(reinterpret_cast<__m512i>(m));
}
#elif defined(__AVX2__)
static inline float_vector square_root(float_vector x) {
    return _mm256_sqrt_ps(x);
}
static inline double_vector square_root(double_vector x) {
    return _mm256_sqrt_pd(x);
}
static inline unsigned mask_bits(int32_vector m) {
    return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(m)));
}
static inline unsigned mask_bits(int64_vector m) {
    return static_cast<unsigned>(_mm256_movemask_pd(reinterpret_cast<__m256d>(m)));
}
#else
static inline float_vector square_root(float_vector x) {
    for (int i = 0; i < lanes<float>; ++i)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
}
static inline double_vector square_root(double_vector x) {
    for (int i = 0; i < lanes<double>; ++i)
        x[i] = __builtin_sqrt(x[i]);
    return x;
}
template <class Mask>
static inline unsigned mask_bits(Mask m) {
    unsigned bits = 0;
    for (int i = 0; i < vector_bytes / static_cast<int>(sizeof(m[0])); ++i)
        bits |= (m[i] != 0 ? 1u : 0u) << i;
    return bits;
}
#endif

/// Σ c_i x^i by Horner's rule, the coefficient of the highest power first.
template <class T, class... C>
static inline vec<T> polynomial(vec<T> x, C... coefficients) {
    vec<T> sum{};
    ((sum = sum * x + coefficients), ...);
    return sum;
}

/// e^r on |r| ≤ ½ ln 2.
static inline float_vector exp_reduced(float_vector r) {
    // Minimax polynomial of Cephes' expf, relative error 2e-8.
    const float_vector p = polynomial<float>(r, 1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                                             1.6666665459e-1f, 5.0000001201e-1f);
    return p * (r * r) + r + 1.0f;
}
static inline double_vector exp_reduced(double_vector r) {
    // Taylor series; the first term left out, r^14 / 14!, is below 5e-18.
    const double_vector p =
        polynomial<double>(r, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                           1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5);
    return p * (r * r) + r + 1.0;
}

/// e^x for x ≤ 88 (float), 709 (double), at most 2 ulp off; 0 below -87 and -708.
template <class T>
static inline vec<T> exponential(vec<T> x) {
    using s = simd<T>;
    const vec<T> shifted = x * s::log2_e + s::to_integer;
    const vec<T> n = shifted - s::to_integer;
    const vec<T> r = (x - n * s::ln2_high) - n * s::ln2_low;
    // Of an x out of range, or NaN, the sum may wrap.
    using integer = typename s::bits;
    const integer bits =
        reinterpret_cast<integer>(exp_reduced(r)) + (reinterpret_cast<integer>(shifted) << s::mantissa_bits);
    return x < s::exp_smallest ? vec<T>{} : reinterpret_cast<vec<T>>(bits);
}

/// The even and odd parts of the series of log((1 + t) / (1 − t)) that fdlibm uses, z = t².
static inline float_vector log_series(float_vector z) {
    return z * polynomial<float>(z, 0.24279078841f, 0.28498786688f, 0.40000972152f, 0.66666662693f);
}
static inline double_vector log_series(double_vector z) {
    return z * polynomial<double>(z, 1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                                  2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                                  6.666666666666735130e-01);
}

/// log x for finite, normal x > 0, at most 2 ulp off (fdlibm's method).
template <class T>
static inline vec<T> logarithm(vec<T> x) {
    using s = simd<T>;
    using integer = vec_mask<T>;
    // x = 2^k (1 + f) with 1 + f in [√½, √2)
    const integer bits = reinterpret_cast<integer>(x);
    const vec<T> half_root = broadcast(static_cast<T>(0.70710678118654752440));
    const integer shifted = bits - reinterpret_cast<integer>(half_root);
    const integer exponent = shifted >> s::mantissa_bits;
    const vec<T> f = reinterpret_cast<vec<T>>(bits - (exponent << s::mantissa_bits)) - T(1);
    const vec<T> magic = broadcast(s::to_integer);
    const vec<T> k = reinterpret_cast<vec<T>>(exponent + reinterpret_cast<integer>(magic)) - s::to_integer;
    const vec<T> t = f / (f + T(2));
    const vec<T> half_square = T(0.5) * f * f;
    const vec<T> tail = t * (half_square + log_series(t * t)) + k * s::ln2_low;
    return k * s::ln2_high - ((half_square - tail) - f);
}

/// The lower and the upper half of a vector in float64.
static inline double_vector widen_low(float_vector v) {
    const half_float_vector* halves = reinterpret_cast<const half_float_vector*>(&v);
    return __builtin_convertvector(halves[0], double_vector);
}
static inline double_vector widen_high(float_vector v) {
    const half_float_vector* halves = reinterpret_cast<const half_float_vector*>(&v);
    return __builtin_convertvector(halves[1], double_vector);
}

/// to[i] += v[i] for every lane.
static inline void add_anywhere(double* to, double_vector v) {
    double_vector sum;
    __builtin_memcpy(&sum, to, sizeof sum);
    sum += v;
    __builtin_memcpy(to, &sum, sizeof sum);
}
/// As add_lanes, where `to` need not be aligned.
static inline void add_lanes_anywhere(double* to, double_vector v) {
    add_anywhere(to, v);
}
static inline void add_lanes_anywhere(double* to, float_vector v) {
    add_anywhere(to, widen_low(v));
    add_anywhere(to + lanes<double>, widen_high(v));
}
static inline void add_lanes(double* to, float_vector v) {
    store(to, load(to) + widen_low(v));
    store(to + lanes<double>, load(to + lanes<double>) + widen_high(v));
}
static inline void add_lanes(double* to, double_vector v) {
    store(to, load(to) + v);
}

/// Lanes of a sum in float64. One float addition and conversion first: with accumulators of at most 64 products the
/// chain of float additions stays within 64.
static inline double_vector to_double_lanes(float_vector v) {
    const half_float_vector* halves = reinterpret_cast<const half_float_vector*>(&v);
    return __builtin_convertvector(halves[0] + halves[1], double_vector);
}
static inline double_vector to_double_lanes(double_vector v) {
    return v;
}

/// Sum of the lanes in a fixed tree.
static inline double sum_lanes(double_vector v) {
    double sum[lanes<double>];
    for (int i = 0; i < lanes<double>; ++i)
        sum[i] = v[i];
    for (int width = lanes<double> / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i)
            sum[i] += sum[i + width];
    return sum[0];
}

/// Neighbouring runs of Width lanes of two vectors added, those of a and of b in turn.
template <int Width, int... I>
static inline double_vector paired_sums(double_vector a, double_vector b, std::integer_sequence<int, I...>) {
    constexpr int all = lanes<double>;
    return __builtin_shufflevector(a, b, (I / Width % 2 == 0 ? I : all + I - Width)...) +
           __builtin_shufflevector(a, b, (I / Width % 2 == 0 ? I + Width : all + I)...);
}

/// Sums of the lanes of as many vectors as there are lanes, by transposing while adding; overwrites them.
template <int Width = 1>
static inline double_vector sums_of_lanes(double_vector* v) {
    if constexpr (Width == lanes<double>) {
        return v[0];
    } else {
#pragma GCC unroll 4
        for (int i = 0; i < lanes<double> / Width / 2; ++i)
            v[i] = paired_sums<Width>(v[2 * i], v[2 * i + 1], std::make_integer_sequence<int, lanes<double>>());
        return sums_of_lanes<2 * Width>(v);
    }
}

/// sums[i] = Σ lanes of v[i], in float64.
template <class T, int N>
static inline void lane_sums(const vec<T> (&v)[N], double (&sums)[N]) {
    constexpr int width = lanes<double>;
#pragma GCC unroll 16
    for (int first = 0; first < N; first += width) {
        double_vector group[width];
#pragma GCC unroll 8
        for (int i = 0; i < width; ++i)
            group[i] = first + i < N ? to_double_lanes(v[first + i < N ? first + i : 0]) : double_vector{};
        const double_vector total = sums_of_lanes(group);
#pragma GCC unroll 8
        for (int i = 0; i < width; ++i)
            if (first + i < N)
                sums[first + i] = total[i];
    }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
