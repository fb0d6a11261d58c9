// Likelihoods of counts: values of scipy.stats, the float32 formulas against the float64 ones, draws. Gradients against
// differences: reference_gradient_test.cpp.
#include "kernels/math/likelihood/families.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace elbo::kernels {
namespace {

using vae::count_mean;

template <class Real>
observed_number<scalar_math<Real>> at(double x, double output, double total = 1, double own = 0) {
    observed_number<scalar_math<Real>> o{static_cast<Real>(x), static_cast<Real>(output)};
    o.own = static_cast<Real>(own);
    o.total = static_cast<Real>(total);
    o.form = count_mean::exponential;
    return o;
}

template <class Family, class Real>
likelihood_term<scalar_math<Real>> term(observed_number<scalar_math<Real>> o) {
    o.prepared = Family::prepare(o.own);
    return Family::template term<scalar_math<Real>>(o);
}

/// D(x; μ) = x ln(x/μ) + μ − x.
double deviance(double x, double mean) {
    return (x > 0 ? x * std::log(x / mean) : 0) + mean - x;
}

struct known {
    double x, mean, log_p;
};

TEST(VaeCounts, PoissonValuesOfScipy) {
    const known values[] = {{0, 0.5, -0.5},
                            {1, 1e-6, -13.815511557964273},
                            {3, 2.5, -1.5428872736055896},
                            {7, 9, -2.144589319711878},
                            {8, 8, -1.9690705693065649},
                            {40, 33.25, -3.4084490306828457},
                            {1000, 1100, -9.062719701702008},
                            {185003, 184000, -9.711768997833133}};
    // scipy subtracts numbers of the size of x ln x; ours goes by the rounding of μ = e^a.
    for (const auto& [x, mean, log_p] : values) {
        const double tolerance = 16 * 0x1p-53 * (1 + deviance(x, mean) + x * std::log(x + 2) + mean);
        EXPECT_NEAR((term<likelihoods::poisson>(at<double>(x, std::log(mean))).value), log_p, tolerance) << x;
        EXPECT_NEAR((term<likelihoods::poisson>(at<double>(x, std::log(mean / 3), 3)).value), log_p, tolerance) << x;
    }
}

struct known_dispersed {
    double x, mean, theta, log_p;
};

/// Error of the float32 (float64) formula, as negative_binomial.hpp derives it.
double dispersed_tolerance(double u, double x, double mean, double theta) {
    const double deviances = deviance(x, mean) + deviance(x + theta, mean + theta);
    const double logarithms =
        theta + x * std::log1p(theta / mean) + theta * std::abs(std::log((mean + theta) / (x + theta)));
    const double terms = std::min(deviances, logarithms);
    return 16 * u * (2 + terms + std::abs(std::log(theta)) + std::abs(std::log(x + theta)));
}

TEST(VaeCounts, NegativeBinomialValuesOfScipy) {
    const known_dispersed values[] = {
        {0, 0.5, 0.25, -0.27465307216702745}, {1, 0.001, 0.001, -7.6015956067226425},
        {3, 2.5, 0.5, -2.605995214801572},    {7, 9, 7.5, -2.353140583859295},
        {8, 8, 8, -2.320847768928898},        {40, 33.25, 100, -3.408772903597132},
        {1000, 1100, 2, -7.531245765388583},  {185003, 184000, 0.75, -13.297182955668964}};
    for (const auto& [x, mean, theta, log_p] : values) {
        // Those of scipy are differences of ln Γ.
        const double of_scipy = 16 * 0x1p-53 * (x + theta) * std::abs(std::log(x + theta + 2));
        const double tolerance = dispersed_tolerance(0x1p-53, x, mean, theta) + of_scipy;
        const auto o = at<double>(x, std::log(mean), 1, std::log(theta));
        EXPECT_NEAR(term<likelihoods::negative_binomial>(o).value, log_p, tolerance) << x;
    }
}

TEST(VaeCounts, NegativeBinomialBecomesPoisson) {
    // (x − μ)²/2θ and x/2θ are what is left of the difference: nothing at θ = e⁴⁰ for counts to 10⁶.
    for (double own : {40.0, 1e3, 1e30})
        for (double x : {0.0, 1.0, 2.0, 7.0, 8.0, 300.0, 1e6})
            for (double factor : {0.2, 0.999, 1.0, 3.0}) {
                const auto o = at<float>(x, std::log(factor * (x + 0.3)), 1, own);
                const auto poisson = term<likelihoods::poisson>(o), limit = term<likelihoods::negative_binomial>(o);
                EXPECT_NEAR(limit.value, poisson.value, 4 * 0x1p-24f * std::abs(poisson.value)) << x;
                EXPECT_EQ(limit.gradient, poisson.gradient) << x;
                EXPECT_NEAR(limit.second, 0, 1e-4);
            }
}

TEST(VaeCounts, ProbabilitiesAddUpToOne) {
    for (double mean : {0.01, 1.0, 20.0}) {
        double sum = 0;
        for (int x = 0; x < 200; ++x)
            sum += std::exp(term<likelihoods::poisson>(at<double>(x, std::log(mean))).value);
        EXPECT_NEAR(sum, 1, 200 * 16 * 0x1p-53);
        sum = 0;
        for (int x = 0; x < 2000; ++x)
            sum +=
                std::exp(term<likelihoods::negative_binomial>(at<double>(x, std::log(mean), 1, std::log(2.5))).value);
        EXPECT_NEAR(sum, 1, 2000 * 16 * 0x1p-53);
    }
}

/// Counts and outputs of all sizes, also close to each other.
template <class Visit>
void for_each_count(const Visit& visit) {
    for (std::uint64_t i = 0; i < 4000; ++i) {
        const double x =
            std::floor(std::exp(16 * test::uniform(1, i)) - 1 + (i % 4 == 0 ? 8 * test::uniform(2, i) : 0));
        const double near = std::log(x + 0.5) + (i % 3 == 0 ? 8 : 0.2) * (test::uniform(3, i) - 0.5);
        visit(x, static_cast<float>(i % 2 == 0 ? near : 30 * test::uniform(4, i) - 15), i);
    }
}

TEST(VaeCounts, PoissonInFloat32) {
    const double u = 0x1p-24;
    for_each_count([&](double x, double output, std::uint64_t) {
        const auto got = term<likelihoods::poisson>(at<float>(x, output));
        const auto want = term<likelihoods::poisson>(at<double>(x, output));
        const double mean = std::exp(output), of_mean = std::abs(x - mean) * 4 * u * (1 + std::abs(output));
        EXPECT_NEAR(static_cast<double>(got.value), want.value, 16 * u * (1 + deviance(x, mean)) + of_mean)
            << x << " of e^" << output;
        EXPECT_NEAR(static_cast<double>(got.gradient), want.gradient,
                    4 * u * (std::abs(want.gradient) + mean * (1 + std::abs(output))));
    });
}

TEST(VaeCounts, NegativeBinomialInFloat32) {
    const double u = 0x1p-24;
    for_each_count([&](double x, double output, std::uint64_t i) {
        const auto own = static_cast<float>(-17 + 56 * test::uniform(5, i));
        const auto got = term<likelihoods::negative_binomial>(at<float>(x, output, 1, own));
        const auto want = term<likelihoods::negative_binomial>(at<double>(x, output, 1, own));
        // θ and μ come from exponentials: relative errors of 4 u (1 + |argument|), times the derivatives.
        const double mean = std::exp(output), theta = std::exp(double(own));
        const double of_mean = 4 * u * (1 + std::abs(output)) * std::abs(want.gradient);
        const double of_theta = 4 * u * (1 + std::abs(own)) * std::abs(want.second);
        EXPECT_NEAR(got.value, want.value, dispersed_tolerance(u, x, mean, theta) + of_mean + of_theta)
            << x << " of e^" << output << ", theta e^" << own;
        const double size = std::max(x, mean) / (1 + mean / theta);
        EXPECT_NEAR(got.gradient, want.gradient, 8 * u * size * (1 + std::abs(output) + std::abs(own)));
        // The second derivatives are at most the first term and |x − μ|/(1 + μ/θ).
        const double slope = 8 * u * (2 + std::abs(output) + std::abs(own));
        EXPECT_NEAR(got.second, want.second, slope * (12 + std::abs(want.second) + std::abs(want.gradient)))
            << x << " of e^" << output << ", theta e^" << own;
    });
}

TEST(VaeCounts, NegativeBinomialGradientsAreTheDerivatives) {
    // Central differences err by h²/6 of the third derivative and by 64 roundings of the value over h: with h = 1e-4
    // below 1e-7 of the largest term.
    const double h = 1e-4;
    using family = likelihoods::negative_binomial;
    for (double x : {0.0, 1.0, 5.0, 8.0, 900.0})
        for (double own : {-6.0, -1.0, 0.5, 2.0, 2.2, 6.0, 12.0})
            for (double output : {-4.0, 0.3, 2.0, 7.0}) {
                const auto value = [&](double a, double b) { return term<family>(at<double>(x, a, 1, b)).value; };
                const auto got = term<family>(at<double>(x, output, 1, own));
                const double tolerance = 1e-7 * (1 + x + std::exp(output));
                EXPECT_NEAR(got.gradient, (value(output + h, own) - value(output - h, own)) / (2 * h), tolerance);
                EXPECT_NEAR(got.second, (value(output, own + h) - value(output, own - h)) / (2 * h), tolerance)
                    << x << " " << own << " " << output;
            }
    EXPECT_EQ(term<family>(at<double>(3, 1, 1, 41)).second, 0) << "beyond the largest theta";
    EXPECT_EQ(term<family>(at<double>(3, 1, 1, -19)).second, 0);
}

TEST(VaeCounts, StayFiniteFarOut) {
    for (count_mean form : {count_mean::softplus, count_mean::exponential})
        for (double output : {-1e30, -1e4, -200.0, -90.0, 0.0, 90.0, 1e4, 1e30})
            for (double x : {0.0, 1.0, 16777216.0})
                for (double total : {0.0, 1.0, 1e9}) {
                    if (total == 0 && x > 0)
                        continue;
                    auto o = at<float>(x, output, total);
                    o.form = form;
                    const auto t = term<likelihoods::poisson>(o);
                    EXPECT_TRUE(std::isfinite(t.value) && std::isfinite(t.gradient)) << x << " at " << output;
                    EXPECT_LE(t.value, 0);
                    for (float own : {-1e30f, -18.0f, 0.0f, 2.0f, 40.0f, 1e30f}) {
                        o.own = own;
                        const auto s = term<likelihoods::negative_binomial>(o);
                        EXPECT_TRUE(std::isfinite(s.value) && std::isfinite(s.gradient) && std::isfinite(s.second))
                            << x << " at " << output << ", " << own;
                    }
                }
}

TEST(VaeCounts, SlopesOfMeansAreTheDerivatives) {
    // The central difference errs by h² f'''/6 and by a rounding of ln f over h: below 1e-8 for h = 1e-4.
    using math = scalar_math<double>;
    const double h = 1e-4;
    for (count_mean form : {count_mean::softplus, count_mean::exponential})
        for (double a : {-60.0, -37.0, -20.0, -3.0, 0.0, 0.5, 4.0, 25.0}) {
            const double difference = (rate_of<math>(form, a + h).log - rate_of<math>(form, a - h).log) / (2 * h);
            EXPECT_NEAR(rate_of<math>(form, a).slope, difference, 1e-8) << a;
            EXPECT_NEAR(std::exp(rate_of<math>(form, a).log) / rate_of<math>(form, a).value, 1, 64 * 64 * 0x1p-53);
        }
}

TEST(VaeCounts, OutputsForMeansAreTheInverse) {
    for (count_mean form : {count_mean::softplus, count_mean::exponential})
        for (bool library : {false, true})
            for (double mean : {1e-4, 0.3, 40.0, 1e5}) {
                const vae::likelihood l{
                    .family = vae::likelihood_family::poisson, .count_mean = form, .library_size = library};
                const double a = likelihoods::poisson::output_for_mean(mean, l, 5000);
                const double rate = rate_of<scalar_math<double>>(form, a).value * (library ? 5000 : 1);
                EXPECT_NEAR(rate / mean, 1, 1e-12);
            }
}

TEST(VaeCounts, WhatCountsAre) {
    for (double x : {0.0, 1.0, 16777216.0})
        EXPECT_TRUE(likelihoods::poisson::allows(x)) << x;
    for (double x : {-1.0, 0.5, 16777217.0, 1e300})
        EXPECT_FALSE(likelihoods::poisson::allows(x)) << x;
}

/// Mean and variance of draws against those of the distribution: 5 standard errors, of a variance that of a normal
/// variable three times over, for the tails.
template <class Family>
void expect_moments(double mean, double variance, const std::vector<double>& own) {
    const int rows = 4000, columns = 5;
    double sum = 0, squares = 0;
    for (int r = 0; r < rows; ++r) {
        std::vector<float> x(columns, static_cast<float>(mean));
        Family::draw({make_noise_key(7, noise_purpose::sample_observation, 0), static_cast<std::uint64_t>(r)}, {}, own,
                     x);
        for (float value : x) {
            EXPECT_TRUE(Family::allows(static_cast<double>(value)));
            sum += static_cast<double>(value);
            squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
        }
    }
    const double n = rows * columns;
    EXPECT_NEAR(sum / n, mean, 5 * std::sqrt(variance / n)) << mean;
    EXPECT_NEAR(squares / n, variance, 5 * 3 * std::sqrt(2 / n) * variance + 5 * std::sqrt(variance / n)) << mean;
}

TEST(VaeCounts, DrawsHaveTheirMoments) {
    for (double mean : {0.05, 3.0, 9.5, 10.5, 250.0, 1e5})
        expect_moments<likelihoods::poisson>(mean, mean, {});
    for (double mean : {0.3, 20.0})
        for (double theta : {0.4, 3.0, 1e9})
            expect_moments<likelihoods::negative_binomial>(mean, mean + mean * mean / theta, {theta});
}

} // namespace
} // namespace elbo::kernels
