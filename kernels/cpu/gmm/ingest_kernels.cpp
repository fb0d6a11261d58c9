// Input rows on their way into the engine, and sums on their way out of a unit; compiled once for each instruction set.
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/core/simd.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

namespace {

constexpr double infinity = __builtin_inf();

double weight_of(const input_view& in, std::int64_t i) {
    if (!in.weights.data)
        return 1;
    const std::int64_t at = i * in.weights.stride;
    const double w = in.weights.type == element_type::float32
                         ? static_cast<double>(static_cast<const float*>(in.weights.data)[at])
                         : static_cast<const double*>(in.weights.data)[at];
    return w * in.weight_scale;
}

template <class S>
const S* row_of(const input_view& in, std::int64_t i) {
    return static_cast<const S*>(in.x.data) + i * in.x.stride;
}

template <class S>
std::int64_t first_not_finite(const input_view& in) {
    for (std::int64_t i = 0; i < in.x.rows; ++i)
        for (std::int64_t j = 0; j < in.x.cols; ++j)
            if (!__builtin_isfinite(row_of<S>(in, i)[j]))
                return i * in.x.cols + j;
    return -1;
}

void summarize_weights(const input_view& in, moments_view& out) {
    out.weight = 0, out.largest_weight = 0, out.smallest_weight = infinity, out.positive = 0;
    for (std::int64_t i = 0; i < in.x.rows; ++i) {
        const double w = weight_of(in, i);
        if (w != w || w < out.smallest_weight)
            out.smallest_weight = w; // a NaN enters and stays, since nothing is less
        if (w > out.largest_weight)
            out.largest_weight = w;
        if (!(w > 0))
            continue;
        out.weight += w;
        out.positive += 1;
    }
}

/// Two passes over the unit, which the cache holds: means and ranges, then squares about the means.
template <class S>
std::int64_t summarize_rows(const input_view& in, moments_view& out) {
    const std::int64_t d = in.x.cols;
    summarize_weights(in, out);
    double *mean = out.mean, *m2 = out.m2, *low = out.min, *high = out.max;
    S not_finite = 0; // x · 0 is NaN where x is not finite
    for (std::int64_t j = 0; j < d; ++j)
        mean[j] = 0, m2[j] = 0, low[j] = infinity, high[j] = -infinity;
    for (std::int64_t i = 0; i < in.x.rows; ++i) {
        const S* x = row_of<S>(in, i);
        for (std::int64_t j = 0; j < d; ++j)
            if (!__builtin_isfinite(x[j]))
                not_finite = 1;
        const double w = weight_of(in, i);
        if (!(w > 0))
            continue;
        const double share = w / out.weight;
        for (std::int64_t j = 0; j < d; ++j) {
            const double value = static_cast<double>(x[j]);
            mean[j] += share * value;
            low[j] = value < low[j] ? value : low[j];
            high[j] = value > high[j] ? value : high[j];
        }
    }
    if (not_finite != 0)
        return first_not_finite<S>(in);
    for (std::int64_t i = 0; i < in.x.rows; ++i) {
        const S* x = row_of<S>(in, i);
        const double w = weight_of(in, i);
        if (!(w > 0))
            continue;
        for (std::int64_t j = 0; j < d; ++j) {
            const double step = static_cast<double>(x[j]) - mean[j];
            m2[j] += w * (step * step);
        }
    }
    return -1;
}

std::int64_t summarize_unit(const input_view& in, moments_view& out) {
    return in.x.type == element_type::float32 ? summarize_rows<float>(in, out) : summarize_rows<double>(in, out);
}

/// x̃ of rows that count lies within √(W / w); of the others it is kept where squares of float32 do not overflow.
template <class T>
T within_range(double value) {
    const double limit = sizeof(T) == 4 ? 0x1p60 : 0x1p500;
    return static_cast<T>(value > limit ? limit : value < -limit ? -limit : value);
}

template <class T, class S>
void normalize_rows(const input_view& in, const double* centre, const double* inverse_scale, T* x, T* weights) {
    const std::int64_t d = in.x.cols;
    for (std::int64_t first = 0; first < in.x.rows; first += strip_rows) {
        const std::int64_t count = in.x.rows - first < strip_rows ? in.x.rows - first : strip_rows;
        T* strip = x + first * d;
        for (std::int64_t j = 0; j < d; ++j) {
            for (std::int64_t i = 0; i < count; ++i)
                strip[j * strip_rows + i] =
                    within_range<T>((static_cast<double>(row_of<S>(in, first + i)[j]) - centre[j]) * inverse_scale[j]);
            for (std::int64_t i = count; i < strip_rows; ++i)
                strip[j * strip_rows + i] = 0;
        }
        if (!weights)
            continue;
        for (std::int64_t i = 0; i < strip_rows; ++i)
            weights[first + i] = i < count ? static_cast<T>(weight_of(in, first + i)) : T(0);
    }
}

/// split_fixed of fixed_point.hpp for many values: rint by adding 1.5 · 2⁵², after which the low bits hold the integer.
/// Every step is exact but the last rounding, as there.
void add_fixed(const double* values, std::int64_t count, int exponent, std::int64_t* limbs, std::int64_t limb_stride) {
    constexpr double magic = 0x1.8p52;
    const std::int64_t magic_bits = __builtin_bit_cast(std::int64_t, magic);
    const auto power = [](int n) { return __builtin_ldexp(1.0, n); };
    const double unit[3] = {power(exponent), power(exponent + 42), power(exponent + 84)};
    const double inverse[3] = {power(-exponent), power(-exponent - 42), power(-exponent - 84)};
    for (std::int64_t i = 0; i < count; ++i) {
        double rest = values[i];
        for (int l = 2; l >= 0; --l) {
            const double shifted = rest * inverse[l] + magic;
            limbs[l * limb_stride + i] += __builtin_bit_cast(std::int64_t, shifted) - magic_bits;
            rest -= (shifted - magic) * unit[l];
        }
    }
}

} // namespace

const common_table common_kernels = {add_fixed, summarize_unit};

template <class T>
void normalize_unit(const input_view& in, const double* centre, const double* inverse_scale, T* x, T* weights) {
    if (in.x.type == element_type::float32)
        normalize_rows<T, float>(in, centre, inverse_scale, x, weights);
    else
        normalize_rows<T, double>(in, centre, inverse_scale, x, weights);
}
template void normalize_unit(const input_view&, const double*, const double*, float*, float*);
template void normalize_unit(const input_view&, const double*, const double*, double*, double*);

} // namespace elbo::kernels::cpu::ELBO_SIMD
