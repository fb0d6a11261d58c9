// Variational Bayes against exact answers: the evidence of one Gaussian in closed form and by quadrature, published
// software, and what its rules say of values and files.
#include "elbo/error.hpp"
#include "elbo/gmm/variational.hpp"
#include "kernels/math/special_functions.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>

namespace elbo::gmm {
namespace {

data_source view(const std::vector<double>& x, std::int64_t cols) {
    return matrix_view<const double>(x.data(), static_cast<std::int64_t>(x.size()) / cols, cols);
}

TEST(SpecialFunctions, DigammaHasItsKnownValues) {
    // DLMF 5.4.12 to 5.4.16; the last by the asymptotic series, of which two terms are exact to 1e-15.
    constexpr double gamma = std::numbers::egamma;
    EXPECT_NEAR(kernels::digamma(1), -gamma, 1e-14);
    EXPECT_NEAR(kernels::digamma(0.5), -gamma - 2 * std::numbers::ln2, 1e-14);
    EXPECT_NEAR(kernels::digamma(0.25), -gamma - std::numbers::pi / 2 - 3 * std::numbers::ln2, 1e-14);
    EXPECT_NEAR(kernels::digamma(1e-8), -1e8 - gamma, 1e-7);
    EXPECT_NEAR(kernels::digamma(1e6), std::log(1e6) - 0.5e-6 - 1e-12 / 12, 1e-14);
    for (double x = 0.01; x < 40; x *= 1.3) // ψ(2x) = ½ ψ(x) + ½ ψ(x + ½) + ln 2, relative to the largest term
        EXPECT_NEAR(kernels::digamma(2 * x),
                    0.5 * kernels::digamma(x) + 0.5 * kernels::digamma(x + 0.5) + std::numbers::ln2,
                    1e-14 * (1 + 1 / x))
            << x;
}

TEST(SpecialFunctions, MultivariateGammaIsTheProductOfGammas) {
    // Γ₂(a) = √π Γ(a) Γ(a − ½) = π 2^{2−2a} Γ(2a − 1) by duplication; the derivative by a central difference, error h².
    for (const double a : {0.75, 1.5, 7.25, 300.0}) {
        EXPECT_NEAR(kernels::log_multivariate_gamma(a, 2),
                    std::log(std::numbers::pi) + (2 - 2 * a) * std::numbers::ln2 + std::lgamma(2 * a - 1),
                    1e-13 * (1 + std::lgamma(2 * a)));
        constexpr double h = 1e-4;
        EXPECT_NEAR(kernels::multivariate_digamma(a, 2),
                    (kernels::log_multivariate_gamma(a + h, 2) - kernels::log_multivariate_gamma(a - h, 2)) / (2 * h),
                    1e-5);
    }
}

/// A prior with everything, away from the data.
variational_prior some_prior(family f, std::int64_t d) {
    variational_prior prior;
    prior.concentration = 0.7;
    prior.mean_precision = 0.3;
    prior.degrees_of_freedom = static_cast<double>(d) + 1.5;
    prior.mean = std::vector<double>(d);
    for (std::int64_t j = 0; j < d; ++j)
        (*prior.mean)[j] = 0.25 * static_cast<double>(j) - 0.5;
    if (f == family::full || f == family::tied) {
        prior.scale = std::vector<double>(d * d, 0.2);
        for (std::int64_t j = 0; j < d; ++j)
            (*prior.scale)[j * d + j] = 1 + 0.5 * static_cast<double>(j);
    } else if (f == family::diagonal || f == family::tied_diagonal) {
        prior.scale = std::vector<double>(d);
        for (std::int64_t j = 0; j < d; ++j)
            (*prior.scale)[j] = 1 + 0.5 * static_cast<double>(j);
    } else {
        prior.scale = {{1.5}};
    }
    return prior;
}

/// One component: q(z) is exact and q(μ, Λ) the posterior, so the bound is log p(x).
variational_options one_component(family f, std::int64_t d) {
    variational_options o;
    o.shape = f;
    o.prior = some_prior(f, d);
    return o;
}

/// log p(x_1 ... x_n) as the product of the predictive densities p(x_i | x_1 ... x_{i−1}), multivariate Student t by
/// the textbook: independent of every formula of the library. `x` [n x d] are rows of one block: d columns with a full
/// covariance, or one column.
double evidence_by_prediction(const std::vector<double>& x, std::int64_t d, const std::vector<double>& mean0,
                              double beta, double nu, std::vector<double> scale) {
    std::vector<double> mean = mean0;
    double sum = 0;
    for (std::size_t row = 0; row < x.size() / d; ++row) {
        std::vector<double> off(d), c = scale, y(d);
        for (std::int64_t j = 0; j < d; ++j)
            off[j] = x[row * d + j] - mean[j];
        // Cholesky of the scale; p(x) = St(mean, scale (β + 1) / (β (ν − d + 1)), ν − d + 1).
        double log_determinant = 0, square = 0;
        for (std::int64_t j = 0; j < d; ++j) {
            for (std::int64_t t = 0; t < j; ++t)
                c[j * d + j] -= c[j * d + t] * c[j * d + t];
            c[j * d + j] = std::sqrt(c[j * d + j]);
            for (std::int64_t i = j + 1; i < d; ++i) {
                for (std::int64_t t = 0; t < j; ++t)
                    c[i * d + j] -= c[i * d + t] * c[j * d + t];
                c[i * d + j] /= c[j * d + j];
            }
            y[j] = off[j];
            for (std::int64_t t = 0; t < j; ++t)
                y[j] -= c[j * d + t] * y[t];
            y[j] /= c[j * d + j];
            log_determinant += 2 * std::log(c[j * d + j]);
            square += y[j] * y[j];
        }
        const double dd = static_cast<double>(d), t_nu = nu - dd + 1, spread = (beta + 1) / (beta * t_nu);
        sum += std::lgamma((t_nu + dd) / 2) - std::lgamma(t_nu / 2) - 0.5 * dd * std::log(t_nu * std::numbers::pi) -
               0.5 * (log_determinant + dd * std::log(spread)) - (t_nu + dd) / 2 * std::log1p(square / spread / t_nu);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                scale[i * d + j] += beta / (beta + 1) * off[i] * off[j];
        for (std::int64_t j = 0; j < d; ++j)
            mean[j] += off[j] / (beta + 1);
        beta += 1;
        nu += 1;
    }
    return sum;
}

std::vector<double> column(const std::vector<double>& x, std::int64_t d, std::int64_t j) {
    std::vector<double> c;
    for (std::size_t at = static_cast<std::size_t>(j); at < x.size(); at += static_cast<std::size_t>(d))
        c.push_back(x[at]);
    return c;
}

TEST(Variational, OneComponentHasTheExactEvidence) {
    constexpr std::int64_t d = 3, n = 40;
    const std::vector<double> x = test::clustered(n, d, 2, 1.5, 11);
    for (const family f : {family::full, family::tied, family::diagonal, family::tied_diagonal}) {
        SCOPED_TRACE(to_string(f));
        const variational_options o = one_component(f, d);
        const variational_result r = fit_variational(context::reference(), view(x, d), o);
        double want = 0;
        const variational_prior& p = o.prior;
        if (f == family::full || f == family::tied)
            want = evidence_by_prediction(x, d, *p.mean, p.mean_precision, *p.degrees_of_freedom, *p.scale);
        else
            for (std::int64_t j = 0; j < d; ++j)
                want += evidence_by_prediction(column(x, d, j), 1, {(*p.mean)[j]}, p.mean_precision,
                                               *p.degrees_of_freedom, {(*p.scale)[j]});
        // Sums of 40 terms of some nats in float64, and fixed-point sums to 2⁻⁵⁶ nats.
        EXPECT_NEAR(r.total_bound, want, 1e-10 * std::abs(want));
        EXPECT_NEAR(r.trace.back().bound_after_m_step * n, want, 1e-10 * std::abs(want));
    }
}

TEST(Variational, OneComponentHasTheEvidenceOfTheGrid) {
    // ∫∫ Π N(x_n; μ, 1/λ) N(μ; m₀, 1/(β₀λ)) Gamma(λ; ν₀/2, s₀/2) dμ dλ by the trapezoidal rule in μ and ln λ, which
    // converges geometrically for smooth integrands that vanish at both ends.
    const std::vector<double> x = {0.3, -1.1, 0.8, 2.2, 0.1, -0.4};
    for (const family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        const variational_options o = one_component(f, 1);
        const double m0 = (*o.prior.mean)[0], beta = o.prior.mean_precision, a = *o.prior.degrees_of_freedom / 2,
                     b = (*o.prior.scale)[0] / 2;
        constexpr int steps = 400;
        double sum = 0;
        for (int i = 0; i <= steps; ++i)
            for (int j = 0; j <= steps; ++j) {
                const double log_lambda = -8 + 12.0 * i / steps, lambda = std::exp(log_lambda);
                const double mu = m0 + (16.0 * j / steps - 8) / std::sqrt(lambda);
                double log_p = a * std::log(b) - std::lgamma(a) + a * log_lambda - b * lambda +
                               0.5 * std::log(beta * lambda / (2 * std::numbers::pi)) -
                               0.5 * beta * lambda * (mu - m0) * (mu - m0);
                for (const double v : x)
                    log_p += 0.5 * std::log(lambda / (2 * std::numbers::pi)) - 0.5 * lambda * (v - mu) * (v - mu);
                sum += std::exp(log_p) * (12.0 / steps) * (16.0 / steps) / std::sqrt(lambda);
            }
        const variational_result r = fit_variational(context::reference(), view(x, 1), o);
        EXPECT_NEAR(r.total_bound, std::log(sum), 1e-8);
    }
}

TEST(Variational, SphericalComponentHasTheEvidenceOfTheGrid) {
    // The same integral for d = 2, where one λ is shared: the means are integrated in closed form, ln λ by the
    // trapezoidal rule.
    constexpr std::int64_t d = 2, n = 9;
    const std::vector<double> x = test::clustered(n, d, 1, 1, 3);
    for (const family f : {family::spherical, family::tied_spherical}) {
        const variational_options o = one_component(f, d);
        const double beta = o.prior.mean_precision, a = *o.prior.degrees_of_freedom / 2, b = (*o.prior.scale)[0] / 2;
        double spread = 0; // Σ ‖x − x̄‖² + β₀ n / (β₀ + n) ‖x̄ − m₀‖²
        for (std::int64_t j = 0; j < d; ++j) {
            const std::vector<double> c = column(x, d, j);
            const double mean = std::accumulate(c.begin(), c.end(), 0.0) / n, off = mean - (*o.prior.mean)[j];
            for (const double v : c)
                spread += (v - mean) * (v - mean);
            spread += beta * n / (beta + n) * off * off;
        }
        double sum = 0;
        constexpr int steps = 2000;
        for (int i = 0; i <= steps; ++i) {
            const double log_lambda = -12 + 20.0 * i / steps, lambda = std::exp(log_lambda);
            const double log_p =
                a * std::log(b) - std::lgamma(a) + a * log_lambda - b * lambda +
                0.5 * d * (n * std::log(lambda / (2 * std::numbers::pi)) + std::log(beta / (beta + n))) -
                0.5 * lambda * spread;
            sum += std::exp(log_p) * (20.0 / steps);
        }
        const variational_result r = fit_variational(context::reference(), view(x, d), o);
        EXPECT_NEAR(r.total_bound, std::log(sum), 1e-9);
    }
}

} // namespace
} // namespace elbo::gmm
