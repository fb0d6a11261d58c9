// The bounds of the reference engine on models whose log p(x) is known.
#include "kernels/math/vae_latent.hpp"
#include "kernels/reference/vae/likelihood.hpp"
#include "kernels/reference/vae/objective.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

namespace elbo::kernels {
namespace {

using test::all_estimates;
using test::describe;
using test::estimate;
using test::given_rows;
using test::reference_engine;
using vae::gaussian_scale;
using vae::gradient_estimator;
using vae::objective;

/// A handful of float64 operations on numbers of order one.
constexpr double few_roundings = 64 * 0x1p-53;
const double log_two_pi = std::log(2 * std::numbers::pi);

/// x = z A + b + 0.7 ε in two dimensions with one latent unit, and the encoder that is its exact posterior:
/// var = 1/(1 + A·A/σ²), mean = var A·(x − b)/σ².
struct linear_gaussian {
    vae::architecture a =
        test::make_architecture(2, 1, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    double A[2] = {0.8, -0.5}, b[2] = {0.3, 0.1}, variance = 0.49;
    double posterior_variance = 1 / (1 + (0.64 + 0.25) / 0.49);

    std::vector<double> parameters() const {
        const double gain = posterior_variance / variance;
        const double raw = 15 * std::atanh(std::log(posterior_variance) / 15);
        return {gain * A[0], 0, gain * A[1], 0, -gain * (A[0] * b[0] + A[1] * b[1]), raw, A[0], A[1], b[0], b[1]};
    }
    /// N(b, A Aᵀ + σ² I): determinant σ² (σ² + A·A), inverse (I − A Aᵀ/(σ² + A·A))/σ².
    double log_density(double x0, double x1) const {
        const double y0 = x0 - b[0], y1 = x1 - b[1], aa = A[0] * A[0] + A[1] * A[1], along = A[0] * y0 + A[1] * y1;
        const double q = (y0 * y0 + y1 * y1 - along * along / (variance + aa)) / variance;
        return -log_two_pi - 0.5 * std::log(variance * (variance + aa)) - 0.5 * q;
    }
};

TEST(VaeReferenceBound, ExactPosteriorMakesEveryWeightEqual) {
    const linear_gaussian model;
    const auto engine = reference_engine(model.a, model.parameters());
    const std::vector<double> x = {0.2, 0.9, -1.5, 0.4, 3, -2};
    for (std::int64_t samples : {1, 5, 100}) {
        std::vector<double> bound(3), effective(3);
        engine->importance(given_rows(x, 2), samples, false, 1, bound.data(), effective.data());
        for (int n = 0; n < 3; ++n) {
            // log p(x|z) of a draw reaches 100 here.
            EXPECT_NEAR(bound[n], model.log_density(x[2 * n], x[2 * n + 1]), 100 * few_roundings);
            EXPECT_NEAR(effective[n], static_cast<double>(samples), 1e-12 * static_cast<double>(samples));
        }
    }
    // There a path gradient of the encoder is 0 draw by draw, and the objective is log p.
    std::vector<double> gradient;
    const double want = model.log_density(0.2, 0.9) + model.log_density(-1.5, 0.4) + model.log_density(3, -2);
    for (const estimate& e : all_estimates) {
        const vae_settings s{.objective = e.objective, .estimator = e.estimator, .samples = 3, .seed = 1};
        const step_record record = engine->gradient(s, 1, 0, given_rows(x, 2), gradient);
        if (e.objective == objective::importance) {
            EXPECT_NEAR(record.objective, want, 300 * few_roundings);
        }
        for (int i = 0; i < 6 && e.estimator != gradient_estimator::standard; ++i)
            EXPECT_NEAR(gradient[i], 0, 300 * few_roundings) << describe(s) << ' ' << i;
    }
}

TEST(VaeReferenceBound, ReachesLogDensityFromAWorseEncoder) {
    const linear_gaussian model;
    std::vector<double> p = model.parameters();
    p[4] += 0.3;
    p[5] += 0.4;
    const auto engine = reference_engine(model.a, p);
    const std::vector<double> x = {0.2, 0.9, -1.5, 0.4, 3, -2};
    const std::int64_t samples = 20000;
    std::vector<double> bound(3), effective(3);
    engine->importance(given_rows(x, 2), samples, false, 1, bound.data(), effective.data());
    for (int n = 0; n < 3; ++n) {
        const double want = model.log_density(x[2 * n], x[2 * n + 1]);
        const auto count = static_cast<double>(samples);
        // Variance of the mean weight from the effective number of draws.
        EXPECT_NEAR(bound[n], want, 5 * std::sqrt((count / effective[n] - 1) / count));
        EXPECT_LT(effective[n], 0.99 * count);
    }
}

TEST(VaeReferenceBound, OrderOfTheBounds) {
    // J = E[L_1] ≤ E[L_5] ≤ log p, over many copies of a row, each with noise of its own.
    const linear_gaussian model;
    std::vector<double> p = model.parameters();
    p[4] += 0.3;
    p[5] += 0.4;
    const auto engine = reference_engine(model.a, p);
    const std::int64_t copies = 4000;
    std::vector<double> x;
    for (std::int64_t n = 0; n < copies; ++n)
        x.insert(x.end(), {0.2, 0.9});
    const auto mean_and_error = [&](const std::vector<double>& v) {
        double sum = 0, squares = 0;
        for (double value : v)
            sum += value / static_cast<double>(copies);
        for (double value : v)
            squares += (value - sum) * (value - sum) / static_cast<double>(copies);
        return std::array<double, 2>{sum, std::sqrt(squares / static_cast<double>(copies))};
    };
    std::vector<double> elbo(copies), kl(copies), one(copies), five(copies), effective(copies);
    engine->evaluate(given_rows(x, 2), 1, false, 1, {elbo.data(), kl.data(), nullptr, nullptr, nullptr});
    for (std::int64_t n = 0; n < copies; ++n)
        elbo[n] -= kl[n];
    engine->importance(given_rows(x, 2), 1, false, 1, one.data(), effective.data());
    engine->importance(given_rows(x, 2), 5, false, 1, five.data(), effective.data());
    const auto j = mean_and_error(elbo), l1 = mean_and_error(one), l5 = mean_and_error(five);
    EXPECT_NEAR(j[0], l1[0], 5 * (j[1] + l1[1]));
    EXPECT_LT(l1[0] + 5 * l1[1], l5[0] - 5 * l5[1]);
    EXPECT_LT(l5[0], model.log_density(0.2, 0.9));
    // J in closed form: log p − KL(q ‖ posterior), both Gaussian.
    const double difference = 0.3, ratio = std::exp(bounded_log_variance(p[5])) / model.posterior_variance;
    const double gap = 0.5 * (ratio + difference * difference / model.posterior_variance - 1 - std::log(ratio));
    EXPECT_NEAR(j[0], model.log_density(0.2, 0.9) - gap, 5 * j[1]);
}

TEST(VaeReferenceBound, SphereDecoderReachesItsExactDensity) {
    // In three dimensions u is uniform on the sphere and E[e^(κ u·v)] = sinh κ / κ, κ = r ‖x − m‖/σ²; hence
    // log p(x) = −3/2 log 2πσ² − (‖x − m‖² + r²)/(2σ²) + log(sinh κ / κ). With a zero encoder q is the prior.
    vae::architecture a =
        test::make_architecture(3, 3, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    a.decoder_form = vae::decoder_kind::sphere;
    const vae_layout layout = make_layout(a);
    std::vector<double> p(layout.parameters, 0);
    p[layout.sphere_radius] = 1.5;
    p[layout.sphere_centre] = 0.2;
    const auto engine = reference_engine(a, p);
    const std::vector<double> x = {1.2, 0.5, -0.9, 0.2, 0.1, 0.1};
    const std::int64_t samples = 20000;
    std::vector<double> bound(2), effective(2), reconstruction(2);
    engine->importance(given_rows(x, 3), samples, false, 1, bound.data(), effective.data());
    engine->evaluate(given_rows(x, 3), samples, false, 1, {.reconstruction = reconstruction.data()});
    for (int n = 0; n < 2; ++n) {
        const double y = x[3 * n] - 0.2;
        const double distance = std::hypot(y, x[3 * n + 1], x[3 * n + 2]), kappa = 1.5 * distance / 0.49;
        const double want = -1.5 * (log_two_pi + std::log(0.49)) - (distance * distance + 1.5 * 1.5) / (2 * 0.49) +
                            std::log(std::sinh(kappa) / kappa);
        const auto count = static_cast<double>(samples);
        EXPECT_NEAR(bound[n], want, 5 * std::sqrt((count / effective[n] - 1) / count));
        EXPECT_LT(reconstruction[n], want) << "J, since the KL divergence is 0";
        // J = E_u[log p(x|u)], in which the mean of u·v is 0; u·v has the variance 1/3.
        const double elbo = -1.5 * (log_two_pi + std::log(0.49)) - (distance * distance + 1.5 * 1.5) / (2 * 0.49);
        EXPECT_NEAR(reconstruction[n], elbo, 5 * kappa / std::sqrt(3 * count));
    }
}

TEST(VaeReferenceBound, SingleDrawIsTheLogWeight) {
    const auto a = test::make_architecture(4, 3, {3}, vae::activation::gelu);
    const vae_layout layout = make_layout(a);
    const auto p = test::network_parameters(layout, 3);
    const auto x = test::network_rows(a, 2, test::values::bytes, 4);
    std::vector<double> bound(2), effective(2);
    reference_engine(a, p)->importance(given_rows(x, 4, 10), 4, false, 77, bound.data(), effective.data());
    const noise_key key = make_noise_key(77, noise_purpose::importance_latent, 0);
    for (int n = 0; n < 2; ++n) {
        const std::vector<double> row(x.begin() + 4 * n, x.begin() + 4 * n + 4);
        reference::network_tape tape;
        const auto q = reference::encode(layout, p, row, tape);
        double sum = 0, squares = 0;
        for (int s = 0; s < 4; ++s) {
            const auto draw = reference::draw(layout, p, q, key, 10 + n, s);
            const double w = std::exp(reference::log_likelihood(layout, {}, row, draw.decoder.output) + draw.log_ratio);
            sum += w;
            squares += w * w;
        }
        EXPECT_NEAR(bound[n], std::log(sum / 4), few_roundings);
        EXPECT_NEAR(effective[n], sum * sum / squares, 4 * few_roundings);
    }
}

} // namespace
} // namespace elbo::kernels
