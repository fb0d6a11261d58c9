// The reference engine of variational autoencoders: networks small enough for a hand calculation, gradients against
// central differences, and a linear-Gaussian model whose log p(x) is known.
#include "kernels/math/vae_importance.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/reference/vae_likelihood.hpp"
#include "kernels/reference/vae_objective.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

namespace elbo::kernels {
namespace {

using test::describe;
using vae::gaussian_scale;
using vae::gradient_estimator;
using vae::likelihood_family;
using vae::objective;

constexpr vae::activation all_activations[] = {vae::activation::identity, vae::activation::tanh,
                                               vae::activation::relu,     vae::activation::gelu,
                                               vae::activation::silu,     vae::activation::softplus};
/// A handful of float64 operations on numbers of order one.
constexpr double few_roundings = 64 * 0x1p-53;
const double log_two_pi = std::log(2 * std::numbers::pi);

std::unique_ptr<vae_engine> engine_of(const vae::architecture& a, const std::vector<double>& parameters) {
    auto engine = make_reference_vae_engine(context::reference(), make_layout(a));
    engine->set_parameters(parameters);
    return engine;
}

template <class T>
vae_rows given(const std::vector<T>& x, std::int64_t d, std::int64_t first_row = 0) {
    const auto rows = static_cast<std::int64_t>(x.size()) / d;
    return {matrix_view<const T>(x.data(), rows, d), 0, 0, rows, first_row};
}

/// ε of the first latent unit.
double noise_of(std::uint64_t seed, noise_purpose purpose, std::uint64_t epoch, std::uint64_t row, std::uint32_t draw) {
    double normals[4];
    four_normals(noise_words(make_noise_key(seed, purpose, epoch), row, draw, 0), normals);
    return normals[0];
}

TEST(VaeLayout, OrderOfTheParameters) {
    vae::architecture a = test::make_architecture(3, 2, {5}, vae::activation::tanh,
                                                  test::gaussian(gaussian_scale::learned_per_dimension));
    const vae_layout network = make_layout(a);
    ASSERT_EQ(network.encoder.size(), 2u);
    EXPECT_EQ(network.encoder[0].weights, 0);
    EXPECT_EQ(network.encoder[0].bias, 15);
    EXPECT_EQ(network.encoder[0].form, vae::activation::tanh);
    EXPECT_EQ(network.encoder[1].weights, 20);
    EXPECT_EQ(network.encoder[1].outputs, 4);
    EXPECT_EQ(network.encoder[1].bias, 40);
    EXPECT_EQ(network.encoder[1].form, vae::activation::identity);
    ASSERT_EQ(network.decoder.size(), 2u);
    EXPECT_EQ(network.decoder[0].weights, 44);
    EXPECT_EQ(network.decoder[1].weights, 44 + 15);
    EXPECT_EQ(network.decoder[1].bias, 44 + 15 + 15);
    EXPECT_EQ(network.log_variance, 77);
    EXPECT_EQ(network.log_variances, 3);
    EXPECT_EQ(network.parameters, 80);
    EXPECT_EQ(network.sphere_radius, -1);

    a.latent = 3;
    a.encoder = {};
    a.decoder_form = vae::decoder_kind::sphere;
    a.likelihood.scale = gaussian_scale::optimal;
    const vae_layout sphere = make_layout(a);
    EXPECT_TRUE(sphere.decoder.empty());
    EXPECT_EQ(sphere.sphere_radius, 3 * 6 + 6);
    EXPECT_EQ(sphere.sphere_centre, 25);
    EXPECT_EQ(sphere.log_variance, 28);
    EXPECT_EQ(sphere.parameters, 29);
    a.likelihood.scale = gaussian_scale::fixed;
    EXPECT_EQ(make_layout(a).parameters, 28);
    EXPECT_EQ(make_layout(a).log_variance, -1);
}

TEST(VaeReference, OneByOneGaussianByHand) {
    // μ = 2x + 1, a = 0.5x; decoder 3z − 1, σ = 0.7. Terms and gradients written out for two draws.
    const auto a = test::make_architecture(1, 1, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    const auto engine = engine_of(a, {2, 0.5, 1, 0, 3, -1});
    const std::vector<double> x = {0.8};
    const vae_settings s{.samples = 2, .seed = 9};
    std::vector<double> gradient;
    const step_record record = engine->gradient(s, 0.5, 4, given(x, 1, 6), gradient);

    const double mu = 2.6, lv = 15 * std::tanh(0.4 / 15), sigma = std::exp(lv / 2), precision = 1 / 0.49;
    double reconstruction = 0, error = 0, of_weight = 0, of_bias = 0, of_mu = 0, of_lv = 0;
    for (std::uint32_t draw : {0u, 1u}) {
        const double noise = noise_of(9, noise_purpose::latent, 4, 6, draw), z = mu + sigma * noise;
        const double difference = 0.8 - (3 * z - 1);
        error += difference * difference / 2;
        reconstruction += -0.5 * (log_two_pi + std::log(0.49) + difference * difference * precision) / 2;
        of_weight += z * difference * precision / 2;
        of_bias += difference * precision / 2;
        of_mu += 3 * difference * precision / 2;
        of_lv += 0.5 * 3 * difference * precision * noise * sigma / 2;
    }
    const double kl = 0.5 * (mu * mu + std::exp(lv) - 1 - lv);
    of_mu -= 0.5 * mu;
    of_lv -= 0.25 * (std::exp(lv) - 1);
    const double of_a = of_lv * (1 - lv * lv / 225);
    const std::vector<double> want = {of_mu * 0.8, of_a * 0.8, of_mu, of_a, of_weight, of_bias};
    const double tolerance = 100 * few_roundings; // terms up to 100
    EXPECT_EQ(record.rows, 1);
    EXPECT_NEAR(record.reconstruction, reconstruction, tolerance);
    EXPECT_NEAR(record.kl, kl, tolerance);
    EXPECT_NEAR(record.objective, reconstruction - 0.5 * kl, tolerance);
    EXPECT_NEAR(record.squared_error, error, tolerance);
    double squares = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(gradient[i], want[i], tolerance) << i;
        squares += want[i] * want[i];
    }
    EXPECT_NEAR(record.gradient_norm, std::sqrt(squares), tolerance);
}

TEST(VaeReference, ZeroNetworkKnowsNothing) {
    // All parameters 0: q is the prior, every logit 0.
    for (std::int64_t samples : {1, 3}) {
        const auto bernoulli = test::make_architecture(3, 2, {2}, vae::activation::tanh);
        auto engine = engine_of(bernoulli, std::vector<double>(make_layout(bernoulli).parameters, 0));
        const auto x = test::network_rows(bernoulli, 4, test::values::bytes, 1);
        std::vector<double> reconstruction(4), kl(4);
        engine->evaluate(given(x, 3), samples, false, 5, {reconstruction.data(), kl.data(), nullptr, nullptr, nullptr});
        for (int n = 0; n < 4; ++n) {
            EXPECT_NEAR(reconstruction[n], -3 * std::numbers::ln2, few_roundings);
            EXPECT_EQ(kl[n], 0);
        }
        const auto blocks = test::make_architecture(7, 2, {2}, vae::activation::relu, test::categorical(7));
        engine = engine_of(blocks, std::vector<double>(make_layout(blocks).parameters, 0));
        const auto y = test::network_rows(blocks, 4, test::values::bits, 1);
        engine->evaluate(given(y, 7), samples, false, 5, {reconstruction.data(), kl.data(), nullptr, nullptr, nullptr});
        for (int n = 0; n < 4; ++n)
            EXPECT_NEAR(reconstruction[n], -std::log(3.0) - std::log(4.0), few_roundings);
    }
}

TEST(VaeReference, SphereByHandAndAtTheOrigin) {
    vae::architecture a =
        test::make_architecture(2, 2, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    a.decoder_form = vae::decoder_kind::sphere;
    const vae_layout layout = make_layout(a);
    std::vector<double> p(layout.parameters, 0);
    p[layout.sphere_radius] = 2;
    p[layout.sphere_centre] = 1;
    p[layout.sphere_centre + 1] = -1;
    const std::vector<float> z = {3, 4, 0, 0};
    std::vector<float> out(4);
    engine_of(a, p)->decode(matrix_view<const float>(z.data(), 2, 2), {out.data(), 2, 2});
    EXPECT_FLOAT_EQ(out[0], 1 + 2 * 0.6f);
    EXPECT_FLOAT_EQ(out[1], -1 + 2 * 0.8f);
    EXPECT_EQ(out[2], 1);
    EXPECT_EQ(out[3], -1);
    reference::decoder_tape tape;
    reference::decode(layout, p, {0, 0}, tape);
    std::vector<double> gradient(layout.parameters, 0);
    EXPECT_EQ(reference::decode_backward(layout, p, tape, {3, 5}, gradient), (std::vector<double>{0, 0}));
    EXPECT_EQ(gradient[layout.sphere_radius], 0);
    EXPECT_EQ(gradient[layout.sphere_centre + 1], 5);
}

// --- gradients -----------------------------------------------------------------------------------------------------

/// The mean of the sampled objective with everything that the gradient takes as constant held: for the path estimators
/// the weights of the draws and the density log q of the point where the gradient is taken, for the optimal σ² of the
/// importance objective its value.
struct surrogate {
    const vae_layout& layout;
    const vae_settings& s;
    double beta;
    std::int64_t epoch;
    std::vector<reference::numbered_row> rows;
    std::vector<reference::posterior> posteriors = {}; ///< at the point
    std::vector<std::vector<double>> weights = {};     ///< [rows][S] at the point
    std::vector<double> log_variance = {};             ///< of the likelihood, at the point

    bool path() const { return s.estimator != gradient_estimator::standard; }
    bool optimal() const { return layout.architecture.likelihood.scale == gaussian_scale::optimal; }

    struct row_draws {
        reference::posterior q;
        std::vector<reference::draw_pass> draws;
    };
    row_draws draw_row(const std::vector<double>& p, const reference::numbered_row& row) const {
        reference::network_tape tape;
        row_draws result{reference::encode(layout, p, row.x, tape), {}};
        const noise_key key = make_noise_key(s.seed, noise_purpose::latent, epoch);
        for (std::int64_t k = 0; k < s.samples; ++k)
            result.draws.push_back(reference::draw(layout, p, result.q, key, row.index, k));
        return result;
    }

    std::vector<double> variance_at(const std::vector<double>& p) const {
        if (!optimal())
            return reference::log_variances(layout, p);
        double sum = 0;
        for (const auto& row : rows)
            for (const auto& draw : draw_row(p, row).draws)
                sum += reference::squared_error(layout, row.x, draw.decoder.output);
        const auto count = static_cast<double>(rows.size() * layout.architecture.dimensions * s.samples);
        return {std::log(sum / count)};
    }

    /// Notes the constants at p.
    void hold(const std::vector<double>& p) {
        log_variance = variance_at(p);
        for (const auto& row : rows) {
            const row_draws now = draw_row(p, row);
            posteriors.push_back(now.q);
            std::vector<double> w(s.samples, 1 / static_cast<double>(s.samples));
            if (s.objective == objective::importance) {
                double sum = 0;
                for (std::int64_t k = 0; k < s.samples; ++k) {
                    const auto& draw = now.draws[k];
                    w[k] = std::exp(draw.log_ratio +
                                    reference::log_likelihood(layout, log_variance, row.x, draw.decoder.output));
                    sum += w[k];
                }
                for (double& value : w)
                    value /= sum;
            }
            weights.push_back(w);
        }
    }

    /// ln p(z) − ln q(z) + constant with the posterior held.
    static double held_log_ratio(const std::vector<double>& z, const reference::posterior& q) {
        double sum = 0;
        for (std::size_t l = 0; l < z.size(); ++l) {
            const double difference = z[l] - q.mean[l];
            sum += 0.5 * (q.log_variance[l] + difference * difference * std::exp(-q.log_variance[l]) - z[l] * z[l]);
        }
        return sum;
    }

    double path_value(const std::vector<double>& p, bool squared) const {
        const double ratio_weight = s.objective == objective::elbo ? beta : 1;
        const auto variance = optimal() ? log_variance : reference::log_variances(layout, p);
        double sum = 0;
        for (std::size_t n = 0; n < rows.size(); ++n) {
            const row_draws now = draw_row(p, rows[n]);
            for (std::int64_t k = 0; k < s.samples; ++k) {
                const double w = squared ? weights[n][k] * weights[n][k] : weights[n][k];
                sum += w * (reference::log_likelihood(layout, variance, rows[n].x, now.draws[k].decoder.output) +
                            ratio_weight * held_log_ratio(now.draws[k].z, posteriors[n]));
            }
        }
        return sum / static_cast<double>(rows.size());
    }

    double standard_value(const std::vector<double>& p) const {
        const bool importance = s.objective == objective::importance;
        const auto variance = importance && optimal() ? log_variance : variance_at(p);
        std::vector<double> unit_kl_sum(layout.architecture.latent, 0);
        double sum = 0;
        const auto count = static_cast<double>(rows.size()), samples = static_cast<double>(s.samples);
        for (const auto& row : rows) {
            const row_draws now = draw_row(p, row);
            double weight_sum = 0;
            for (const auto& draw : now.draws) {
                const double value = reference::log_likelihood(layout, variance, row.x, draw.decoder.output);
                weight_sum += std::exp(value + draw.log_ratio);
                sum += importance ? 0 : value / samples;
            }
            sum += importance ? std::log(weight_sum / samples) : 0;
            for (std::size_t l = 0; l < unit_kl_sum.size(); ++l)
                unit_kl_sum[l] += unit_kl(now.q.mean[l], now.q.log_variance[l]);
        }
        for (double kl : unit_kl_sum)
            sum -= importance ? 0 : beta * count * std::max(s.free_bits, kl / count);
        return sum / count;
    }

    /// What parameter i moves the gradient along. Squared weights belong to the encoder.
    double value(const std::vector<double>& p, std::int64_t i) const {
        if (!path())
            return standard_value(p);
        const bool of_encoder = i < layout.encoder.back().bias + layout.encoder.back().outputs;
        return path_value(p, of_encoder && s.estimator == gradient_estimator::doubly_reparameterized);
    }
};

/// Every component of the gradient against the central difference of step h = 1e-5: it errs by h² f'''/6 and by the
/// rounding of f (below 1e-13 for sums of order 100) over h; both stay below 1e-7 of the largest component plus one.
void check_gradient(const vae::architecture& a, const vae_settings& s, double beta,
                    test::values kind = test::values::bytes) {
    SCOPED_TRACE(describe(a) + " " + describe(s));
    const vae_layout layout = make_layout(a);
    std::vector<double> p = test::network_parameters(layout, 31);
    const std::int64_t rows = 3, first_row = 40, epoch = 2;
    if (a.likelihood.family == likelihood_family::gaussian)
        kind = test::values::real;
    const auto x = test::network_rows(a, rows, kind, 32);
    std::vector<double> gradient;
    const step_record record = engine_of(a, p)->gradient(s, beta, epoch, given(x, a.dimensions, first_row), gradient);
    ASSERT_EQ(record.not_finite, step_record::term::none);

    surrogate f{layout, s, beta, epoch, {}};
    for (std::int64_t n = 0; n < rows; ++n)
        f.rows.push_back({{x.begin() + n * a.dimensions, x.begin() + (n + 1) * a.dimensions},
                          static_cast<std::uint64_t>(first_row + n)});
    f.hold(p);
    if (s.estimator == gradient_estimator::standard) {
        EXPECT_NEAR(record.objective / rows, f.standard_value(p), 1e-12);
    }
    double largest = 1;
    for (double g : gradient)
        largest = std::max(largest, std::abs(g));
    const double h = 1e-5;
    for (std::int64_t i = 0; i < layout.parameters; ++i) {
        const double at = p[i];
        // The optimal σ² is no parameter.
        if (i == layout.log_variance && f.optimal()) {
            EXPECT_EQ(gradient[i], 0);
            continue;
        }
        p[i] = at + h;
        const double above = f.value(p, i);
        p[i] = at - h;
        const double below = f.value(p, i);
        p[i] = at;
        ASSERT_NEAR(gradient[i], (above - below) / (2 * h), 1e-7 * largest) << "parameter " << i;
    }
}

std::vector<vae::likelihood> all_likelihoods(std::int64_t d) {
    return {{},
            test::gaussian(gaussian_scale::fixed),
            test::gaussian(gaussian_scale::learned),
            test::gaussian(gaussian_scale::learned_per_dimension),
            test::gaussian(gaussian_scale::optimal),
            test::categorical(d)};
}

struct estimate {
    vae::objective objective;
    gradient_estimator estimator;
};
constexpr estimate all_estimates[] = {{objective::elbo, gradient_estimator::standard},
                                      {objective::elbo, gradient_estimator::sticking_the_landing},
                                      {objective::importance, gradient_estimator::standard},
                                      {objective::importance, gradient_estimator::sticking_the_landing},
                                      {objective::importance, gradient_estimator::doubly_reparameterized}};

TEST(VaeReferenceGradient, EveryActivationLikelihoodAndEstimator) {
    for (vae::activation f : all_activations)
        for (const vae::likelihood& form : all_likelihoods(4))
            for (const estimate& e : all_estimates)
                for (std::int64_t samples : {1, 3}) {
                    const vae_settings s{
                        .objective = e.objective, .estimator = e.estimator, .samples = samples, .seed = 3};
                    check_gradient(test::make_architecture(4, 2, {3}, f, form), s, 1);
                    if (HasFatalFailure())
                        return;
                }
}

TEST(VaeReferenceGradient, DepthsAndUnequalHalves) {
    for (const std::vector<std::int64_t>& hidden : {std::vector<std::int64_t>{}, {5}, {4, 3}, {3, 5, 2}})
        for (std::int64_t latent : {1, 2, 5}) {
            vae::architecture a = test::make_architecture(3, latent, hidden, vae::activation::softplus);
            check_gradient(a, {.samples = 2, .seed = 1}, 1);
            a.decoder = {2};
            check_gradient(a, {.samples = 2, .seed = 1}, 1);
        }
}

TEST(VaeReferenceGradient, BetaAndFreeBits) {
    const auto a = test::make_architecture(4, 3, {3}, vae::activation::tanh);
    for (double beta : {0.0, 0.3, 2.0})
        for (double free_bits : {0.0, 0.05, 0.2, 10.0})
            check_gradient(a, {.samples = 2, .free_bits = free_bits, .seed = 1}, beta);
    check_gradient(a, {.estimator = gradient_estimator::sticking_the_landing, .samples = 2, .seed = 1}, 0.3);
}

TEST(VaeReferenceGradient, Sphere) {
    for (gaussian_scale scale : {gaussian_scale::fixed, gaussian_scale::learned, gaussian_scale::learned_per_dimension,
                                 gaussian_scale::optimal})
        for (const estimate& e : all_estimates) {
            vae::architecture a = test::make_architecture(3, 3, {4}, vae::activation::tanh, test::gaussian(scale));
            a.decoder_form = vae::decoder_kind::sphere;
            check_gradient(a, {.objective = e.objective, .estimator = e.estimator, .samples = 3, .seed = 8}, 1);
        }
}

TEST(VaeReferenceGradient, EstimatorsAgreeInExpectation) {
    // Mean over draws of noise (one an epoch) of the difference between an estimator and the standard one, within five
    // standard errors for each encoder parameter, and not equal draw by draw. Sticking the landing is unbiased for the
    // importance objective with one draw only (arXiv 1810.04152, section 3).
    const auto a = test::make_architecture(2, 1, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    const vae_layout layout = make_layout(a);
    const auto engine = engine_of(a, test::network_parameters(layout, 3));
    const auto x = test::network_rows(a, 1, test::values::real, 4);
    const int repeats = 20000;
    for (const estimate& e : all_estimates) {
        if (e.estimator == gradient_estimator::standard)
            continue;
        const bool biased =
            e.objective == objective::importance && e.estimator == gradient_estimator::sticking_the_landing;
        const vae_settings other{
            .objective = e.objective, .estimator = e.estimator, .samples = biased ? 1 : 2, .seed = 3};
        vae_settings standard = other;
        standard.estimator = gradient_estimator::standard;
        std::vector<double> sum(layout.parameters, 0), squares(layout.parameters, 0), g, h;
        for (int epoch = 0; epoch < repeats; ++epoch) {
            engine->gradient(standard, 1, epoch, given(x, 2), g);
            engine->gradient(other, 1, epoch, given(x, 2), h);
            for (std::int64_t i = 0; i < layout.parameters; ++i) {
                sum[i] += h[i] - g[i];
                squares[i] += (h[i] - g[i]) * (h[i] - g[i]);
            }
        }
        for (std::int64_t i = 0; i < layout.decoder[0].weights; ++i) {
            EXPECT_GT(squares[i], 0);
            EXPECT_LE(std::abs(sum[i]), 5 * std::sqrt(squares[i])) << describe(other) << ", parameter " << i;
        }
        for (std::int64_t i = layout.decoder[0].weights; i < layout.parameters; ++i)
            EXPECT_EQ(squares[i], 0) << "the decoder's gradient is the same";
    }
}

// --- a model whose log p(x) is known -------------------------------------------------------------------------------

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
    const auto engine = engine_of(model.a, model.parameters());
    const std::vector<double> x = {0.2, 0.9, -1.5, 0.4, 3, -2};
    for (std::int64_t samples : {1, 5, 100}) {
        std::vector<double> bound(3), effective(3);
        engine->importance(given(x, 2), samples, false, 1, bound.data(), effective.data());
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
        const step_record record = engine->gradient(s, 1, 0, given(x, 2), gradient);
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
    const auto engine = engine_of(model.a, p);
    const std::vector<double> x = {0.2, 0.9, -1.5, 0.4, 3, -2};
    const std::int64_t samples = 20000;
    std::vector<double> bound(3), effective(3);
    engine->importance(given(x, 2), samples, false, 1, bound.data(), effective.data());
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
    const auto engine = engine_of(model.a, p);
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
    engine->evaluate(given(x, 2), 1, false, 1, {elbo.data(), kl.data(), nullptr, nullptr, nullptr});
    for (std::int64_t n = 0; n < copies; ++n)
        elbo[n] -= kl[n];
    engine->importance(given(x, 2), 1, false, 1, one.data(), effective.data());
    engine->importance(given(x, 2), 5, false, 1, five.data(), effective.data());
    const auto j = mean_and_error(elbo), l1 = mean_and_error(one), l5 = mean_and_error(five);
    EXPECT_NEAR(j[0], l1[0], 5 * (j[1] + l1[1]));
    EXPECT_LT(l1[0] + 5 * l1[1], l5[0] - 5 * l5[1]);
    EXPECT_LT(l5[0], model.log_density(0.2, 0.9));
    // J in closed form: log p − KL(q ‖ posterior), both Gaussian.
    const double difference = 0.3, ratio = std::exp(bounded_log_variance(p[5])) / model.posterior_variance;
    const double gap = 0.5 * (ratio + difference * difference / model.posterior_variance - 1 - std::log(ratio));
    EXPECT_NEAR(j[0], model.log_density(0.2, 0.9) - gap, 5 * j[1]);
}

TEST(VaeReferenceBound, SingleDrawIsTheLogWeight) {
    const auto a = test::make_architecture(4, 3, {3}, vae::activation::gelu);
    const vae_layout layout = make_layout(a);
    const auto p = test::network_parameters(layout, 3);
    const auto x = test::network_rows(a, 2, test::values::bytes, 4);
    std::vector<double> bound(2), effective(2);
    engine_of(a, p)->importance(given(x, 4, 10), 4, false, 77, bound.data(), effective.data());
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

// --- steps ---------------------------------------------------------------------------------------------------------

TEST(VaeReferenceStep, MovesAlongTheGradient) {
    const auto a = test::make_architecture(4, 2, {3}, vae::activation::tanh);
    const auto p = test::network_parameters(make_layout(a), 3);
    const auto x = test::network_rows(a, 5, test::values::bytes, 4);
    const auto engine = engine_of(a, p);
    vae_settings s{.seed = 1, .optimizer = {.kind = vae::optimizer_kind::sgd, .momentum = 0}, .average_decay = 0.75};
    std::vector<double> gradient;
    const step_record look = engine->gradient(s, 1, 3, given(x, 4), gradient);
    EXPECT_EQ(engine->parameters(), p);
    const step_record record = engine->train_on(s, {0.5, 1}, 3, given(x, 4));
    EXPECT_EQ(record.objective, look.objective);
    EXPECT_EQ(record.gradient_norm, look.gradient_norm);
    const auto moved = engine->parameters();
    const optimizer_state state = engine->optimizer();
    EXPECT_EQ(state.steps, 1);
    for (std::size_t i = 0; i < p.size(); ++i) {
        EXPECT_NEAR(moved[i], p[i] + 0.5 * gradient[i], few_roundings);
        EXPECT_NEAR(state.average[i], 0.75 * p[i] + 0.25 * moved[i], few_roundings);
    }
    // Clipped to a tenth of its norm.
    engine->set_parameters(p);
    s.optimizer.clip_norm = look.gradient_norm / 10;
    engine->train_on(s, {0.5, 1}, 3, given(x, 4));
    for (std::size_t i = 0; i < p.size(); ++i)
        EXPECT_NEAR(engine->parameters()[i], p[i] + 0.05 * gradient[i], few_roundings);
}

TEST(VaeReferenceStep, SliceTakesRowsInShuffledOrder) {
    const auto a = test::make_architecture(4, 2, {3}, vae::activation::tanh);
    const auto p = test::network_parameters(make_layout(a), 3);
    const std::int64_t rows = 7, first_row = 100;
    const auto x = test::network_rows(a, rows, test::values::bytes, 4);
    const vae_settings s{.binarize = true, .seed = 1};
    const auto whole = engine_of(a, p), single = engine_of(a, p);
    whole->reserve({1, 1, {rows}, row_storage::bytes});
    whole->load(0, 0, given(x, 4).x);
    const train_slice slice{.epoch = 2,
                            .window = 1,
                            .window_rows = rows,
                            .first_row = first_row,
                            .batch = 1,
                            .steps = std::vector<step_schedule>(rows, {0.01, 1})};
    const auto records = whole->train(s, slice);
    ASSERT_EQ(records.size(), 7u);
    const shuffle_order order = make_shuffle(1, 2, 1, rows);
    for (std::int64_t i = 0; i < rows; ++i) {
        const auto slot = static_cast<std::int64_t>(shuffled(order, i));
        const vae_rows row{given(x, 4).x.slice(slot, 1), 0, 0, 1, first_row + slot};
        EXPECT_EQ(single->train_on(s, {0.01, 1}, 2, row).objective, records[i].objective);
    }
    EXPECT_EQ(single->parameters(), whole->parameters());
}

} // namespace
} // namespace elbo::kernels
