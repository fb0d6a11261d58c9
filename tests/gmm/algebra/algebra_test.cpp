// Marginals, conditionals, products, affine maps and moments: by hand, and by the laws that tie them to the density.
#include "elbo/error.hpp"
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/algebra.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace elbo::gmm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> pick(const std::vector<double>& x, const std::vector<std::int64_t>& columns) {
    std::vector<double> result;
    for (std::int64_t j : columns)
        result.push_back(x[j]);
    return result;
}

std::string message_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const invalid_argument& e) {
        return e.what();
    }
    return "no exception";
}

TEST(GmmMarginal, ByHand) {
    const model m = two_by_hand();
    const model second = marginal(m, {1});
    EXPECT_EQ(second.shape(), family::full);
    expect_near(second.weights(), {0.25, 0.75}, 0);
    expect_near(second.means(), {2, 5}, 0);
    expect_near(second.covariances(), {3, 2}, 1e-15);
    const model swapped = marginal(m, {1, 0});
    expect_near(swapped.means(), {2, 1, 5, -3}, 0);
    expect_near(swapped.covariances(), {3, 2, 2, 4, 2, 0, 0, 1}, 1e-15);
    EXPECT_EQ(marginal(m, {0, 1}), m); // a triangular factor is its own decomposition, to the bit
}

TEST(GmmMarginal, KeepsEveryFamilyAndCovariance) {
    for (family f : families)
        for (std::int64_t k : {1, 3}) {
            SCOPED_TRACE(to_string(f));
            const model m = random_model(f, 5, k, 3);
            const std::vector<std::int64_t> columns{4, 0, 2};
            const model part = marginal(m, columns);
            EXPECT_EQ(part.shape(), f);
            EXPECT_EQ(part.dimensions(), 3);
            for (std::int64_t c = 0; c < k; ++c) {
                const std::vector<double> whole = m.covariance(c), own = part.covariance(c);
                for (int i = 0; i < 3; ++i) {
                    EXPECT_EQ(part.means()[c * 3 + i], m.means()[c * 5 + columns[i]]);
                    for (int j = 0; j < 3; ++j)
                        EXPECT_NEAR(own[i * 3 + j], whole[columns[i] * 5 + columns[j]], 1e-13);
                }
            }
        }
}

TEST(GmmConditional, ByHand) {
    const model m = two_by_hand();
    const model given = conditional(m, {0}, {3});
    // μ₁ + ½ (3 − 1) = 3 with variance 3 − 1 = 2; the second component is independent of column 0.
    expect_near(given.means(), {3, 5}, 1e-15);
    expect_near(given.covariances(), {2, 2}, 1e-15);
    // ¼ N(3; 1, 4) : ¾ N(3; −3, 1) = ¼ ½ exp(−½) : ¾ exp(−18)
    const double first = 0.125 * std::exp(-0.5), second = 0.75 * std::exp(-18.0);
    expect_near(given.weights(), {first / (first + second), second / (first + second)}, 1e-15);
}

TEST(GmmConditional, TimesMarginalIsTheJointDensity) {
    for (family f : families)
        for (std::int64_t d : {2, 3, 7})
            for (std::int64_t k : {1, 3}) {
                SCOPED_TRACE(std::string(to_string(f)) + " d=" + std::to_string(d) + " K=" + std::to_string(k));
                const model m = random_model(f, d, k, 10 * d + k);
                const std::vector<std::int64_t> known =
                    d == 7 ? std::vector<std::int64_t>{5, 0, 3} : std::vector<std::int64_t>{d - 1};
                std::vector<std::int64_t> rest;
                for (std::int64_t j = 0; j < d; ++j)
                    if (std::ranges::find(known, j) == known.end())
                        rest.push_back(j);
                const model part = marginal(m, known);
                for (std::uint64_t point = 0; point < 20; ++point) {
                    const std::vector<double> x = random_points(1, d, 100 + point);
                    const model given = conditional(m, known, pick(x, known));
                    EXPECT_EQ(given.shape(), f);
                    const double joint = log_density_at(m, x);
                    EXPECT_NEAR(log_density_at(part, pick(x, known)) + log_density_at(given, pick(x, rest)), joint,
                                law_tolerance * (1 + 2 * std::abs(joint)));
                }
            }
}

TEST(GmmConditional, FarFromTheOrigin) {
    // Means of size 1e6 are rounded by 1e-10, so log p by that times its slope of at most 4 · 10 a column.
    const model m = random_model(family::full, 3, 2, 5, 1e6);
    const std::vector<double> x = random_points(1, 3, 6, 1e6);
    const double joint = log_density_at(m, x);
    const double parts =
        log_density_at(marginal(m, {2}), {x[2]}) + log_density_at(conditional(m, {2}, {x[2]}), {x[0], x[1]});
    EXPECT_NEAR(parts, joint, 1e-8);
}

TEST(GmmConditional, FarValuesGiveWeights) {
    for (family f : {family::full, family::diagonal, family::spherical, family::tied}) {
        const std::vector<double> own = f == family::full       ? std::vector<double>{1, 0, 0, 1, 4, 0, 0, 4}
                                        : f == family::diagonal ? std::vector<double>{1, 1, 4, 4}
                                        : f == family::tied     ? std::vector<double>{1, 0.5, 0.5, 1}
                                                                : std::vector<double>{1, 4};
        const model m = model::from_covariances(f, 2, {0.5, 0.5}, {0, 0, 1, 1}, own);
        for (double value : {1e3, 1e8, 1e160, 1e300}) {
            // The wider component, or the nearer one of equal ones, takes all, as long as the two can be told apart.
            const model given = conditional(m, {0}, {value});
            const double wanted = f == family::tied && value > 1e16 ? 0.5 : 1;
            expect_near(given.weights(), {1 - wanted, wanted}, 1e-15);
        }
    }
    // A component without weight stays so, however much nearer it is.
    const model dropped = model::from_covariances(family::spherical, 2, {0, 0.5, 0.5}, {0, 0, 1, 1, 2, 2}, {9, 1, 4});
    for (double value : {1e3, 1e160})
        expect_near(conditional(dropped, {0}, {value}).weights(), {0, 0, 1}, 0);
    // Means 2⁻²⁴ apart, seen from 1e8: the squared distances of 1e16 agree to all digits, their difference is 1e8 ·
    // 2⁻²³.
    const model close = model::from_covariances(family::tied_spherical, 2, {0.5, 0.5}, {0, 0, 0x1p-24, 0}, {1});
    const std::vector<double> weights = conditional(close, {0}, {1e8}).weights();
    EXPECT_NEAR(std::log(weights[1] / weights[0]), 1e8 * 0x1p-24, 1e-13); // the distances themselves are exact
}

TEST(GmmConditional, IllConditioned) {
    // x₀ = a, x₁ = a + 1e-8 b with standard normal a, b: a covariance (1, 1; 1, 1 + 1e-16) that float64 cannot hold.
    const model m = model::from_precision_cholesky(family::full, 2, {1}, {0, 0}, {1, -1e8, 0, 1e8});
    expect_near(marginal(m, {1}).covariances(), {1}, 1e-14);
    const model first = conditional(m, {1}, {2});
    EXPECT_NEAR(first.covariances()[0] / 1e-16, 1, 1e-14);
    EXPECT_NEAR(first.means()[0], 2, 1e-14);
    const model second = conditional(m, {0}, {2});
    EXPECT_NEAR(second.covariances()[0] / 1e-16, 1, 1e-14);
    EXPECT_NEAR(second.means()[0], 2, 1e-14);
}

TEST(GmmProduct, ByHand) {
    // N(0, 1) N(x; 2, 1) = N(2; 0, 2) N(x; 1, ½)
    const model one = model::from_covariances(family::full, 1, {1}, {0}, {1});
    const product_result r = product(one, {2}, {1});
    expect_near(r.model.means(), {1}, 1e-15);
    expect_near(r.model.covariances(), {0.5}, 1e-15);
    EXPECT_NEAR(r.log_normalizer, -1 - 0.5 * std::log(4 * 3.14159265358979323846), 1e-15);
}

std::vector<double> some_covariance(std::int64_t d, const std::string& form) {
    std::vector<double> s(d * d, 0);
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            if (i == j)
                s[i * d + j] = form == "spherical" ? 0.7 : 0.7 + 0.1 * static_cast<double>(i);
            else if (form == "full")
                s[i * d + j] = 0.3 / static_cast<double>(d);
    return s;
}

TEST(GmmProduct, IsTheProductOfDensities) {
    for (family f : families)
        for (const char* form : {"spherical", "diagonal", "full"})
            for (std::int64_t d : {2, 6}) {
                SCOPED_TRACE(std::string(to_string(f)) + " times " + form);
                const model m = random_model(f, d, 3, d);
                const std::vector<double> mean = random_points(1, d, 8), s = some_covariance(d, form);
                const model gaussian = model::from_covariances(family::full, d, {1}, mean, s);
                const product_result r = product(m, mean, s);
                EXPECT_EQ(is_tied(r.model.shape()), is_tied(f));
                for (std::uint64_t point = 0; point < 10; ++point) {
                    const std::vector<double> x = random_points(1, d, 200 + point);
                    const double want = log_density_at(m, x) + log_density_at(gaussian, x);
                    EXPECT_NEAR(r.log_normalizer + log_density_at(r.model, x), want,
                                law_tolerance * (1 + 3 * std::abs(want)));
                }
            }
}

TEST(GmmProduct, Families) {
    const auto shape = [](family f, const char* form) {
        return product(random_model(f, 3, 2, 1), {0, 0, 0}, some_covariance(3, form)).model.shape();
    };
    EXPECT_EQ(shape(family::spherical, "spherical"), family::spherical);
    EXPECT_EQ(shape(family::tied_spherical, "spherical"), family::tied_spherical);
    EXPECT_EQ(shape(family::spherical, "diagonal"), family::diagonal);
    EXPECT_EQ(shape(family::tied_diagonal, "spherical"), family::tied_diagonal);
    EXPECT_EQ(shape(family::diagonal, "full"), family::full);
    EXPECT_EQ(shape(family::tied_spherical, "full"), family::tied);
    EXPECT_EQ(shape(family::full, "spherical"), family::full);
}

TEST(GmmProduct, NarrowGaussianFarAway) {
    // A measurement at 1e6 with variance 1e-12: the mean is the measurement, the density that of the model there.
    const model m = random_model(family::full, 2, 2, 4);
    const product_result r = product(m, {1e6, -1e6}, {1e-12, 0, 0, 1e-12});
    for (std::int64_t k = 0; k < 2; ++k) {
        EXPECT_NEAR(r.model.means()[k * 2], 1e6, 1e-5); // moved by the variance times the slope, 1e-12 · 4e6
        EXPECT_NEAR(r.model.covariance(k)[0] / 1e-12, 1, 1e-10);
    }
    const double at = log_density_at(m, {1e6, -1e6});
    EXPECT_NEAR(r.log_normalizer / at, 1, 1e-10);
}

TEST(GmmAlgebra, DroppedComponents) {
    const model m = model::from_covariances(family::full, 2, {0, 1}, {0, 0, 5, 6}, {1, 0, 0, 1, 2, 1, 1, 2});
    const model rest = model::from_covariances(family::full, 2, {1}, {5, 6}, {2, 1, 1, 2});
    expect_near(marginal(m, {0}).weights(), {0, 1}, 0);
    expect_near(conditional(m, {0}, {0}).weights(), {0, 1}, 0);
    const product_result with = product(m, {0, 0}, {1, 0, 0, 1}), without = product(rest, {0, 0}, {1, 0, 0, 1});
    expect_near(with.model.weights(), {0, 1}, 0);
    EXPECT_EQ(with.log_normalizer, without.log_normalizer);
    EXPECT_EQ(moments(m).covariance, moments(rest).covariance);
    expect_near(affine(m, {1, 1}, {0}).weights(), {0, 1}, 0);
}

TEST(GmmAlgebra, BadColumnsAndValues) {
    const model m = two_by_hand();
    EXPECT_THAT(message_of([&] { marginal(m, {}); }), HasSubstr("columns is empty"));
    EXPECT_THAT(message_of([&] { marginal(m, {0, 2}); }), HasSubstr("columns[1] = 2: expected 0 to 1"));
    EXPECT_THAT(message_of([&] { marginal(m, {-1}); }), HasSubstr("columns[0] = -1"));
    EXPECT_THAT(message_of([&] { marginal(m, {1, 1}); }), HasSubstr("columns[1] = 1: expected each column once"));
    EXPECT_THAT(message_of([&] { conditional(m, {0, 1}, {0, 0}); }), HasSubstr("columns names all 2 dimensions"));
    EXPECT_THAT(message_of([&] {
                    conditional(m, {0}, {0, 0});
                }),
                HasSubstr("values has 2 numbers: expected columns = 1"));
    EXPECT_THAT(message_of([&] { conditional(m, {0}, {nan}); }), HasSubstr("values[0] = nan"));
    const model huge = model::from_covariances(family::full, 2, {1}, {-1e308, 0}, {1, 0, 0, 1});
    EXPECT_THAT(message_of([&] { conditional(huge, {0}, {1e308}); }), HasSubstr("values (the first is 1e+308)"));
}

TEST(GmmAlgebra, BadGaussiansAndMaps) {
    const model m = two_by_hand();
    EXPECT_THAT(message_of([&] { product(m, {0}, {1, 0, 0, 1}); }), HasSubstr("mean has 1 numbers: expected d = 2"));
    EXPECT_THAT(message_of([&] { product(m, {0, 0}, {1}); }), HasSubstr("covariance has 1 numbers"));
    EXPECT_THAT(message_of([&] { product(m, {0, nan}, {1, 0, 0, 1}); }), HasSubstr("mean[1] = nan"));
    EXPECT_THAT(message_of([&] { product(m, {0, 0}, {1, 2, 2, 1}); }), HasSubstr("not positive definite"));
    EXPECT_THAT(message_of([&] { product(m, {0, 0}, {1, 0.5, 0.25, 1}); }), HasSubstr("not symmetric"));
    EXPECT_THAT(message_of([&] {
                    product(m, {1e200, 0}, {1, 0, 0, 1});
                }),
                HasSubstr("mean (the first number is 1e+200)"));
    EXPECT_THAT(message_of([&] { affine(m, {1, 0}, {}); }), HasSubstr("b has 0 numbers: expected 1 to 2"));
    EXPECT_THAT(message_of([&] { affine(m, {1, 0, 1, 0, 1, 1}, {0, 0, 0}); }), HasSubstr("b has 3 numbers"));
    EXPECT_THAT(message_of([&] { affine(m, {1, 0, 1}, {0, 0}); }), HasSubstr("a has 3 numbers: expected"));
    EXPECT_THAT(message_of([&] { affine(m, {1, nan}, {0}); }), HasSubstr("a[1] = nan"));
    EXPECT_THAT(message_of([&] {
                    affine(m, {1, 2, 2, 4}, {0, 0});
                }),
                AllOf(HasSubstr("row 1 of a depends"), HasSubstr("linearly independent")));
    EXPECT_THAT(message_of([&] { affine(m, {0, 0}, {0}); }), HasSubstr("row 0 of a"));
    const model independent = random_model(family::spherical, 2, 1, 1);
    EXPECT_THAT(message_of([&] { affine(independent, {1, 0, 2, 0}, {0, 0}); }), HasSubstr("row 1 of a depends"));
    EXPECT_THAT(message_of([&] { affine(independent, {0, 0}, {0}); }), HasSubstr("row 0 of a"));
}

} // namespace
} // namespace elbo::gmm
