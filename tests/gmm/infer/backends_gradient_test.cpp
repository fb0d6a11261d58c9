// Fisher's identity: the gradient from one pass of statistics against central differences of the log-likelihood.
#include "elbo/error.hpp"
#include "elbo/gmm/gradient.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

namespace elbo::gmm {
namespace {

constexpr std::int64_t dimensions = 3, components = 3, rows = 150;

/// Unconstrained parameters: logits, means, factors with the logarithms of their diagonals.
struct point {
    family shape;
    std::vector<double> logits, means, factors;

    bool is_diagonal(std::size_t at) const {
        const bool matrix = shape == family::full || shape == family::tied;
        const auto i = static_cast<std::int64_t>(at);
        return !matrix || i / dimensions % dimensions == i % dimensions;
    }
    bool is_below(std::size_t at) const {
        const auto i = static_cast<std::int64_t>(at);
        return !is_diagonal(at) && i / dimensions % dimensions > i % dimensions;
    }
    model as_model() const {
        std::vector<double> weights(logits.size()), u = factors;
        double sum = 0;
        for (double a : logits)
            sum += std::exp(a);
        for (std::size_t k = 0; k < weights.size(); ++k)
            weights[k] = std::exp(logits[k]) / sum;
        for (std::size_t i = 0; i < u.size(); ++i)
            u[i] = is_diagonal(i) ? std::exp(u[i]) : u[i];
        return model::from_precision_cholesky(shape, dimensions, weights, means, u);
    }
};

point random_point(family f) {
    kernels::gmm_parameters p = test::random_parameters({f, dimensions, components}, 1.0, 3);
    point at{f, p.log_weights, p.means, p.precision_cholesky};
    for (std::size_t i = 0; i < at.factors.size(); ++i)
        if (at.is_diagonal(i))
            at.factors[i] = std::log(at.factors[i]);
    return at;
}

std::vector<double> some_weights() {
    std::vector<double> w(rows);
    for (std::int64_t n = 0; n < rows; ++n)
        w[n] = n % 7 == 0 ? 0 : 0.5 + test::uniform(9, n);
    return w;
}

/// Not score(): its sums are rounded to 1e-8, which a difference would magnify.
double value_at(const point& p, const std::vector<double>& x, const std::vector<double>& w) {
    const auto densities =
        log_density(context::reference(), p.as_model(), matrix_view<const double>(x.data(), rows, dimensions));
    return std::inner_product(densities.begin(), densities.end(), w.begin(), 0.0);
}

/// Differences over 2h err by h² f'''/6 with f''' of the order of f (some hundred nats), and by rounding, f 2⁻⁵³ / h.
constexpr double h = 1e-4, difference_error = 2e-5;

void expect_differences(point p, std::vector<double> point::*member, const std::vector<double>& gradient,
                        const std::vector<double>& x, const std::vector<double>& w) {
    ASSERT_EQ(gradient.size(), (p.*member).size());
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        if (member == &point::factors && p.is_below(i)) {
            EXPECT_EQ(gradient[i], 0) << i;
            continue;
        }
        double& parameter = (p.*member)[i];
        const double before = parameter;
        parameter = before + h;
        const double up = value_at(p, x, w);
        parameter = before - h;
        const double down = value_at(p, x, w);
        parameter = before;
        EXPECT_NEAR(gradient[i], (up - down) / (2 * h), difference_error) << i;
    }
}

TEST(GmmGradient, AgreesWithCentralDifferences) {
    const std::vector<double> x = test::clustered(rows, dimensions, components, 1.5, 5), w = some_weights();
    for (const family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        const point p = random_point(f);
        const auto g =
            gradient(context::reference(), p.as_model(), matrix_view<const double>(x.data(), rows, dimensions), w);
        EXPECT_NEAR(g.total_log_likelihood, value_at(p, x, w), 1e-7);
        expect_differences(p, &point::logits, g.logits, x, w);
        expect_differences(p, &point::means, g.means, x, w);
        expect_differences(p, &point::factors, g.precision_cholesky, x, w);
    }
}

TEST(GmmGradient, EveryBackEndAgreesWithTheReference) {
    const std::vector<double> x = test::clustered(rows, dimensions, components, 1.5, 5), w = some_weights();
    const std::vector<float> x32 = test::as<float>(x);
    for (const context& ctx : test::contexts_under_test())
        for (const family f : test::all_families)
            for (const bool single : {false, true}) {
                SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)) + (single ? ", float32" : ", float64"));
                const model m = random_point(f).as_model();
                const data_source data = single ? data_source(matrix_view<const float>(x32.data(), rows, dimensions))
                                                : data_source(matrix_view<const double>(x.data(), rows, dimensions));
                const auto want = gradient(context::reference(), m, data, w), got = gradient(ctx, m, data, w);
                // Each entry sums at most `rows` terms |w r (x − μ)² u²| below 1e3; a term's relative error is that of
                // r, up to (d + 2) roundings of a log-density below 50. The active set leaves out 2⁻²⁴ of r.
                const double roundoff = single ? 0x1p-24 : 0x1p-53;
                const double bound = rows * 1e3 * ((dimensions + 2) * 50 * roundoff + 0x1p-24);
                for (const auto member : {&log_likelihood_gradient::logits, &log_likelihood_gradient::means,
                                          &log_likelihood_gradient::precision_cholesky})
                    for (std::size_t i = 0; i < (want.*member).size(); ++i)
                        EXPECT_NEAR((got.*member)[i], (want.*member)[i], bound) << i;
            }
}

TEST(GmmGradient, VanishesAtAMaximum) {
    const std::vector<double> x = test::clustered(rows, dimensions, 2, 6, 5);
    const matrix_view<const double> data(x.data(), rows, dimensions);
    for (const family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        fit_options options{.components = 2, .shape = f, .tolerance = 1e-14};
        options.relative_regularization = 0;
        const auto g = gradient(context::reference(), fit(context::reference(), data, options).model, data);
        // A gain of 1e-14 nats a sample left with curvatures of the order of N is a gradient of √(2 · 1e-14) N = 2e-5.
        for (const auto* part : {&g.logits, &g.means, &g.precision_cholesky})
            for (const double value : *part)
                EXPECT_NEAR(value, 0, 1e-4);
        EXPECT_NEAR(std::accumulate(g.logits.begin(), g.logits.end(), 0.0), 0, 1e-9);
    }
}

TEST(GmmGradient, NeedsData) {
    const statistics empty(random_point(family::full).as_model());
    EXPECT_THROW(gradient(empty), invalid_argument);
}

} // namespace
} // namespace elbo::gmm
