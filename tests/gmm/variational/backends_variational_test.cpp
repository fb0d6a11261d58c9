// The laws of variational Bayes on every back end: the bound never falls, equal data gives equal posteriors.
#include "elbo/error.hpp"
#include "elbo/gmm/variational.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::gmm {
namespace {

using test::view;

constexpr weights_model both_models[] = {weights_model::dirichlet, weights_model::stick_breaking};

variational_options options_for(family f, weights_model w, std::int64_t components) {
    variational_options o;
    o.components = components;
    o.shape = f;
    o.weights_prior = w;
    o.max_iterations = 40;
    o.tolerance = 0;
    o.seed = 3;
    return o;
}

/// bound ≤ bound_after_m_step ≤ the next bound, up to `slack` nats a sample.
void expect_rising(const variational_result& r, double slack) {
    for (std::size_t t = 0; t < r.trace.size(); ++t) {
        const variational_record& now = r.trace[t];
        EXPECT_LE(now.bound, now.bound_after_m_step + slack) << "iteration " << t;
        EXPECT_GE(now.weights_divergence, -1e-12);
        EXPECT_GE(now.components_divergence, -1e-12);
        EXPECT_GE(now.entropy, -1e-7);
        EXPECT_EQ(now.bound, now.expected_log_likelihood - now.weights_divergence - now.components_divergence);
        if (t + 1 < r.trace.size()) {
            EXPECT_LE(now.bound_after_m_step, r.trace[t + 1].bound + slack) << "iteration " << t;
        }
    }
}

TEST(GmmVariational, TheBoundNeverFalls) {
    constexpr std::int64_t d = 3;
    const std::int64_t rows = test::slow_device() ? 150 : 600;
    const std::vector<double> x = test::clustered(rows, d, 3, 3, 5);
    const std::vector<float> x32 = test::as<float>(x);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families)
            for (const weights_model w : both_models)
                for (const bool single : {false, true}) {
                    SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)) + " " + std::string(to_string(w)) +
                                 (single ? " float32" : " float64"));
                    variational_options o = options_for(f, w, 6);
                    o.max_iterations = test::slow_device() ? 12 : 40;
                    const auto r = single ? fit_variational(ctx, view(x32, d), o) : fit_variational(ctx, view(x, d), o);
                    // A bound sums log-densities of some nats whose rounding is random in float32 (a few 2⁻²⁴ times 10
                    // nats, over √n rows) and systematic where r below 2⁻²⁴ is left out.
                    expect_rising(r, single ? 3e-7 : 1e-7);
                    EXPECT_TRUE(std::isfinite(r.bound));
                }
}

TEST(GmmVariational, EveryBackEndReachesTheSameBound) {
    constexpr std::int64_t d = 3;
    const std::vector<double> x = test::clustered(test::slow_device() ? 120 : 500, d, 3, 4, 9);
    for (const context& ctx : test::contexts_under_test())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            variational_options o = options_for(f, weights_model::dirichlet, 4);
            o.max_iterations = 8;
            const auto want = fit_variational(context::reference(), view(x, d), o);
            const auto got = fit_variational(ctx, view(x, d), o);
            // The E-steps differ by the r below 2⁻²⁴ of the largest, of a few iterations' effect.
            EXPECT_NEAR(got.bound, want.bound, 1e-6);
            for (std::size_t i = 0; i < want.model.means().size(); ++i)
                EXPECT_NEAR(got.model.means()[i], want.model.means()[i], 1e-4);
            const auto density = log_density(ctx, got.posterior, view(x, d));
            const auto reference = log_density(context::reference(), got.posterior, view(x, d));
            EXPECT_EQ(density, reference);
        }
}

TEST(GmmVariational, TheBoundNeverFallsWithLabels) {
    constexpr std::int64_t d = 2, rows = 150, k = 3;
    const std::vector<double> x = test::clustered(rows, d, k, 2, 5);
    std::vector<double> factors;
    for (std::int64_t at = 0; at < rows * k; ++at)
        factors.push_back(at / k % 3 == 0 ? 1 : at % k == 0 ? 0.25 : test::uniform(3, at) < 0.5 ? 0 : 2);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            variational_options o = options_for(f, weights_model::dirichlet, k);
            o.max_iterations = 10;
            o.labels = sample_labels::from_factors(matrix_view<const double>(factors.data(), rows, k));
            expect_rising(fit_variational(ctx, view(x, d), o), 1e-7);
        }
}

TEST(GmmVariational, WeightsCountAsRepeatedRows) {
    constexpr std::int64_t d = 2, rows = 120;
    const std::vector<double> x = test::clustered(rows, d, 2, 4, 7);
    std::vector<double> weights, repeated;
    for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t times = n % 3; // some rows do not count at all
        weights.push_back(static_cast<double>(times));
        for (std::int64_t i = 0; i < times; ++i)
            repeated.insert(repeated.end(), &x[n * d], &x[n * d] + d);
    }
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families)
            for (const weights_model w : both_models) {
                SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)) + " " + std::string(to_string(w)));
                variational_options o = options_for(f, w, 3);
                o.max_iterations = 10;
                o.start_model = model::from_covariances(f, d, {0.3, 0.3, 0.4}, {-1, 0, 1, 1, 0, -1}, [&] {
                    std::vector<double> c(covariance_size(f, 3, d), 1);
                    for (std::size_t i = 0; f == family::full || f == family::tied ? i < c.size() : false; ++i)
                        c[i] = i % 4 == 0 || i % 4 == 3 ? 1 : 0;
                    return c;
                }());
                const auto want = fit_variational(ctx, view(repeated, d), o);
                o.weights = weights;
                const auto got = fit_variational(ctx, view(x, d), o);
                // Other units of rows and another order of the same float64 sums.
                EXPECT_NEAR(got.total_bound, want.total_bound, 1e-5);
                EXPECT_EQ(got.total_weight, want.total_weight);
                const auto &a = got.posterior.values(), &b = want.posterior.values();
                for (std::size_t i = 0; i < a.mean_precisions.size(); ++i)
                    EXPECT_NEAR(a.mean_precisions[i], b.mean_precisions[i], 1e-5 * got.total_weight);
            }
}

TEST(GmmVariational, BitsDoNotDependOnMemory) {
    constexpr std::int64_t d = 3;
    const std::vector<float> x = test::as<float>(test::clustered(9000, d, 3, 3, 5));
    for (const context& ctx : test::contexts())
        for (const family f : {family::full, family::tied}) {
            variational_options o = options_for(f, weights_model::dirichlet, 4);
            o.max_iterations = test::slow_device() ? 2 : 5;
            const auto whole = fit_variational(ctx, view(x, d), o);
            o.memory_limit = 1; // streamed
            const auto streamed = fit_variational(ctx, view(x, d), o);
            EXPECT_EQ(whole.posterior, streamed.posterior) << ctx.name() << " " << to_string(f);
            EXPECT_EQ(whole.bound, streamed.bound);
        }
}

TEST(GmmVariational, OffsetsDoNotMatter) {
    constexpr std::int64_t d = 2;
    const std::vector<double> x = test::clustered(200, d, 2, 5, 3);
    std::vector<double> far = x;
    for (double& v : far)
        v = std::round(v * 0x1p20) * 0x1p-20 + 1e6; // exact in float64
    std::vector<double> near = far;
    for (double& v : near)
        v -= 1e6;
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            variational_options o = options_for(f, weights_model::stick_breaking, 4);
            o.max_iterations = 10;
            const auto a = fit_variational(ctx, view(near, d), o), b = fit_variational(ctx, view(far, d), o);
            // The mean of the data is rounded to 2⁻³³ at 1e6: a shift of the frame by 1e-10.
            EXPECT_NEAR(a.bound, b.bound, 1e-7);
            for (std::size_t i = 0; i < a.model.means().size(); ++i)
                EXPECT_NEAR(a.model.means()[i] + 1e6, b.model.means()[i], 1e-5);
        }
}

TEST(GmmVariational, ThePriorFollowsTheDataWhereverAFitStarts) {
    constexpr std::int64_t d = 2;
    const std::vector<double> x = test::clustered(200, d, 2, 5, 3);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const auto fit_from = [&](double place) {
                std::vector<double> covariance(covariance_size(f, 1, d), 1);
                if (f == family::full || f == family::tied)
                    covariance = {1, 0, 0, 1};
                variational_options o = options_for(f, weights_model::dirichlet, 1);
                o.start_model = model::from_covariances(f, d, {1}, {place, place}, covariance);
                return fit_variational(ctx, view(x, d), o);
            };
            const auto near = fit_from(0), far = fit_from(1e6);
            EXPECT_EQ(near.posterior.values().prior, far.posterior.values().prior);
            // With one component the posterior has a closed form, which an E-step about means 10⁶ away shows with
            // rounding of 2⁻⁵² 10¹² of the squares, and the next one about those found with that of 1e-13.
            EXPECT_NEAR(near.bound, far.bound, 1e-10);
        }
}

// A prior that is worth 40 rows draws the mean far from all of them, where squares of distances are 1e9.
TEST(GmmVariational, APriorFarFromTheDataLeavesTheExactPosterior) {
    const std::vector<double> x = test::clustered(60, 2, 3, 2, 41);
    double mean[2] = {0, 0};
    for (int i = 0; i < 120; ++i)
        mean[i % 2] += x[i] / 60;
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            variational_options o = options_for(f, weights_model::dirichlet, 1);
            o.prior.mean = {3e4, -3e4};
            o.prior.mean_precision = 40;
            const auto r = fit_variational(ctx, view(x, 2), o);
            const auto& q = r.posterior.values();
            // Rounding in float64, and of the bound that of a covariance with the condition 1e9.
            for (int j = 0; j < 2; ++j)
                EXPECT_NEAR(q.means[j], (60 * mean[j] + 40 * (*o.prior.mean)[j]) / 100, 1e-11 * 3e4);
            EXPECT_NEAR(q.mean_precisions[0], 100, 1e-10);
            // Squares about the posterior's mean: 40 · 60 / 100 times those of the distance, over ν.
            // Those of the rows and of the prior's scale are below 1e-6 of them.
            const bool one = f == family::spherical || f == family::tied_spherical;
            const double dx = mean[0] - 3e4, dy = mean[1] + 3e4;
            const double squares = 24 * (dx * dx + (one ? dy * dy : 0));
            EXPECT_NEAR(r.posterior.model().covariances()[0] * q.degrees_of_freedom[0] / squares, 1, 1e-6);
            expect_rising(r, 1e-6);
        }
}

TEST(GmmVariational, SuperfluousComponentsEmptyThemselves) {
    constexpr std::int64_t d = 2;
    const std::vector<double> x = test::clustered(test::slow_device() ? 200 : 500, d, 2, 8, 1);
    for (const context& ctx : test::contexts())
        for (const weights_model w : both_models) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(w)));
            variational_options o = options_for(family::full, w, 8);
            o.prior.concentration = 1e-3;
            o.max_iterations = test::slow_device() ? 60 : 300;
            const auto r = fit_variational(ctx, view(x, d), o);
            expect_rising(r, 1e-7);
            EXPECT_EQ(r.posterior.effective_components(1).size(), 2u);
            // An empty component is where the prior puts it: its mean is moved by less than N_k distances.
            const std::vector<double> counts = r.posterior.counts();
            const std::vector<double> prior_mean = *r.posterior.values().prior.mean;
            if (w == weights_model::stick_breaking) {
                EXPECT_TRUE(std::ranges::is_sorted(counts, std::ranges::greater()));
            }
            for (std::int64_t at = 0; at < 8 * d; ++at) {
                const double count = counts[at / d];
                if (count < 1) {
                    EXPECT_NEAR(r.model.means()[at], prior_mean[at % d], 100 * count + 1e-9);
                }
            }
        }
}

} // namespace
} // namespace elbo::gmm
