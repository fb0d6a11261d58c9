// The gradients of the reference engine against central differences of what it maximises.
#include "kernels/math/vae_latent.hpp"
#include "kernels/reference/vae/likelihood.hpp"
#include "kernels/reference/vae/objective.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::kernels {
namespace {

using test::all_estimates;
using test::describe;
using test::estimate;
using test::given_rows;
using test::reference_engine;
using vae::gaussian_scale;
using vae::gradient_estimator;
using vae::likelihood_family;
using vae::objective;

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
            return reference::own_numbers(layout, p);
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
        const auto variance = optimal() ? log_variance : reference::own_numbers(layout, p);
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
    const step_record record =
        reference_engine(a, p)->gradient(s, beta, epoch, given_rows(x, a.dimensions, first_row), gradient);
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
        if (i == layout.own && f.optimal()) {
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

TEST(VaeReferenceGradient, EveryActivationLikelihoodAndEstimator) {
    for (vae::activation f : test::all_activations)
        for (const vae::likelihood& form : test::all_likelihoods(4))
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
    const auto engine = reference_engine(a, test::network_parameters(layout, 3));
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
            engine->gradient(standard, 1, epoch, given_rows(x, 2), g);
            engine->gradient(other, 1, epoch, given_rows(x, 2), h);
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

} // namespace
} // namespace elbo::kernels
