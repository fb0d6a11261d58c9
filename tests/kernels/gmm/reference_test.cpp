// The reference itself, on numbers that can be checked by hand, and the parts that all back ends share.
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"
#include "kernels/math/stopping.hpp"
#include "kernels/reference/gmm/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace elbo::kernels {
namespace {

using gmm::family;

constexpr double half_log_two_pi = 0.91893853320467274178;
/// A handful of float64 operations on numbers of order one.
constexpr double few_roundings = 32 * 0x1p-53;

TEST(GmmReference, TwoStandardNormalsOnALine) {
    // α = ½, ½; μ = −1, 1; σ = 1. At x = 0 both are equal: r = ½ and p = N(1).
    const gmm_shape s{family::full, 1, 2};
    const auto p = reference::with_offsets(s, {{std::log(0.5), std::log(0.5)}, {-1, 1}, {1, 1}});
    double lp[2], r[2];
    const double x = 0;
    EXPECT_NEAR(reference::row_posterior(s, p, &x, lp, r), -half_log_two_pi - 0.5, few_roundings);
    EXPECT_NEAR(r[0], 0.5, few_roundings);
    // At x = 2: odds e^{(9 − 1)/2} = e⁴ for the right one.
    const double far = 2;
    reference::row_posterior(s, p, &far, lp, r);
    EXPECT_NEAR(r[1] / r[0], std::exp(4.0), std::exp(4.0) * few_roundings);
}

TEST(GmmReference, CorrelatedGaussianInThePlane) {
    // Σ = [[2, 1], [1, 2]]: det 3, Σ⁻¹ = [[2, −1], [−1, 2]]/3. For x − μ = (1, 1): q = 2/3; (1, −1): q = 2.
    const gmm_shape s{family::full, 2, 1};
    // L = [[√2, 0], [1/√2, √1.5]]; U = L^-T.
    const double l11 = std::sqrt(2.0), l21 = 1 / std::sqrt(2.0), l22 = std::sqrt(1.5);
    const gmm_parameters parameters{{0}, {5, 7}, {1 / l11, -l21 / (l11 * l22), 0, 1 / l22}};
    const double along[2] = {6, 8}, across[2] = {6, 6};
    EXPECT_NEAR(reference::mahalanobis_squared(s, parameters, 0, along), 2.0 / 3, few_roundings);
    EXPECT_NEAR(reference::mahalanobis_squared(s, parameters, 0, across), 2, few_roundings);
    const auto p = reference::with_offsets(s, parameters);
    double lp, r;
    EXPECT_NEAR(reference::row_posterior(s, p, along, &lp, &r), -2 * half_log_two_pi - 0.5 * std::log(3.0) - 1.0 / 3,
                few_roundings);
}

TEST(GmmReference, StatisticsOfThreePoints) {
    // One component at 1: points 0, 1, 3 with weights 1, 2, 1.
    const gmm_shape s{family::full, 1, 1};
    const auto p = reference::with_offsets(s, {{0}, {1}, {1}});
    const double x[] = {0, 1, 3}, w[] = {1, 2, 1};
    std::vector<double> sums(sum_count(s), 0);
    reference::accumulate_rows(s, p, x, w, 3, sums.data());
    EXPECT_EQ(sums[0], 4);
    EXPECT_EQ(sums[1], -1 + 2);
    EXPECT_EQ(sums[2], 1 + 4);
    EXPECT_NEAR(sums[3 + scalar_log_likelihood], -4 * half_log_two_pi - 2.5, few_roundings * 4);
    EXPECT_EQ(sums[3 + scalar_entropy], 0);
    EXPECT_EQ(sums[3 + scalar_weight], 4);

    // M-step: mean 1.25, variance 5/4 − 1/16 = 19/16.
    update_rule rule;
    rule.total_weight = 4;
    rule.lambda = {0};
    std::vector<std::int32_t> reseeds(1, 0);
    gmm_parameters next;
    const update_outcome outcome = reference::m_step(s, p.values, sums, rule, reseeds, next);
    EXPECT_EQ(next.means[0], 1.25);
    EXPECT_NEAR(1 / (next.precision_cholesky[0] * next.precision_cholesky[0]), 19.0 / 16, few_roundings);
    EXPECT_EQ(outcome.parameter_change, 0.25);
    // At its own maximum the bound of one Gaussian is −W/2 (log 2πσ² + 1).
    EXPECT_NEAR(outcome.elbo_after, -2 * (2 * half_log_two_pi + std::log(19.0 / 16) + 1), 8 * few_roundings);
}

TEST(GmmReference, TiedCovariancePoolsTheClusters) {
    // Points −3, −1 | 1, 3 with sure labels: means ∓2, pooled variance 1.
    const gmm_shape s{family::tied, 1, 2};
    gmm_parameters now{{std::log(0.5), std::log(0.5)}, {-2, 2}, {30}}, next;
    const double x[] = {-3, -1, 1, 3};
    std::vector<double> sums(sum_count(s), 0);
    reference::accumulate_rows(s, reference::with_offsets(s, now), x, nullptr, 4, sums.data());
    update_rule rule;
    rule.total_weight = 4;
    rule.lambda = {0};
    rule.scatter = {9 + 1 + 1 + 9};
    std::vector<std::int32_t> reseeds(2, 0);
    reference::m_step(s, now, sums, rule, reseeds, next);
    EXPECT_NEAR(next.precision_cholesky[0], 1, few_roundings);
    EXPECT_NEAR(next.means[0], -2, few_roundings);
}

TEST(FixedPoint, AnyOrderGivesTheSameBitsAndTheExactSum) {
    std::mt19937_64 random(7);
    std::vector<double> partials(5000);
    for (double& v : partials)
        v = std::ldexp(static_cast<double>(random()) / 0x1p63 - 1, static_cast<int>(random() % 36) - 18);
    const int exponent = fixed_exponent(0x1p20);
    const auto sum = [&] {
        std::int64_t total[limb_count] = {0, 0, 0};
        for (double v : partials) {
            std::int64_t limbs[limb_count];
            split_fixed(v, exponent, limbs);
            for (int l = 0; l < limb_count; ++l)
                total[l] += limbs[l];
        }
        return join_fixed(total, exponent);
    };
    const double first = sum();
    // Exact in long double? Not quite; 64 bits suffice to see an error of 2^-60 of the sum of magnitudes.
    long double exact = 0;
    for (double v : partials)
        exact += v;
    EXPECT_NEAR(first, static_cast<double>(exact), 5000 * 0x1p-63 * 0x1p18 * 5000);
    for (int i = 0; i < 5; ++i) {
        std::shuffle(partials.begin(), partials.end(), random);
        EXPECT_EQ(sum(), first);
    }
}

TEST(FixedPoint, SplitAndJoinAreExactForNumbersInTheWindow) {
    for (double v : {0.0, 1.0, -1.0, 0.1, -12345.678, 0x1p19, -0x1p-30, 1e-9}) {
        std::int64_t limbs[limb_count];
        split_fixed(v, fixed_exponent(0x1p20), limbs);
        EXPECT_EQ(join_fixed(limbs, fixed_exponent(0x1p20)), v);
        carry_fixed(limbs);
        EXPECT_EQ(join_fixed(limbs, fixed_exponent(0x1p20)), v);
    }
}

TEST(Philox, KnownAnswers) {
    // Known-answer vectors of the Random123 distribution for philox4x32-10.
    const philox_block zero = philox4x32({{0, 0, 0, 0}}, 0, 0);
    EXPECT_EQ(zero.word[0], 0x6627e8d5u);
    EXPECT_EQ(zero.word[1], 0xe169c58du);
    EXPECT_EQ(zero.word[2], 0xbc57ac4cu);
    EXPECT_EQ(zero.word[3], 0x9b00dbd8u);
    const std::uint32_t all = 0xffffffffu;
    const philox_block ones = philox4x32({{all, all, all, all}}, all, all);
    EXPECT_EQ(ones.word[0], 0x408f276du);
    EXPECT_EQ(ones.word[1], 0x41c83b0eu);
    EXPECT_EQ(ones.word[2], 0xa20bc7c6u);
    EXPECT_EQ(ones.word[3], 0x6d5451fdu);
}

TEST(Philox, UniformsAndNormalsHaveTheirMoments) {
    const int n = 200000;
    double sum = 0, square = 0;
    for (int i = 0; i < n; i += 2) {
        double a = 0, b = 0;
        normal_pair(random_block(3, random_purpose::sample_noise, i), a, b);
        sum += a + b;
        square += a * a + b * b;
    }
    // Standard errors 1/√n and √(2/n); five of them.
    EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
    EXPECT_NEAR(square / n, 1, 5 * std::sqrt(2.0 / n));
}

TEST(Stopping, WaitsForTheGeometricRestAndForAPlateau) {
    // Gains shrink by 0.9: what is still to come is 9 times the gain, so the rule must wait until that is small.
    stopping_state s;
    double value = 0, gain = 1e-3;
    int t = 0;
    for (; t < 1000 && !should_stop(s, value, 1e-6, false); ++t) {
        value += gain;
        gain *= 0.9;
    }
    EXPECT_LT(gain * 9, 1.1e-6);
    EXPECT_GT(gain * 9, 0.5e-6);
    // Growing gains are no convergence, however small.
    stopping_state plateau;
    value = 0, gain = 1e-12;
    for (t = 0; t < 100; ++t) {
        EXPECT_FALSE(should_stop(plateau, value, 1e-8, false)) << t;
        value += gain;
        gain *= 1.5;
        if (gain > 1e-3)
            break;
    }
    // Tolerance 0 never stops.
    // Rounding above the tolerance: up and down by turns, never twice in a row down.
    stopping_state noise;
    std::int64_t turns = 0;
    while (turns < 1000 && !should_stop(noise, turns % 2 == 0 ? -26221.1616 : -26221.1622, 1e-8, false))
        ++turns;
    EXPECT_EQ(turns, 2 * most_falls - 1);
    // The same noise on the way up is progress.
    stopping_state rising;
    for (int t = 0; t < 1000; ++t)
        EXPECT_FALSE(should_stop(rising, 1e-3 * t + (t % 2 == 0 ? 6e-3 : 0), 1e-8, false)) << t;
    stopping_state never;
    for (t = 0; t < 50; ++t)
        EXPECT_FALSE(should_stop(never, 1, 0, false));
}

} // namespace
} // namespace elbo::kernels
