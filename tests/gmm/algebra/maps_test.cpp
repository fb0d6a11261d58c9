// Affine maps and moments of mixtures: by hand, and by the laws that tie them to the density.
#include "elbo/error.hpp"
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/algebra.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace elbo::gmm {
namespace {

TEST(GmmAffine, ByHand) {
    const model m = two_by_hand();
    const model sum = affine(m, {1, 1}, {10});
    expect_near(sum.means(), {13, 12}, 1e-15);
    expect_near(sum.covariances(), {11, 3}, 1e-15);
    EXPECT_EQ(sum.shape(), family::full);
}

TEST(GmmAffine, ChangesVariables) {
    for (family f : families) {
        SCOPED_TRACE(to_string(f));
        const model m = random_model(f, 3, 2, 9);
        const std::vector<double> a{2, 0, 0, 1, -1, 0, 0.5, 0.25, 3}, b{1, 2, 3}; // |det| = 6
        const model y = affine(m, a, b);
        EXPECT_EQ(y.shape(), is_tied(f) ? family::tied : family::full);
        for (std::uint64_t point = 0; point < 10; ++point) {
            const std::vector<double> x = random_points(1, 3, 300 + point);
            std::vector<double> image = b;
            for (int i = 0; i < 3; ++i)
                for (int j = 0; j < 3; ++j)
                    image[i] += a[i * 3 + j] * x[j];
            const double want = log_density_at(m, x) - std::log(6.0);
            EXPECT_NEAR(log_density_at(y, image), want, law_tolerance * (1 + 5 * std::abs(want)));
        }
    }
}

TEST(GmmAffine, CommutesWithMarginal) {
    for (family f : families) {
        SCOPED_TRACE(to_string(f));
        const model m = random_model(f, 4, 3, 12);
        const std::vector<double> a{1, 2, 0, -1, 0.5, 0, 1, 1, 0, 3, -2, 0.25}, b{1, -1, 4};
        const model both = marginal(affine(m, a, b), {2, 0});
        const model rows = affine(m, {0, 3, -2, 0.25, 1, 2, 0, -1}, {4, 1});
        expect_same(both, rows, 1e-12); // condition numbers below 1e3
        const model selected = affine(m, {0, 0, 0, 1, 0, 1, 0, 0}, {0, 0});
        EXPECT_EQ(selected.shape(), f);
        expect_same(selected, marginal(m, {3, 1}), 1e-13);
    }
}

TEST(GmmAffine, Families) {
    const auto shape = [](family f, const std::vector<double>& a) {
        return affine(random_model(f, 2, 2, 1), a, {0, 0}).shape();
    };
    EXPECT_EQ(shape(family::spherical, {0, -2, 2, 0}), family::spherical);
    EXPECT_EQ(shape(family::tied_spherical, {1, 0, 0, 2}), family::tied_diagonal);
    EXPECT_EQ(shape(family::diagonal, {0, 5, 2, 0}), family::diagonal);
    EXPECT_EQ(shape(family::tied_diagonal, {1, 1, 0, 1}), family::tied);
    EXPECT_EQ(shape(family::full, {1, 0, 0, 1}), family::full);
    const model m = affine(random_model(family::diagonal, 2, 1, 7), {0, 5, -2, 0}, {0, 0});
    const model old = random_model(family::diagonal, 2, 1, 7);
    expect_near(m.covariances(), {25 * old.covariances()[1], 4 * old.covariances()[0]}, 1e-15);
}

TEST(GmmMoments, ByHand) {
    const moments_result r = moments(two_by_hand());
    // Means (1, 2) and (−3, 5): mean (−2, 4.25), between them ¼ ¾ (4, −3)(4, −3)ᵀ.
    expect_near(r.mean, {-2, 4.25}, 1e-15);
    expect_near(r.covariance, {1.75 + 3, 0.5 - 2.25, 0.5 - 2.25, 2.25 + 1.6875}, 1e-15);
}

TEST(GmmMoments, FarFromTheOrigin) {
    const model m =
        model::from_covariances(family::spherical, 2, {0.5, 0.5}, {1e6 - 1, 1e6, 1e6 + 1, 1e6}, {0.25, 0.25});
    expect_near(moments(m).covariance, {1.25, 0, 0, 0.25}, 1e-15);
}

TEST(GmmMoments, AgreeWithSamples) {
    constexpr std::int64_t n = 40000, d = 3;
    for (family f : families) {
        SCOPED_TRACE(to_string(f));
        const model m = random_model(f, d, 3, 17);
        const moments_result r = moments(m);
        const sample_result s = sample(context::reference(), m, n, 5);
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < d; ++j) {
                double mean = 0, square = 0;
                for (std::int64_t row = 0; row < n; ++row) {
                    const double v = (s.x[row * d + i] - r.mean[i]) * (s.x[row * d + j] - r.mean[j]);
                    mean += v / n;
                    square += v * v / n;
                }
                // Five standard errors of the mean of the products, and of the values.
                EXPECT_NEAR(mean, r.covariance[i * d + j], 5 * std::sqrt((square - mean * mean) / n));
            }
        for (int i = 0; i < d; ++i) {
            double mean = 0;
            for (std::int64_t row = 0; row < n; ++row)
                mean += s.x[row * d + i] / n;
            EXPECT_NEAR(mean, r.mean[i], 5 * std::sqrt(r.covariance[i * d + i] / n));
        }
    }
}

} // namespace
} // namespace elbo::gmm
