// Regression by a mixture: by hand, against conditional() and moments(), and against integrals of the density.
#include "elbo/error.hpp"
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/regress.hpp"
#include "tests/support/data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace elbo::gmm {
namespace {

using testing::HasSubstr;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr family families[] = {family::full, family::diagonal,      family::spherical,
                               family::tied, family::tied_diagonal, family::tied_spherical};

/// Factors with diagonals 0.5 to 2, so condition numbers of at most about 100; every third component dropped.
model random_model(family f, std::int64_t d, std::int64_t k, std::uint64_t seed, double offset = 0) {
    kernels::gmm_parameters p = test::random_parameters({f, d, k}, 1.5, seed);
    double sum = 0;
    for (std::int64_t c = 0; c < k; ++c)
        sum += p.log_weights[c] = c % 3 == 1 ? 0 : std::exp(p.log_weights[c]);
    for (double& w : p.log_weights)
        w /= sum;
    for (double& v : p.means)
        v += offset;
    return model::from_precision_cholesky(f, d, p.log_weights, p.means, p.precision_cholesky);
}

std::vector<double> random_rows(std::int64_t n, std::int64_t b, std::uint64_t seed, double offset = 0) {
    std::vector<double> x(n * b);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = offset + 3 * test::normal(seed, i);
    return x;
}

matrix_view<const double> view_of(const std::vector<double>& x, std::int64_t b) {
    return {x.data(), std::ssize(x) / b, b};
}

const regress_options everything{.covariances = true, .responsibilities = true};

/// Both sides sum b numbers with relative errors of a few b ε of the largest and take the weights e^-½r² from them, so
/// that relative errors of ½ r² go into the moments: with d <= 9, condition numbers of 100 and r² of some hundred below
/// 1e-11 of the spread of the components (of order 10); far less in the mean over signs.
constexpr double law_tolerance = 1e-11;

void expect_row_is_conditional(const model& m, const std::vector<std::int64_t>& known, const std::vector<double>& row,
                               const regression& r, std::int64_t i, double tolerance = law_tolerance) {
    const model given = conditional(m, known, row);
    const moments_result want = moments(given);
    const std::int64_t a = given.dimensions(), k = m.components();
    for (std::int64_t j = 0; j < a; ++j) {
        EXPECT_NEAR(r.means[i * a + j], want.mean[j], tolerance * (1 + std::abs(want.mean[j])));
        EXPECT_EQ(r.variances[i * a + j], r.covariances[(i * a + j) * a + j]);
        for (std::int64_t l = 0; l < a; ++l)
            EXPECT_NEAR(r.covariances[(i * a + j) * a + l], want.covariance[j * a + l],
                        tolerance * (1 + std::abs(want.covariance[j * a + l])));
    }
    for (std::int64_t c = 0; c < k; ++c)
        EXPECT_NEAR(r.responsibilities[i * k + c], given.weights()[c], tolerance);
    const double density = log_density(context::reference(), marginal(m, known), view_of(row, std::ssize(row)))[0];
    EXPECT_NEAR(r.log_density[i], density, tolerance * (1 + std::abs(density)));
}

TEST(GmmRegress, OneComponentIsLinearRegressionByHand) {
    // Σ = (4 2; 2 3), μ = (1, 2): E = 2 + ½ (x − 1), variance 3 − 1 = 2, p(x) = N(x; 1, 4).
    const model m = model::from_covariances(family::full, 2, {1}, {1, 2}, {4, 2, 2, 3});
    const std::vector<double> x{-3, 0, 1, 7.5};
    const regression r = regress(context::reference(), m, {0}, view_of(x, 1));
    ASSERT_EQ(r.means.size(), 4u);
    EXPECT_TRUE(r.covariances.empty() && r.responsibilities.empty());
    for (std::size_t i = 0; i < x.size(); ++i) {
        EXPECT_NEAR(r.means[i], 2 + 0.5 * (x[i] - 1), 1e-15 * 8);
        EXPECT_NEAR(r.variances[i], 2, 1e-15 * 4);
        EXPECT_NEAR(r.log_density[i], -0.125 * (x[i] - 1) * (x[i] - 1) - 0.5 * std::log(8 * M_PI), 1e-14);
    }
}

TEST(GmmRegress, TwoComponentsByHand) {
    // The conditional of GmmConditional.ByHand: weights w of N(3, 2) and N(5, 2).
    const model m = model::from_covariances(family::full, 2, {0.25, 0.75}, {1, 2, -3, 5}, {4, 2, 2, 3, 1, 0, 0, 2});
    const std::vector<double> x{3};
    const regression r = regress(context::reference(), m, {0}, view_of(x, 1), everything);
    const double first = 0.125 * std::exp(-0.5), second = 0.75 * std::exp(-18.0), w = first / (first + second);
    EXPECT_NEAR(r.responsibilities[0], w, 1e-15);
    EXPECT_NEAR(r.means[0], 3 * w + 5 * (1 - w), 1e-14);
    EXPECT_NEAR(r.variances[0], 2 + 4 * w * (1 - w), 1e-14);
    EXPECT_NEAR(r.log_density[0], std::log((first + second) / std::sqrt(2 * M_PI)), 1e-14);
}

TEST(GmmRegress, IsTheMomentsOfTheConditional) {
    struct sizes {
        std::int64_t d;
        std::vector<std::int64_t> known;
    };
    const sizes all_sizes[] = {{2, {0}}, {2, {1}}, {3, {2, 0}}, {9, {5, 0, 3}}, {9, {8, 7, 6, 5, 4, 3, 2, 1}},
                               {9, {4}}};
    for (family f : families)
        for (const sizes& s : all_sizes)
            for (std::int64_t k : {1, 2, 7}) {
                SCOPED_TRACE(std::string(to_string(f)) + " d=" + std::to_string(s.d) + " K=" + std::to_string(k));
                const model m = random_model(f, s.d, k, 10 * s.d + k);
                const std::int64_t b = std::ssize(s.known);
                const std::vector<double> x = random_rows(19, b, 100 + s.d); // two tiles and a part of one
                const regression r = regress(context::reference(), m, s.known, view_of(x, b), everything);
                for (std::int64_t i = 0; i < 19; ++i)
                    expect_row_is_conditional(m, s.known, {x.begin() + i * b, x.begin() + (i + 1) * b}, r, i);
                if (HasFailure())
                    return;
            }
}

TEST(GmmRegress, ManyKnownColumns) {
    for (std::int64_t d : {31, 32, 33}) {
        const model m = random_model(family::full, d, 3, d);
        std::vector<std::int64_t> known;
        for (std::int64_t j = d - 1; j >= 4; --j)
            known.push_back(j);
        const std::int64_t b = std::ssize(known);
        const std::vector<double> x = random_rows(9, b, 5);
        const regression r = regress(context::reference(), m, known, view_of(x, b), everything);
        for (std::int64_t i = 0; i < 9; ++i) // squared distances of thousands
            expect_row_is_conditional(m, known, {x.begin() + i * b, x.begin() + (i + 1) * b}, r, i, 1e-9);
    }
}

TEST(GmmRegress, MatchesIntegralsOfTheDensity) {
    // ∫ yⁿ p(x, y) dy by the trapezoidal rule, whose error for such a function falls as e^(−2π² σ²/h²): nothing at h =
    // σ/8.
    for (family f : families) {
        SCOPED_TRACE(to_string(f));
        const model m = random_model(f, 2, 4, 77);
        const double h = 0.05;
        for (double x : {-3.0, 0.0, 0.7, 4.0}) {
            std::vector<double> points;
            for (double y = -30; y < 30; y += h)
                points.insert(points.end(), {x, y});
            const std::vector<double> lp = log_density(context::reference(), m, view_of(points, 2));
            double sums[3] = {};
            for (std::size_t i = 0; i < lp.size(); ++i)
                for (int power = 0; power < 3; ++power)
                    sums[power] += h * std::pow(points[2 * i + 1], power) * std::exp(lp[i]);
            const std::vector<double> row{x};
            const regression r = regress(context::reference(), m, {0}, view_of(row, 1));
            EXPECT_NEAR(r.log_density[0], std::log(sums[0]), 1e-11);
            EXPECT_NEAR(r.means[0], sums[1] / sums[0], 1e-10);
            EXPECT_NEAR(r.variances[0], sums[2] / sums[0] - r.means[0] * r.means[0], 1e-9);
        }
    }
}

TEST(GmmRegress, SameBitsForAnyBatchThreadsTypeAndPlace) {
    const model m = random_model(family::full, 5, 4, 3);
    const std::vector<std::int64_t> known{4, 1};
    std::vector<double> x = random_rows(1003, 2, 8);
    for (double& value : x)
        value = static_cast<float>(value);
    const std::vector<float> narrow(x.begin(), x.end());
    const regression want = regress(context::reference(), m, known, view_of(x, 2), everything);
    const auto expect_same = [&](const context& ctx, const data_source& data) {
        const regression got = regress(ctx, m, known, data, everything);
        EXPECT_EQ(got.means, want.means);
        EXPECT_EQ(got.covariances, want.covariances);
        EXPECT_EQ(got.log_density, want.log_density);
        EXPECT_EQ(got.responsibilities, want.responsibilities);
    };
    for (int threads : {1, 2, 5}) {
        expect_same(context::cpu(threads), view_of(x, 2));
        expect_same(context::cpu(threads), matrix_view<const float>(narrow.data(), 1003, 2));
    }
    expect_same(context::cpu(2), data_source::chunks({view_of(x, 2).slice(0, 1), view_of(x, 2).slice(1, 13),
                                                      view_of(x, 2).slice(14, 989)}));
    for (std::int64_t i : {0, 7, 8, 1002}) {
        const regression one = regress(context::cpu(), m, known, view_of(x, 2).slice(i, 1));
        EXPECT_EQ(one.means, std::vector(want.means.begin() + i * 3, want.means.begin() + (i + 1) * 3));
        EXPECT_EQ(one.variances, std::vector(want.variances.begin() + i * 3, want.variances.begin() + (i + 1) * 3));
    }
    // Batches of rows follow each other without gaps.
    std::int64_t rows = 0, batches = 0;
    const std::vector<double> many = random_rows(200000, 2, 9);
    regress(context::cpu(), m, known, view_of(many, 2), [&](const regression_batch& batch) {
        EXPECT_EQ(batch.first_row, rows);
        EXPECT_EQ(batch.covariances, nullptr);
        EXPECT_EQ(batch.responsibilities, nullptr);
        rows += batch.rows;
        ++batches;
    });
    EXPECT_EQ(rows, 200000);
    EXPECT_GT(batches, 1);
}

TEST(GmmRegress, FarRowsAndFarFromTheOrigin) {
    for (family f : families) {
        SCOPED_TRACE(to_string(f));
        const model m = random_model(f, 3, 4, 21);
        for (double far : {1e3, 1e9, 1e150, 1e160, 1e300}) {
            const std::vector<double> x{far, -far};
            const regression r = regress(context::reference(), m, {0, 1}, view_of(x, 2), everything);
            double sum = 0;
            for (double p : r.responsibilities)
                sum += p;
            EXPECT_NEAR(sum, 1, 1e-15);
            EXPECT_TRUE(std::isfinite(r.means[0]) && r.variances[0] > 0 && r.log_density[0] < 0);
            EXPECT_EQ(std::isinf(r.log_density[0]), far > 1e154);
        }
        // Means of size 1e6 are rounded by 1e-10.
        const model moved = random_model(f, 3, 4, 21, 1e6);
        const std::vector<double> near = random_rows(5, 2, 3), there = random_rows(5, 2, 3, 1e6);
        const regression a = regress(context::reference(), m, {0, 1}, view_of(near, 2)),
                         b = regress(context::reference(), moved, {0, 1}, view_of(there, 2));
        for (std::size_t i = 0; i < a.means.size(); ++i) {
            EXPECT_NEAR(b.means[i] - 1e6, a.means[i], 1e-7);
            EXPECT_NEAR(b.variances[i], a.variances[i], 1e-7 * (1 + a.variances[i]));
        }
    }
}

TEST(GmmRegress, IllConditioned) {
    // x₀ = a, x₁ = a + 1e-8 b with standard normal a, b (see GmmConditional.IllConditioned).
    const model m = model::from_precision_cholesky(family::full, 2, {1}, {0, 0}, {1, -1e8, 0, 1e8});
    const std::vector<double> x{2};
    for (std::int64_t column : {0, 1}) {
        const regression r = regress(context::reference(), m, {column}, view_of(x, 1));
        EXPECT_NEAR(r.variances[0] / 1e-16, 1, 1e-14);
        EXPECT_NEAR(r.means[0], 2, 1e-14);
    }
}

TEST(GmmRegress, NoRows) {
    const model m = random_model(family::full, 3, 2, 1);
    const double none = 0;
    const regression r = regress(context::cpu(), m, {1}, matrix_view<const double>(&none, 0, 1), everything);
    EXPECT_TRUE(r.means.empty() && r.log_density.empty());
}

TEST(GmmRegress, RefusesWhatItCannotDo) {
    const model m = random_model(family::full, 3, 2, 1);
    std::vector<double> x{1, 2, 3, 4};
    const auto message = [&](const std::vector<std::int64_t>& columns) -> std::string {
        try {
            regress(context::cpu(), m, columns, view_of(x, 2));
        } catch (const invalid_argument& e) {
            return e.what();
        }
        return "no exception";
    };
    EXPECT_THAT(message({}), HasSubstr("columns is empty"));
    EXPECT_THAT(message({0, 3}), HasSubstr("columns[1] = 3: expected 0 to 2"));
    EXPECT_THAT(message({-1, 0}), HasSubstr("columns[0] = -1"));
    EXPECT_THAT(message({1, 1}), HasSubstr("each column once"));
    EXPECT_THAT(message({0, 1, 2}), HasSubstr("columns names all 3 dimensions"));
    EXPECT_THAT(message({1}), HasSubstr("has 2 columns: expected 1, the number of known columns"));
    EXPECT_THAT(message({0, 1}), HasSubstr("no exception"));
    for (double bad : {infinity, -infinity, std::nan("")}) {
        x[3] = bad;
        EXPECT_THAT(message({0, 1}), HasSubstr("row 1, column 1 is"));
    }
    x = {1, 2, 1.7e308, -1.7e308};
    EXPECT_THAT(message({0, 1}), HasSubstr("row 1 (the first number is 1.7e+308): expected values near enough"));
}

} // namespace
} // namespace elbo::gmm
