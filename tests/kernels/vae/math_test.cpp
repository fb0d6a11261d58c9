// The formulas that all back ends of variational autoencoders share, on values known in closed form and at the limits.
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_activation.hpp"
#include "kernels/math/vae_importance.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/math/vae_optimizer.hpp"
#include "kernels/math/vae_random.hpp"
#include "kernels/math/vae_storage.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace elbo::kernels {
namespace {

using vae::activation;

constexpr activation all_activations[] = {activation::identity, activation::tanh, activation::relu,
                                          activation::gelu,     activation::silu, activation::softplus};
/// A handful of float64 operations on numbers of order one.
constexpr double few_roundings = 32 * 0x1p-53;
constexpr double infinity = std::numeric_limits<double>::infinity();

double slope_at(activation f, double a) {
    return activation_slope(f, slope_needs_input(f) ? a : activate(f, a));
}

TEST(VaeActivation, KnownValues) {
    EXPECT_EQ(activate(activation::identity, -3.5), -3.5);
    EXPECT_NEAR(activate(activation::tanh, 0.5), 0.46211715726000975850, few_roundings);
    EXPECT_EQ(activate(activation::relu, -2.0), 0);
    EXPECT_EQ(activate(activation::relu, 2.0), 2);
    EXPECT_NEAR(activate(activation::gelu, 1.0), 0.84134474606854294859, few_roundings);
    EXPECT_NEAR(activate(activation::gelu, -1.0), -0.15865525393145705141, few_roundings);
    EXPECT_NEAR(activate(activation::silu, 1.0), 0.73105857863000487926, few_roundings);
    EXPECT_NEAR(activate(activation::softplus, 0.0), std::numbers::ln2, few_roundings);
    EXPECT_NEAR(activate(activation::softplus, 1.0), 1.3132616875182228340, few_roundings);
}

TEST(VaeActivation, SlopesAreTheDerivatives) {
    // The central difference errs by h² f'''/6 < 1e-8 for h = 1e-4 and by 2^-53 · 4 / h < 1e-11.
    const double h = 1e-4;
    for (activation f : all_activations)
        for (double a : {-4.0, -1.3, -0.2, 0.1, 0.7, 2.5, 5.0}) {
            const double difference = (activate(f, a + h) - activate(f, a - h)) / (2 * h);
            EXPECT_NEAR(slope_at(f, a), difference, 1e-8) << static_cast<int>(f) << " at " << a;
        }
    EXPECT_EQ(slope_at(activation::relu, 0), 0);
}

template <class Real>
void check_activation_limits(Real far) {
    // Tails: what lies beyond is less than a rounding away.
    for (activation f : all_activations) {
        const bool bounded = f == activation::tanh;
        EXPECT_EQ(activate(f, far), bounded ? Real(1) : far) << static_cast<int>(f);
        const Real below = f == activation::identity ? -far : Real(bounded ? -1 : 0);
        EXPECT_EQ(activate(f, -far), below) << static_cast<int>(f);
        const Real upper = activation_slope(f, slope_needs_input(f) ? far : activate(f, far));
        const Real lower = activation_slope(f, slope_needs_input(f) ? -far : activate(f, -far));
        EXPECT_EQ(upper, Real(bounded ? 0 : 1)) << static_cast<int>(f);
        EXPECT_EQ(lower, Real(f == activation::identity ? 1 : 0)) << static_cast<int>(f);
    }
}

TEST(VaeActivation, StayFiniteFarOut) {
    check_activation_limits<float>(1e4f);
    check_activation_limits<float>(1e30f);
    check_activation_limits<double>(1e4);
    check_activation_limits<double>(1e300);
}

TEST(VaeLikelihood, BernoulliOfKnownLogits) {
    EXPECT_NEAR(bernoulli_term(1.0, 0.0).value, -std::numbers::ln2, few_roundings);
    EXPECT_EQ(bernoulli_term(1.0, 0.0).gradient, 0.5);
    // Where the logit is that of the grey value itself, the value is minus its entropy and the gradient vanishes.
    const auto grey = bernoulli_term(0.25, std::log(1.0 / 3));
    EXPECT_NEAR(grey.value, 0.25 * std::log(0.25) + 0.75 * std::log(0.75), few_roundings);
    EXPECT_NEAR(grey.gradient, 0, few_roundings);
    // ln(1 + e^-40) = e^-40 to all digits of float64.
    EXPECT_NEAR(bernoulli_term(0.0, -40.0).value / -std::exp(-40.0), 1, few_roundings);
    EXPECT_NEAR(bernoulli_term(1.0, 40.0).value / -std::exp(-40.0), 1, few_roundings);
}

template <class Real>
void check_bernoulli_limits(Real far) {
    EXPECT_EQ(bernoulli_term(Real(1), far).value, 0);
    EXPECT_EQ(bernoulli_term(Real(1), far).gradient, 0);
    EXPECT_EQ(bernoulli_term(Real(0), far).value, -far);
    EXPECT_EQ(bernoulli_term(Real(0), far).gradient, -1);
    EXPECT_EQ(bernoulli_term(Real(1), -far).value, -far);
    EXPECT_EQ(bernoulli_term(Real(1), -far).gradient, 1);
    EXPECT_EQ(bernoulli_term(Real(0), -far).value, 0);
    EXPECT_EQ(bernoulli_term(Real(0.5), far).value, -far / 2);
    EXPECT_EQ(bernoulli_term(Real(0.5), -far).value, -far / 2);
}

TEST(VaeLikelihood, BernoulliOfHugeLogits) {
    check_bernoulli_limits<float>(1e4f);
    check_bernoulli_limits<float>(1e38f);
    check_bernoulli_limits<double>(1e4);
}

TEST(VaeLikelihood, GaussianByHand) {
    // x = 1, mean 3, σ² = 4: (x − mean)²/σ² = 1.
    const auto term = gaussian_term(1.0, 3.0, std::log(4.0), 0.25);
    EXPECT_NEAR(term.value, -0.5 * (std::log(2 * std::numbers::pi) + std::log(4.0) + 1), few_roundings);
    EXPECT_EQ(term.gradient, -0.5);
    EXPECT_EQ(likelihoods::gaussian::own_gradient(term, 0.25), 0);
    EXPECT_EQ(likelihoods::gaussian::own_gradient(term, 1.0), 1.5);
}

TEST(VaeLikelihood, CategoricalBlock) {
    // Softmax of (ln 1, ln 2, ln 3) is (1, 2, 3)/6, also where all logits are shifted far.
    for (double shift : {0.0, 1e4, -1e4}) {
        const double logits[] = {shift, shift + std::log(2.0), shift + std::log(3.0)};
        const double tolerance = few_roundings * (1 + std::abs(shift));
        const double lse = log_sum_exp(logits, 3);
        EXPECT_NEAR(lse, shift + std::log(6.0), tolerance);
        double value = 0, gradient_sum = 0;
        const double x[] = {0, 1, 0};
        for (int j = 0; j < 3; ++j) {
            const auto term = categorical_term(x[j], logits[j], lse);
            value += term.value;
            gradient_sum += term.gradient;
        }
        EXPECT_NEAR(value, std::log(2.0 / 6), tolerance);
        EXPECT_NEAR(gradient_sum, 0, tolerance);
        EXPECT_NEAR(categorical_term(1.0, logits[1], lse).gradient, 1 - 2.0 / 6, tolerance);
    }
    // An entry that is not set contributes nothing, whatever its logit.
    const double logits[] = {0, -infinity};
    const double lse = log_sum_exp(logits, 2);
    EXPECT_EQ(categorical_term(0.0, logits[1], lse).value, 0);
    EXPECT_EQ(categorical_term(0.0, logits[1], lse).gradient, 0);
    EXPECT_EQ(categorical_term(1.0, logits[0], lse).value, 0);
}

TEST(VaeLatent, BoundedLogVariance) {
    EXPECT_EQ(bounded_log_variance(0.0), 0);
    EXPECT_EQ(bounded_log_variance_slope(0.0), 1);
    EXPECT_NEAR(bounded_log_variance(15.0), 15 * std::tanh(1.0), 15 * few_roundings);
    for (double far : {1e4, 1e300}) {
        EXPECT_EQ(bounded_log_variance(far), 15);
        EXPECT_EQ(bounded_log_variance(-far), -15);
        EXPECT_EQ(bounded_log_variance_slope(bounded_log_variance(far)), 0);
    }
    const double h = 1e-4; // the difference errs by h² · 15 · 2/(6 · 15³) and by 15 · 2^-53 · 4 / h, together < 1e-10
    for (double a : {-20.0, -3.0, 0.5, 12.0}) {
        const double difference = (bounded_log_variance(a + h) - bounded_log_variance(a - h)) / (2 * h);
        EXPECT_NEAR(bounded_log_variance_slope(bounded_log_variance(a)), difference, 1e-10);
    }
}

TEST(VaeLatent, KlOfOneUnit) {
    EXPECT_EQ(unit_kl(0.0, 0.0), 0);
    EXPECT_EQ(unit_kl(1.0, 0.0), 0.5);
    EXPECT_NEAR(unit_kl(0.0, std::log(4.0)), 0.5 * (3 - std::log(4.0)), few_roundings);
    // v²/4 + v³/12 + v⁴/48 near 0; the difference e^v − 1 − v has an absolute error of a rounding of v.
    const double v = 1e-4;
    EXPECT_NEAR(unit_kl(0.0, v), v * v / 4 + v * v * v / 12, v * few_roundings + v * v * v * v / 40);
    // Never negative.
    for (double lv = -15; lv <= 15; lv += 0.37)
        EXPECT_GE(unit_kl(0.0, lv), 0) << lv;
}

TEST(VaeLatent, LogRatioIsTheDifferenceOfLogDensities) {
    const double mean = 0.7, lv = -0.6, noise = 1.3;
    const double z = mean + std::exp(lv / 2) * noise;
    const double prior = -0.5 * z * z, posterior = -0.5 * lv - 0.5 * (z - mean) * (z - mean) / std::exp(lv);
    EXPECT_NEAR(latent_log_ratio(z, noise, lv), prior - posterior, few_roundings);
}

TEST(VaeLatent, RulesOfTheEstimators) {
    using vae::gradient_estimator;
    using vae::objective;
    // One draw with dE = 2, z = 3, ε = 0.5, σ = 0.25, β = 0.1, by the formulas written out.
    const double dE = 2, z = 3, noise = 0.5, sigma = 0.25, beta = 0.1;
    const auto check = [&](objective o, gradient_estimator e, double g, double entropy, double kl, bool squared) {
        const latent_rule rule = make_latent_rule(o, e, beta);
        const auto part = draw_gradient(rule, dE, z, noise, sigma);
        EXPECT_NEAR(part.mean, g, few_roundings);
        EXPECT_NEAR(part.log_variance, 0.5 * g * noise * sigma + entropy, few_roundings);
        EXPECT_EQ(rule.kl, kl);
        EXPECT_EQ(rule.squared_weights, squared);
    };
    check(objective::elbo, gradient_estimator::standard, dE, 0, beta, false);
    check(objective::elbo, gradient_estimator::sticking_the_landing, dE - beta * (z - noise / sigma), 0, 0, false);
    check(objective::importance, gradient_estimator::standard, dE - z, 0.5, 0, false);
    check(objective::importance, gradient_estimator::sticking_the_landing, dE - z + noise / sigma, 0, 0, false);
    check(objective::importance, gradient_estimator::doubly_reparameterized, dE - z + noise / sigma, 0, 0, true);
    const auto kl = kl_gradient(beta, 2.0, std::log(4.0));
    EXPECT_NEAR(kl.mean, -beta * 2, few_roundings);
    EXPECT_NEAR(kl.log_variance, -0.5 * beta * 3, few_roundings);
}

TEST(VaeSphere, DirectionAndGradient) {
    EXPECT_EQ(sphere_inverse_norm(0.0), 0);
    EXPECT_EQ(sphere_inverse_norm(25.0), 0.2);
    // z = (3, 4), r = 2, h = (1, 0): (r/5)(h − u (h·u)) with u = (0.6, 0.8).
    EXPECT_NEAR(sphere_latent_gradient(2.0, 0.2, 1.0, 0.6, 0.6), 0.4 * 0.64, few_roundings);
    EXPECT_NEAR(sphere_latent_gradient(2.0, 0.2, 0.0, 0.8, 0.6), -0.4 * 0.48, few_roundings);
}

TEST(VaeOptimizer, AdamByHand) {
    const vae::optimizer o{.beta1 = 0.5, .beta2 = 0.75, .epsilon = 0.25};
    double m = 0, v = 0;
    // First step: m̂ = g, v̂ = g².
    double p = optimize(make_optimizer_step<double>(o, 0.1, 0, 1), 2.0, true, 1.0, m, v);
    EXPECT_EQ(m, 1);
    EXPECT_EQ(v, 1);
    EXPECT_NEAR(p, 1 + 0.1 * 2 / 2.25, few_roundings);
    // Second, g = −1: m = 0.5 − 0.5 = 0, v = 0.75 + 0.25 = 1, so the parameter rests.
    EXPECT_EQ(optimize(make_optimizer_step<double>(o, 0.1, 1, 1), -1.0, true, p, m, v), p);
    EXPECT_EQ(m, 0);
    EXPECT_EQ(v, 1);
    // Third, g = 4: m̂ = 2/(1 − 1/8), v̂ = (0.75 + 4)/(1 − 27/64).
    p = optimize(make_optimizer_step<double>(o, 0.1, 2, 1), 4.0, true, 0.0, m, v);
    EXPECT_NEAR(p, 0.1 * (2 / 0.875) / (std::sqrt(4.75 / (37.0 / 64)) + 0.25), few_roundings);
}

TEST(VaeOptimizer, AdamwDecaysWeightsOnly) {
    const vae::optimizer o{.kind = vae::optimizer_kind::adamw, .weight_decay = 0.1};
    double m = 0, v = 0;
    const auto step = make_optimizer_step<double>(o, 0.5, 0, 1);
    EXPECT_NEAR(optimize(step, 0.0, true, 3.0, m, v), 3 - 0.5 * 0.1 * 3, few_roundings);
    EXPECT_EQ(optimize(step, 0.0, false, 3.0, m, v), 3);
    vae::optimizer adam = o;
    adam.kind = vae::optimizer_kind::adam;
    EXPECT_EQ(optimize(make_optimizer_step<double>(adam, 0.5, 0, 1), 0.0, true, 3.0, m, v), 3);
}

TEST(VaeOptimizer, MomentumByHand) {
    const vae::optimizer o{.kind = vae::optimizer_kind::sgd, .momentum = 0.5};
    double buffer = 0, unused = 7;
    const auto step = make_optimizer_step<double>(o, 0.25, 0, 1);
    double p = optimize(step, 4.0, true, 0.0, buffer, unused);
    EXPECT_EQ(p, 1);
    p = optimize(step, 2.0, true, p, buffer, unused);
    EXPECT_EQ(buffer, 4);
    EXPECT_EQ(p, 2);
    EXPECT_EQ(unused, 7);
}

TEST(VaeOptimizer, ClipAndAverage) {
    EXPECT_EQ(clip_factor(4, 0), 1);
    EXPECT_EQ(clip_factor(4, 8), 1);
    EXPECT_EQ(clip_factor(4, 1), 0.25);
    EXPECT_EQ(clip_factor(0, 1), 1);
    const vae::optimizer o{.kind = vae::optimizer_kind::sgd, .momentum = 0};
    double buffer = 0, unused = 0;
    EXPECT_EQ(optimize(make_optimizer_step<double>(o, 1, 0, 0.25), 4.0, true, 0.0, buffer, unused), 1);
    EXPECT_EQ(averaged(0.75, 0.25, 4.0, 8.0), 5);
}

TEST(VaeImportance, SumsOfKnownWeights) {
    // Weights 1, 2, 3: mean 2, (Σ w)²/Σ w² = 36/14; shifting the logarithms shifts the mean alone.
    for (double shift : {0.0, 1e4, -1e4}) {
        importance_sum whole, left, right;
        for (double w : {1.0, 2.0, 3.0}) {
            whole.add(shift + std::log(w));
            (w < 2 ? left : right).add(shift + std::log(w));
        }
        left.add(right);
        const double tolerance = few_roundings * (1 + std::abs(shift));
        for (const importance_sum& sum : {whole, left}) {
            EXPECT_NEAR(sum.log_mean(3), shift + std::log(2.0), tolerance);
            EXPECT_NEAR(sum.effective_samples(), 36.0 / 14, 36 * tolerance);
        }
    }
}

TEST(VaeImportance, WeightsOfZeroAndNaN) {
    importance_sum sum;
    EXPECT_EQ(sum.log_mean(2), -infinity);
    sum.add(-infinity);
    EXPECT_EQ(sum.log_mean(2), -infinity);
    EXPECT_EQ(sum.effective_samples(), 0);
    sum.add(3.0);
    sum.add(-infinity);
    EXPECT_NEAR(sum.log_mean(3), 3 - std::log(3.0), 8 * few_roundings);
    EXPECT_EQ(sum.effective_samples(), 1);
    sum.add(std::numeric_limits<double>::quiet_NaN());
    EXPECT_TRUE(std::isnan(sum.log_mean(4)));
    sum = {};
    sum.add(infinity);
    EXPECT_FALSE(std::isfinite(sum.log_mean(1)));
}

TEST(VaeStorage, BytesAreRecognised) {
    for (int k = 0; k < 256; ++k) {
        EXPECT_EQ(byte_of(static_cast<float>(k) / 255.0f), k);
        EXPECT_EQ(byte_of(static_cast<float>(k) * (1.0f / 255.0f)), k);
        EXPECT_EQ(byte_of(static_cast<float>(k / 255.0)), k);
        EXPECT_EQ(byte_of(byte_value(k)), k);
    }
    for (float other : {0.3f, -1.0f / 255, 256.0f / 255, 0.5f, 1e-30f, std::nanf("")})
        EXPECT_EQ(byte_of(other), -1) << other;
}

} // namespace
} // namespace elbo::kernels
