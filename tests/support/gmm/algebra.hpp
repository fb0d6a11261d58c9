// Mixtures, points and comparisons for the tests of the algebra of mixtures.
#pragma once

#include "elbo/error.hpp"
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace elbo::gmm {

inline constexpr family families[] = {family::full, family::diagonal,      family::spherical,
                                      family::tied, family::tied_diagonal, family::tied_spherical};

/// Factors with diagonals 0.5 to 2, so condition numbers of at most about 100.
inline model random_model(family f, std::int64_t d, std::int64_t k, std::uint64_t seed, double offset = 0) {
    kernels::gmm_parameters p = test::random_parameters({f, d, k}, 1.5, seed);
    for (double& w : p.log_weights)
        w = std::exp(w);
    for (double& v : p.means)
        v += offset;
    return model::from_precision_cholesky(f, d, p.log_weights, p.means, p.precision_cholesky);
}

inline std::vector<double> random_points(std::int64_t n, std::int64_t d, std::uint64_t seed, double offset = 0) {
    std::vector<double> x(n * d);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = offset + 3 * test::normal(seed, i);
    return x;
}

inline double log_density_at(const model& m, const std::vector<double>& x) {
    return log_density(context::reference(), m, matrix_view<const double>(x.data(), 1, std::ssize(x)))[0];
}

inline void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], want[i], tolerance * (1 + std::abs(want[i]))) << "element " << i;
}

inline void expect_same(const model& got, const model& want, double tolerance) {
    expect_near(got.weights(), want.weights(), tolerance);
    expect_near(got.means(), want.means(), tolerance);
    ASSERT_EQ(got.components(), want.components());
    for (std::int64_t k = 0; k < want.components(); ++k)
        expect_near(got.covariance(k), want.covariance(k), tolerance);
}

inline model two_by_hand() {
    return model::from_covariances(family::full, 2, {0.25, 0.75}, {1, 2, -3, 5}, {4, 2, 2, 3, 1, 0, 0, 2});
}

// A log-density is a sum of d² products of numbers with relative errors of a few d ε (backward error of the orthogonal
// decomposition), times the condition number of at most 100: for d <= 7, |x| <= 10, below 49 · 10 · 100 ε ≈ 5e-12 of
// the squared distances; in the mean over signs far less. 1e-12 of 1 + |log p| + the squared distance is what is asked.
inline constexpr double law_tolerance = 1e-12;

} // namespace elbo::gmm
