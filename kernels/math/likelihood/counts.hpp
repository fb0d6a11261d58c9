// What likelihoods of counts have in common: the mean that the decoder puts out, deviances in place of differences of
// large numbers (Loader, "Fast and accurate computation of binomial probabilities", 2000), and draws.
//
// ln p of a count x is −D − ½ ln 2πx − δ(x) with the deviance D = x ln(x/μ) + μ − x ≥ 0 and the error δ of Stirling's
// formula. D has a small relative error, whereas x ln μ − μ − ln x! would lose what its terms have in common: of x =
// 10⁵ close to its mean, where ln p is −7, they are 10⁶ and in float32 leave an error of 0.1.
//
// Error, with the unit roundoff u and elementary functions that are a few u off: 16 u (D + 1) from the formulas, and
// |x − μ| 4 u (1 + |ln μ|) from μ, which comes from an exponential.
#pragma once

#include "kernels/math/likelihood/traits.hpp"

#include <algorithm>

namespace elbo::kernels {

/// A larger count is no whole number of float32 for certain.
inline constexpr double largest_count = 0x1p24;
/// No mean is larger: none of a count that is allowed needs to be, and squares stay in range.
inline constexpr double largest_rate = 0x1p44;

/// What the decoder says of the mean of a count, but for the sum of the row.
template <class M>
struct count_rate {
    typename M::real value, log, slope; ///< f(a), ln f(a) and f'(a)/f(a)
};

/// f(a) = e^a or ln(1 + e^a), at most largest_rate. Below `far` ln(1 + e^a) is e^a to a rounding; there ln f is taken
/// from a, so that it stays finite where f is 0. Beyond the largest rate the slope goes on: it leads back.
template <class M>
ELBO_HD inline count_rate<M> rate_of(vae::count_mean form, typename M::real a) {
    using real = typename M::real;
    using c = typename M::scalar;
    constexpr c largest = static_cast<c>(largest_rate), far = sizeof(c) == 4 ? c(-17) : c(-37);
    const real most = M::broadcast(largest);
    if (form == vae::count_mean::exponential) {
        const real most_log = M::broadcast(c(30.498475944638159)); // ln 2^44
        const real bounded = a < most_log ? a : most_log;
        return {M::exp(bounded), bounded, M::broadcast(c(1))};
    }
    const real zero = M::broadcast(c(0)), size = a < zero ? -a : a;
    const real sum = (a > zero ? a : zero) + M::log1p(M::exp(-size));
    const real f = sum < most ? sum : most;
    const auto is_far = a < M::broadcast(far);
    return {f, is_far ? a : M::log(f), is_far ? M::broadcast(c(1)) : M::logistic(a) / f};
}

/// Σ_k z^k/(2k + 3), k = K ... N − 1.
template <class M, int N, int K = 0>
ELBO_HD inline typename M::real odd_series(typename M::real z) {
    constexpr auto coefficient = static_cast<typename M::scalar>(1.0 / (2 * K + 3));
    if constexpr (K + 1 == N)
        return M::broadcast(coefficient);
    else
        return z * odd_series<M, N, K + 1>(z) + coefficient;
}

/// ln(a/b) − (a/b − 1) ≤ 0 of a ≥ 0 and b > 0, given a − b, which may be known better than by subtraction, and ln(a/b),
/// which is used where a/b is not between ½ and 2. In between, with t = a/b − 1 and s = (a − b)/(a + b), it is 2
/// artanh(s) − t = −s t + 2 s³ (1/3 + s²/5 + ...), the second part at most 0.15 of the first. What is left out is below
/// s^(2N + 1)/(2N + 3) of it with |s| ≤ 1/3: 1e-8 for N = 7.
template <class M>
ELBO_HD inline typename M::real log_less_linear(typename M::real a, typename M::real b, typename M::real difference,
                                                typename M::real log_ratio) {
    using c = typename M::scalar;
    constexpr int terms = sizeof(c) == 4 ? 7 : 16;
    const auto t = difference / b, s = difference / (a + b), z = s * s;
    const auto near = s * (c(2) * z * odd_series<M, terms>(z) - t);
    return z < M::broadcast(c(1.0 / 9)) ? near : log_ratio - t;
}

/// S(z) = ln Γ(z) − (z − ½) ln z + z − ½ ln 2π for z ≥ 8: the series of DLMF 5.11.1, of which the first term left out
/// is below 3e-10 (three terms, float32) or 9e-16 (seven).
template <class M>
ELBO_HD inline typename M::real stirling_error(typename M::real z) {
    using c = typename M::scalar;
    const auto r = c(1) / z, y = r * r;
    if constexpr (sizeof(c) == 4)
        return r * (c(1.0 / 12) - y * (c(1.0 / 360) - y * c(1.0 / 1260)));
    else
        return r * (c(1.0 / 12) -
                    y * (c(1.0 / 360) -
                         y * (c(1.0 / 1260) -
                              y * (c(1.0 / 1680) - y * (c(1.0 / 1188) - y * (c(691.0 / 360360) - y * c(1.0 / 156)))))));
}

/// ½ ln 2πx + δ(x) = ln x! − x ln x + x of whole x ≥ 1: δ(x) = S(x), which below 8 comes from a table.
template <class M>
ELBO_HD inline typename M::real count_constant(typename M::real x, typename M::real log_x) {
    using c = typename M::scalar;
    constexpr double error[] = {0.081061466795327258, 0.041340695955409294, 0.027677925684998339, 0.020790672103765093,
                                0.016644691189821192, 0.013876128823070748, 0.011896709945891770};
    auto delta = stirling_error<M>(x);
    const auto put = [&](int k) { delta = x == M::broadcast(c(k)) ? M::broadcast(c(error[k - 1])) : delta; };
    put(1), put(2), put(3), put(4), put(5), put(6), put(7);
    return c(0.5) * log_x + (delta + c(0.91893853320467274178)); // ½ ln 2π
}

/// μ = f(a) times the sum of the row, where that is wanted (else 1), of an observation.
template <class M>
struct count_terms {
    using real = typename M::real;
    real x, one_or_x, mean, slope, deviance, constant;

    ELBO_HD explicit count_terms(const observed_number<M>& o) {
        using c = typename M::scalar;
        const count_rate<M> rate = rate_of<M>(o.form, o.output);
        const real one = M::broadcast(c(1));
        x = o.x;
        one_or_x = x < one ? one : x;
        mean = rate.value * o.total;
        slope = rate.slope;
        const real log_x = M::log(one_or_x);
        deviance = -one_or_x * log_less_linear<M>(mean, one_or_x, mean - one_or_x, rate.log + M::log(o.total) - log_x);
        constant = count_constant<M>(one_or_x, log_x);
    }
    ELBO_HD auto is_zero() const { return x < M::broadcast(typename M::scalar(1)); }
};

/// Random numbers for one column of a row of samples.
class count_noise {
public:
    count_noise(const row_noise& row, std::int64_t column) : row_(row), column_(column) {}
    /// In (0, 1).
    double uniform() {
        if (at_ == 4)
            words_ = row_.words(column_, draw_++), at_ = 0;
        const std::uint32_t high = words_.word[at_], low = words_.word[at_ + 1];
        at_ += 2;
        return (high + (low + 0.5) * 0x1p-32) * 0x1p-32;
    }
    double normal() {
        const double radius = std::sqrt(-2 * std::log(uniform()));
        return radius * std::cos(uniform() * 6.28318530717958647693);
    }

private:
    row_noise row_;
    std::int64_t column_;
    std::uint32_t draw_ = 1; // 0 is of draws with one word a column
    int at_ = 4;
    philox_block words_{};
};

/// A Poisson variable: by inversion, or from 10 on by transformed rejection (PTRS of Hörmann, Insurance: Mathematics
/// and Economics 12, 1993).
inline double poisson_draw(count_noise& noise, double mean) {
    if (mean < 10) {
        double k = 0, p = std::exp(-mean), left = noise.uniform();
        while ((left -= p) > 0 && k < 1000)
            p *= mean / ++k;
        return k;
    }
    const double b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), inner = 0.9277 - 3.6224 / (b - 2);
    while (true) {
        const double u = noise.uniform() - 0.5, v = noise.uniform(), edge = 0.5 - std::abs(u);
        const double k = std::floor((2 * a / edge + b) * u + mean + 0.43);
        if (edge >= 0.07 && v <= inner)
            return k;
        if (k < 0 || (edge < 0.013 && v > edge))
            continue;
        if (std::log(v * inverse_alpha / (a / (edge * edge) + b)) <= k * std::log(mean) - mean - std::lgamma(k + 1))
            return k;
    }
}

namespace likelihoods {

/// What holds for all counts. The decoder puts out a; the mean is rate_of(a), times the sum of the row with
/// likelihood.library_size.
struct count_base : likelihood_base {
    static constexpr likelihood_facts count_facts{.counts = true,
                                                  .values = "a whole number from 0 to 16777216",
                                                  .means = "a number from 0 to 16777216",
                                                  .members = "count_mean library_size"};

    ELBO_HD static bool allows(double x) { return x >= 0 && x <= largest_count && x == std::floor(x); }
    static bool allows_mean(double mean) { return mean >= 0 && mean <= largest_count; }
    template <class M>
    ELBO_HD static typename M::real mean(const observed_number<M>& o) {
        return rate_of<M>(o.form, o.output).value * o.total;
    }
    /// The inverse of rate_of. A column of zeros keeps a small mean: a count that the training data never show must
    /// stay possible.
    static double output_for_mean(double mean, const vae::likelihood& l, double total) {
        const double rate = std::max(mean, smallest_probability) / (l.library_size ? std::max(total, 1.0) : 1.0);
        if (l.count_mean == vae::count_mean::exponential)
            return std::log(rate);
        return rate + std::log(-std::expm1(-rate)); // ln(e^rate − 1)
    }
};

} // namespace likelihoods
} // namespace elbo::kernels
