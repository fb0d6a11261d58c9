// Variational Bayes against exact answers: the evidence of one Gaussian in closed form and by quadrature, published
// software, and what its rules say of values and files.
#include "elbo/error.hpp"
#include "elbo/gmm/variational.hpp"
#include "kernels/math/special_functions.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/sources.hpp"

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

using test::view;

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

TEST(Variational, LabelsOfAllSamplesLeaveTheExactEvidence) {
    // With z known q is exact: log p(x, z) = log p(z) + Σ_k log p(x of k), where p(z) is that of a Pólya urn, or of its
    // stick-breaking form.
    constexpr std::int64_t d = 2, n = 30, k = 3;
    const std::vector<double> x = test::clustered(n, d, k, 2, 4);
    std::vector<std::int32_t> labels;
    std::vector<double> rows[k];
    for (std::int64_t row = 0; row < n; ++row) {
        labels.push_back(row % 7 < 4 ? 0 : row % 7 < 6 ? 1 : 2);
        rows[labels.back()].insert(rows[labels.back()].end(), &x[row * d], &x[row * d] + d);
    }
    for (const weights_model w : {weights_model::dirichlet, weights_model::stick_breaking}) {
        variational_options o = one_component(family::full, d);
        o.components = k;
        o.weights_prior = w;
        o.labels = labels;
        const variational_prior& p = o.prior;
        double want = 0, urn = 0, left = n;
        for (const auto& part : rows) {
            const double count = static_cast<double>(part.size()) / d, a = *p.concentration;
            want += evidence_by_prediction(part, d, *p.mean, p.mean_precision, *p.degrees_of_freedom, *p.scale);
            if (w == weights_model::dirichlet)
                urn += std::lgamma(a + count) - std::lgamma(a);
            else if (&part != &rows[k - 1]) // B(1 + N_k, γ + Σ_{j>k} N_j) / B(1, γ)
                urn += std::lgamma(1 + count) + std::lgamma(a + left - count) - std::lgamma(1 + a + left) + std::log(a);
            left -= count;
        }
        if (w == weights_model::dirichlet)
            urn += std::lgamma(k * *p.concentration) - std::lgamma(k * *p.concentration + n);
        const variational_result r = fit_variational(context::reference(), view(x, d), o);
        EXPECT_NEAR(r.total_bound, want + urn, 1e-10 * std::abs(want));
        EXPECT_NEAR(r.trace.back().bound_after_m_step * n, want + urn, 1e-10 * std::abs(want));
    }
}

/// What scikit-learn 1.9.1's BayesianGaussianMixture converges to (full covariances, the covariance of the data with
/// divisor N as prior, concentration 1/k, reg_covar 0, tolerance 1e-13, all else by default). Its process has a stick
/// for the last component, too, which was fixed at 1 there, as a truncated process has it. Its bound leaves out the
/// terms that no iteration changes: k (d/2 ln β₀ − ln Z of the prior's Wishart distribution) − N d/2 ln 2π, and ln Z of
/// the prior of the weights; they were added with numpy.
struct published {
    const char* file;
    std::vector<std::string> columns;
    weights_model weights;
    double bound; ///< lower_bound_ and the terms that it leaves out
    std::vector<double> expected_weights, means, covariances;
};

const published scikit_learn[] = {
    {"faithful.csv",
     {"eruptions", "waiting"},
     weights_model::dirichlet,
     -1178.9510066480,
     {0.3577745509, 0.6422254491},
     {2.054893514, 54.69044195, 4.287829983, 79.9459442},
     {0.1051490601, 0.845630561, 0.845630561, 37.97808479, 0.1758750826, 1.013851335, 1.013851335, 36.79532581}},
    {"faithful.csv",
     {"eruptions", "waiting"},
     weights_model::dirichlet,
     -1182.8130548095,
     {0.3568541234, 0.0009229173051, 0.0009229173051, 0.641300042},
     {2.054884394, 54.69033818, 3.487654035, 70.89440582, 3.487654035, 70.89440582, 4.287838137, 79.94605036},
     {0.1051420524, 0.8455478475, 0.8455478475, 37.97733002, 0.6487731586, 6.961155233, 6.961155233, 92.04966292,
      0.6487731586, 6.961155233, 6.961155233, 92.04966292, 0.1758693617, 1.013764536, 1.013764536, 36.79437727}},
    {"iris.csv",
     {"Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width"},
     weights_model::dirichlet,
     -334.7742009817,
     {0.3333405465, 0.1598651031, 0.5067943504},
     {5.022420223, 3.420712333, 1.507052737, 0.2647109899, 6.025944346, 2.699508293, 4.149521257, 1.265739767,
      6.327026759, 2.932238327, 5.119381155, 1.795497365},
     {0.1380843554,     0.08361077949, 0.07318680604,  0.03336425837, 0.08361077949, 0.1363887003,  -0.01092913551,
      -0.0002319237131, 0.07318680604, -0.01092913551, 0.1804427548,  0.06910429902, 0.03336425837, -0.0002319237131,
      0.06910429902,    0.03727941724, 0.3351360471,   0.1316545256,  0.2713992849,  0.09492425334, 0.1316545256,
      0.1043377378,     0.07197476365, 0.03332899056,  0.2713992849,  0.07197476365, 0.3131335054,  0.1162506632,
      0.09492425334,    0.03332899056, 0.1162506632,   0.05086680125, 0.426216442,   0.08579834743, 0.440514753,
      0.1537701559,     0.08579834743, 0.09337703181,  0.08510964222, 0.05320145802, 0.440514753,   0.08510964222,
      0.6220289874,     0.2413211461,  0.1537701559,   0.05320145802, 0.2413211461,  0.1593517215}},
    {"faithful.csv",
     {"eruptions", "waiting"},
     weights_model::stick_breaking,
     -1178.7210857261,
     {0.6428826563, 0.3571173437},
     {4.287823943, 79.94588291, 2.054884796, 54.69033075},
     {0.1758817553, 1.013922493, 1.013922493, 36.79595299, 0.10514119, 0.8455268852, 0.8455268852, 37.97694092}},
    {"iris.csv",
     {"Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width"},
     weights_model::stick_breaking,
     -334.4881931969,
     {0.5125361544, 0.3325038799, 0.1549599657},
     {6.32554342, 2.931052318, 5.115259499, 1.793258032, 5.022420179, 3.420713405, 1.507051155, 0.2647100887,
      6.026076837, 2.699737137, 4.147868435, 1.264800013},
     {0.4257837149,  0.08606652568,    0.4405533663,     0.1539795389,  0.08606652568,  0.0936789633, 0.08591005039,
      0.05364912666, 0.4405533663,     0.08591005039,    0.6234808929,  0.2423596042,   0.1539795389, 0.05364912666,
      0.2423596042,  0.1597777148,     0.1380844795,     0.08361090266, 0.07318675637,  0.033364228,  0.08361090266,
      0.1363879042,  -0.01092777987,   -0.0002311417508, 0.07318675637, -0.01092777987, 0.1804407046, 0.06910311085,
      0.033364228,   -0.0002311417508, 0.06910311085,    0.03727874707, 0.3364683401,   0.1325200873, 0.2726077618,
      0.09547402018, 0.1325200873,     0.1044231541,     0.07234363036, 0.0333198791,   0.2726077618, 0.07234363036,
      0.3145197403,  0.1168438576,     0.09547402018,    0.0333198791,  0.1168438576,   0.0510439398}},
};

/// The data's covariance with divisor N.
std::vector<double> covariance_of(const data_source& data) {
    fit_options one;
    one.relative_regularization = 0;
    return fit(context::reference(), data, one).model.covariances();
}

TEST(Variational, ReachesTheOptimaOfScikitLearn) {
    for (const published& p : scikit_learn) {
        SCOPED_TRACE(std::string(p.file) + " " + std::string(to_string(p.weights)) +
                     " k=" + std::to_string(p.expected_weights.size()));
        const auto data = data_source::file(std::string(ELBO_TEST_DATA "/") + p.file, {.columns = p.columns});
        const auto d = static_cast<std::int64_t>(p.columns.size());
        variational_options o;
        o.components = static_cast<std::int64_t>(p.expected_weights.size());
        o.weights_prior = p.weights;
        o.prior.scale = covariance_of(data);
        // Of several optima the one that scikit-learn found.
        o.start_model = model::from_covariances(family::full, d, p.expected_weights, p.means, p.covariances);
        o.tolerance = 1e-14;
        const variational_result r = fit_variational(context::reference(), data, o);
        // Both stop where a step gains less than about 1e-13 nats a sample: a bound is reached to 1e-8 nats, parameters
        // at its flat maximum to the root of that and where convergence is slow some more; printed are 10 digits.
        EXPECT_NEAR(r.total_bound, p.bound, 1e-6);
        for (std::size_t k = 0; k < p.expected_weights.size(); ++k)
            EXPECT_NEAR(r.model.weights()[k], p.expected_weights[k], 1e-5);
        for (std::size_t i = 0; i < p.means.size(); ++i)
            EXPECT_NEAR(r.model.means()[i], p.means[i], 1e-4 * std::abs(p.means[i]));
        const std::vector<double> covariances = r.model.covariances();
        for (std::size_t i = 0; i < p.covariances.size(); ++i)
            EXPECT_NEAR(covariances[i], p.covariances[i], 1e-4 * (std::abs(p.covariances[i]) + 0.1));
    }
}

} // namespace
} // namespace elbo::gmm
