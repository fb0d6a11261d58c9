// Functions of the gamma family that the standard library does not have, float64.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace elbo::kernels {

/// ψ(x) = d ln Γ(x) / dx for x > 0: the recurrence ψ(x) = ψ(x + 1) − 1/x up to x ≥ 12, then the asymptotic series
/// (DLMF 5.11.2), of which the first term left out, 1/(12 x¹⁴), is below 7e-17. The rounding of at most 13 terms
/// remains: an error below 1e-14 where |ψ| ≤ 10, below 1e-15 |ψ| elsewhere.
inline double digamma(double x) {
    double below = 0;
    for (; x < 12; ++x)
        below += 1 / x;
    const double y = 1 / (x * x);
    const double series =
        y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y * (1.0 / 132 - y * (691.0 / 32760))))));
    return std::log(x) - 0.5 / x - series - below;
}

/// ln Γ_p(a) of the multivariate gamma function: p(p − 1)/4 ln π + Σ_i ln Γ(a − i/2), i = 0 ... p − 1; a > (p − 1)/2.
inline double log_multivariate_gamma(double a, std::int64_t p) {
    double sum = static_cast<double>(p) * static_cast<double>(p - 1) / 4 * std::log(std::numbers::pi);
    for (std::int64_t i = 0; i < p; ++i)
        sum += std::lgamma(a - 0.5 * static_cast<double>(i));
    return sum;
}

/// Its derivative Σ_i ψ(a − i/2).
inline double multivariate_digamma(double a, std::int64_t p) {
    double sum = 0;
    for (std::int64_t i = 0; i < p; ++i)
        sum += digamma(a - 0.5 * static_cast<double>(i));
    return sum;
}

} // namespace elbo::kernels
