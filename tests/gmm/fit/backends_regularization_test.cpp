// What becomes of λ (docs/regularization.md) in fits, statistics, streams, sweeps and priors.
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/online.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/statistics.hpp"
#include "elbo/gmm/variational.hpp"
#include "elbo/latent/factors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/sentinels.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::gmm {
namespace {

using test::view;

// ------------------------------------------------------------------------------------------------

TEST(GmmRegularization, OneSentinelLeavesTheOtherComponentsAsTheyAre) {
    for (const context& ctx : test::contexts())
        for (bool as_float : {false, true}) {
            const data_source data =
                data_source::file(ELBO_TEST_DATA "/failing/05_sentinel.csv",
                                  {.type = as_float ? element_type::float32 : element_type::float64});
            fit_options o;
            o.components = 3;
            const fit_result r = fit(ctx, data, o);
            o.relative_regularization = 0;
            o.regularization = 1e-6;
            const fit_result absolute = fit(ctx, data, o);
            EXPECT_NEAR(r.log_likelihood, -3.48, 0.01);
            ASSERT_EQ(r.model.components(), 3);
            for (int k = 0; k < 3; ++k) {
                const std::vector<double> a = r.model.covariance(k), b = absolute.model.covariance(k);
                EXPECT_NEAR(a[0], b[0], 1e-3 * std::max(1.0, b[0])) << k;
            }
            ASSERT_EQ(r.events.size(), 1u);
            EXPECT_EQ(r.events[0].far.value, 99999);
            EXPECT_EQ(r.events[0].far.row, 300);
            EXPECT_EQ(r.events[0].far.column, 0);
            // The rows of the clusters keep their own components under the saved model, too.
            const std::vector<std::int32_t> labels = assign(ctx, r.model, data);
            EXPECT_EQ(std::ranges::count(labels, labels.back()), 1);
            EXPECT_NEAR(score(ctx, r.model, data).log_likelihood, r.log_likelihood, 1e-4);
        }
}

TEST(GmmRegularization, FarComponentsDoNotBlurNarrowOnes) {
    for (const context& ctx : test::contexts())
        for (double far : {1e6, 1e9, 1e12}) {
            SCOPED_TRACE(ctx.name() + " " + std::to_string(far));
            std::vector<float> x;
            for (int i = 0; i < 600; ++i)
                x.push_back(static_cast<float>(i % 3 < 2 ? test::normal(1, i) : far * (1 + 0.1 * test::normal(1, i))));
            fit_options o;
            o.components = 2;
            const fit_result r = fit(ctx, view(x, 1), o);
            std::vector<double> deviations;
            for (double v : r.model.covariances())
                deviations.push_back(std::sqrt(v));
            std::ranges::sort(deviations);
            EXPECT_NEAR(deviations[0], 1, 0.1);
            EXPECT_NEAR(deviations[1], 0.1 * far, 0.02 * far);
            EXPECT_NEAR(score(ctx, r.model, view(x, 1)).log_likelihood, r.log_likelihood, 1e-4);
            statistics s(r.model);
            s.accumulate(ctx, view(x, 1));
            const model again = maximize(s, {});
            for (std::size_t k = 0; k < 2; ++k)
                EXPECT_NEAR(std::sqrt(again.covariances()[k] / r.model.covariances()[k]), 1, 1e-3);
        }
}

// The variance of a component that holds a far value is 10²² in one column and 10 in the other: neither is singular.
TEST(GmmRegularization, FarValuesMakeNoOtherColumnSingular) {
    for (const context& ctx : test::contexts())
        for (double far : {1e8, 1e12, -1e30})
            for (family f : {family::full, family::diagonal, family::tied, family::tied_diagonal}) {
                SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)) + " " + std::to_string(far));
                const std::vector<double> x = test::with_sentinels<double>(300, far, 300);
                fit_options o;
                o.components = 1;
                o.shape = f;
                const fit_result r = fit(ctx, view(x, 2), o);
                EXPECT_EQ(r.stopped, stop_reason::converged);
                ASSERT_EQ(r.events.size(), 1u);
                EXPECT_EQ(r.events[0].what, event::kind::far_value);
                const std::vector<double> c = r.model.covariance(0);
                EXPECT_NEAR(c[0] / (far * far), 299.0 / 300 / 300, 1e-6);
                EXPECT_NEAR(c[3], 10, 1);
            }
}

TEST(GmmRegularization, WideComponentsBesideNarrowOnesAreNotSingular) {
    for (const context& ctx : test::contexts()) {
        std::vector<double> x;
        for (int i = 0; i < 600; ++i) {
            const bool wide = i % 5 < 2;
            x.push_back((wide ? 1e8 : 1) * test::normal(1, i));
            x.push_back((wide ? 3 : 0) + test::normal(2, i));
        }
        fit_options o;
        o.components = 2;
        const fit_result r = fit(ctx, view(x, 2), o);
        EXPECT_EQ(r.stopped, stop_reason::converged);
        // −½ log (2πe)² det C of either, and the entropy of the weights, with clusters that overlap no further.
        EXPECT_NEAR(r.log_likelihood, -1 - std::log(2 * M_PI) - 0.4 * std::log(1e8) - 0.673, 0.15);
        for (int k = 0; k < 2; ++k)
            EXPECT_NEAR(r.model.covariance(k)[3], 1, 0.3);
    }
}

TEST(GmmRegularization, IsKeptInTheModelAndTakenFromThere) {
    const std::vector<double> x = test::with_sentinels<double>(600, 99999, 601);
    std::vector<double> part(x.begin(), x.begin() + 400);
    part[0] = 99999; // alone it would count as far, and its λ would be another
    for (const context& ctx : test::contexts()) {
        fit_options o;
        o.components = 2;
        o.relative_regularization = 1e-3;
        const model m = fit(ctx, view(x, 2), o).model;
        ASSERT_EQ(m.regularization().size(), 2u);
        for (int j = 0; j < 2; ++j)
            EXPECT_DOUBLE_EQ(m.regularization()[j], 1e-3 * m.regularization_variances()[j]);

        statistics s(m);
        s.accumulate(ctx, view(part, 2));
        fit_options twice;
        twice.relative_regularization = 2e-3;
        const model with = maximize(s, {}), more = maximize(s, twice);
        EXPECT_EQ(with.regularization(), m.regularization());
        EXPECT_EQ(with.regularization_variances(), m.regularization_variances());
        EXPECT_DOUBLE_EQ(more.regularization()[0], 2e-3 * m.regularization_variances()[0]);
        for (int k = 0; k < 2; ++k)
            for (int j = 0; j < 2; ++j) {
                const double a = with.covariance(k)[3 * j], b = more.covariance(k)[3 * j];
                EXPECT_NEAR(b - a, m.regularization()[j], 1e-9 * b);
            }

        online stream(m);
        stream.partial_fit(ctx, view(part, 2));
        EXPECT_EQ(stream.model().regularization(), m.regularization());
        online_options rate;
        rate.rate = 1;
        online whole(m, rate);
        whole.partial_fit(s);
        EXPECT_EQ(whole.model().covariances().size(), with.covariances().size());
        for (std::size_t i = 0; i < with.covariances().size(); ++i)
            EXPECT_NEAR(whole.model().covariances()[i], with.covariances()[i], 1e-9 * std::abs(with.covariances()[i]));
    }
}

TEST(GmmRegularization, OfFoldsIsThatOfAllRows) {
    std::vector<double> x = test::clustered(120, 2, 2, 6, 21);
    x[0] = 99999;
    for (const context& ctx : test::contexts()) {
        select_options o;
        o.components = {2, 3};
        o.by = criterion::cross_validation;
        o.folds = 3;
        o.families = {family::diagonal};
        const select_result all = select(ctx, view(x, 2), o);
        fit_options alone;
        alone.components = all.best.model.components();
        alone.shape = family::diagonal;
        EXPECT_EQ(all.best.model.regularization_variances(),
                  fit(ctx, view(x, 2), alone).model.regularization_variances());
        // Without two of three rows the column is another, but its λ is not.
        std::vector<double> weights(120, 0);
        for (int i = 0; i < 120; i += 3)
            weights[i] = 1;
        alone.weights = sample_weights(weights);
        alone.regularization_variances = all.best.model.regularization_variances();
        EXPECT_EQ(fit(ctx, view(x, 2), alone).model.regularization(), all.best.model.regularization());
    }
}

TEST(GmmRegularization, APriorFollowsTheColumnsWithoutFarValues) {
    std::vector<double> x = test::clustered(300, 2, 2, 8, 31), plain = x;
    x.insert(x.end(), {99999, 0});
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::diagonal, family::spherical}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            variational_options o;
            o.components = 2;
            o.shape = f;
            const variational_prior usual = fit_variational(ctx, view(plain, 2), o).posterior.values().prior;
            o.components = 3;
            const variational_result r = fit_variational(ctx, view(x, 2), o);
            const variational_prior prior = r.posterior.values().prior;
            for (std::size_t i = 0; i < usual.scale->size(); ++i)
                EXPECT_NEAR((*prior.scale)[i], (*usual.scale)[i], 0.05 * std::abs((*usual.scale)[0]));
            EXPECT_NEAR((*prior.mean)[0], (*usual.mean)[0], 0.1);
            ASSERT_EQ(r.events.size(), 1u);
            EXPECT_EQ(r.events[0].far.row, 300);
        }
}

TEST(GmmRegularization, NoiseFloorsOfFactorModelsLeaveFarValuesOut) {
    std::vector<double> x;
    for (int i = 0; i < 300; ++i)
        for (int j = 0; j < 3; ++j)
            x.push_back(test::normal(7, i) + 0.01 * test::normal(8, 3 * i + j));
    x[0] = 1e6;
    for (const context& ctx : test::contexts()) {
        latent::factor_options o;
        o.kind = latent::factor_kind::factor_analysis;
        o.max_iterations = 20;
        const latent::factor_result r = latent::fit(ctx, view(x, 3), o);
        ASSERT_FALSE(r.events.empty());
        EXPECT_EQ(r.events[0].what, latent::factor_event::kind::far_value);
        EXPECT_EQ(r.events[0].far.row, 0);
        EXPECT_EQ(r.events[0].far.column, 0);
    }
}

// Beside a row at 10¹² a noise variance of 10⁻⁵ would be less than the rounding of its square.
TEST(GmmRegularization, TheNoiseOfPpcaIsNotBelowTheRoundingOfFarRows) {
    for (const context& ctx : test::contexts())
        for (double far : {1e9, 1e12, 1e20})
            for (latent::factor_method method : {latent::factor_method::em, latent::factor_method::eigen}) {
                SCOPED_TRACE(ctx.name() + " " + std::to_string(far));
                const std::vector<double> x = test::with_sentinels<double>(300, far, 300);
                latent::factor_options o;
                o.latent = 1;
                o.method = method;
                const latent::factor_result r = latent::fit(ctx, view(x, 2), o);
                const double exact = -1 - std::log(2 * M_PI) - std::log(far / std::sqrt(300)) - 0.5 * std::log(10);
                EXPECT_LT(r.log_likelihood, exact + 0.5);
                EXPECT_GT(r.log_likelihood, exact - std::log(far));
            }
}

} // namespace
} // namespace elbo::gmm
