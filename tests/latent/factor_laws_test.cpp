// Laws of fits of linear-Gaussian models that need no number.
#include "elbo/error.hpp"
#include "elbo/latent/factors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/factor_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::latent {
namespace {

using testing::HasSubstr;

TEST(LatentFactorLaws, TheChainHoldsForEveryKindAndStart) {
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_mixture, 6, 2, 3, true, 21, 4), 400, 5);
    for (const context& ctx : test::contexts())
        for (const factor_start start : {factor_start::principal, factor_start::random})
            for (const factor_kind kind :
                 {factor_kind::ppca, factor_kind::factor_analysis, factor_kind::factor_mixture})
                for (const bool own : {false, true}) {
                    if (own && kind != factor_kind::factor_mixture)
                        continue;
                    SCOPED_TRACE(ctx.name() + " " + std::string(to_string(kind)) + " " + std::string(to_string(start)));
                    factor_options options;
                    options.kind = kind;
                    options.latent = 2;
                    options.components = kind == factor_kind::factor_mixture ? 3 : 1;
                    options.own_noise = own;
                    options.start = start;
                    options.tolerance = 1e-9;
                    const factor_result r = fit(ctx, test::view(x, 6), options);
                    test::expect_chain(r);
                    EXPECT_EQ(r.stopped, gmm::stop_reason::converged);
                    const gmm::score_result s = score(ctx, r.model, test::view(x, 6));
                    // The same density in another frame: rounding of sums of six terms over 400 rows.
                    EXPECT_NEAR(s.log_likelihood, r.log_likelihood, 1e-11);
                    EXPECT_NEAR(s.bic, r.bic, 1e-8);
                }
}

TEST(LatentFactorLaws, OneComponentOfAMixtureIsFactorAnalysis) {
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_analysis, 7, 2, 1, false, 2), 300, 3);
    const context ctx = context::cpu(2);
    factor_options options;
    options.kind = factor_kind::factor_analysis;
    options.latent = 2;
    const factor_result one = fit(ctx, test::view(x, 7), options);
    options.kind = factor_kind::factor_mixture;
    const factor_result mixture = fit(ctx, test::view(x, 7), options);
    EXPECT_EQ(one.log_likelihood, mixture.log_likelihood);
    EXPECT_EQ(one.model.loadings(), mixture.model.loadings());
    EXPECT_EQ(one.model.parameters(), mixture.model.parameters());
}

TEST(LatentFactorLaws, WideDataNeedNoMatrixOfColumns) {
    const std::int64_t d = 10000, n = 50;
    const std::vector<double> x = test::rows_of(test::random_model(factor_kind::ppca, d, 4, 1, false, 14), n, 6);
    const context ctx = context::cpu(2);
    factor_options options;
    options.latent = 4;
    options.tolerance = 1e-10;
    const factor_result em = fit(ctx, test::view(x, d), options);
    options.method = factor_method::eigen;
    const factor_result exact = fit(ctx, test::view(x, d), options);
    EXPECT_NEAR(em.log_likelihood, exact.log_likelihood, 1e-8 * d);
    test::expect_chain(em, 1e-8); // sums of 10⁴ terms of order one
    options.method = factor_method::em;
    options.kind = factor_kind::factor_analysis;
    options.max_iterations = 20;
    const factor_result analysis = fit(ctx, test::view(x, d), options);
    test::expect_chain(analysis, 1e-8);
    EXPECT_GT(analysis.log_likelihood, exact.log_likelihood); // the larger family
}

TEST(LatentFactorLaws, IntegerWeightsAreRepeatedRowsAndWeightZeroIsAnAbsentRow) {
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_mixture, 4, 2, 2, false, 41), 200, 2);
    std::vector<double> repeated, weights;
    for (int n = 0; n < 200; ++n) {
        weights.push_back(n % 3);
        for (int i = 0; i < n % 3; ++i)
            repeated.insert(repeated.end(), x.begin() + 4 * n, x.begin() + 4 * n + 4);
    }
    for (const context& ctx : test::contexts())
        for (const factor_kind kind : {factor_kind::ppca, factor_kind::factor_analysis, factor_kind::factor_mixture}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(kind)));
            factor_options options;
            options.kind = kind;
            options.latent = 2;
            options.components = kind == factor_kind::factor_mixture ? 2 : 1;
            options.start_model = test::random_model(kind, 4, 2, options.components, false, 41);
            options.max_iterations = 30;
            options.tolerance = 0;
            const factor_result want = fit(ctx, test::view(repeated, 4), options);
            options.weights = weights;
            const factor_result got = fit(ctx, test::view(x, 4), options);
            EXPECT_EQ(got.total_weight, want.total_weight);
            EXPECT_NEAR(got.log_likelihood, want.log_likelihood, 1e-10); // thirty maps of rounding-sized differences
            EXPECT_NEAR(got.bic, want.bic, 1e-7);
        }
}

TEST(LatentFactorLaws, OffsetsAndScalesOfTheDataAreExactLaws) {
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_analysis, 5, 2, 1, false, 51), 300, 2);
    std::vector<double> moved = x, scaled = x;
    for (std::size_t i = 0; i < x.size(); ++i) {
        moved[i] = x[i] + 1e6;
        scaled[i] = x[i] * 1000;
    }
    for (const context& ctx : test::contexts())
        for (const factor_kind kind : {factor_kind::ppca, factor_kind::factor_analysis}) {
            factor_options options;
            options.kind = kind;
            options.latent = 2;
            options.tolerance = 1e-10;
            const factor_result base = fit(ctx, test::view(x, 5), options);
            // x + 10⁶ is rounded to 1e-10: the density sees that times its slope of order one.
            EXPECT_NEAR(fit(ctx, test::view(moved, 5), options).log_likelihood, base.log_likelihood, 1e-7);
            EXPECT_NEAR(fit(ctx, test::view(scaled, 5), options).log_likelihood,
                        base.log_likelihood - 5 * std::log(1000.0), 1e-7);
        }
}

TEST(LatentFactorLaws, ConstantColumnsAndExactSubspacesStayFinite) {
    // Columns 0 and 1 and their sum, and a constant: rank two, so that two latent variables leave no noise.
    std::vector<double> x;
    for (int n = 0; n < 100; ++n) {
        const double a = test::normal(1, n), b = test::normal(2, n);
        x.insert(x.end(), {a, b, a + b, 7.0});
    }
    for (const context& ctx : test::contexts())
        for (const factor_kind kind : {factor_kind::ppca, factor_kind::factor_analysis}) {
            factor_options options;
            options.kind = kind;
            options.latent = 2;
            options.max_iterations = 500;
            const factor_result r = fit(ctx, test::view(x, 4), options);
            EXPECT_TRUE(std::isfinite(r.log_likelihood));
            test::expect_chain(r, 1e-7); // noise at 1e-6 of the variance: its reciprocal multiplies the rounding
            ASSERT_FALSE(r.events.empty());
            for (const factor_event& e : r.events)
                EXPECT_EQ(e.what, factor_event::kind::noise_floor);
            for (const double v : r.model.noise())
                EXPECT_GT(v, 0);
            const std::int64_t column = kind == factor_kind::factor_analysis ? 3 : -1;
            EXPECT_TRUE(std::ranges::any_of(r.events, [&](const factor_event& e) { return e.column == column; }));
        }
    factor_options options;
    options.latent = 2;
    options.method = factor_method::eigen;
    const factor_result exact = fit(context::reference(), test::view(x, 4), options);
    ASSERT_EQ(exact.events.size(), 1u);
    EXPECT_EQ(exact.events[0].what, factor_event::kind::noise_floor);
}

TEST(LatentFactorLaws, SmallestAndLargestLatentSpaces) {
    const std::vector<double> x = test::clustered(100, 1, 2, 6, 3), y = test::clustered(200, 4, 1, 0, 5);
    const context ctx = context::reference();
    factor_options options;
    options.kind = factor_kind::factor_mixture; // in one dimension: an ordinary mixture
    options.components = 2;
    options.tolerance = 1e-10;
    const factor_result one = fit(ctx, test::view(x, 1), options);
    test::expect_chain(one);
    options = {};
    options.latent = 3; // d − 1 describes every covariance
    options.method = factor_method::eigen;
    const factor_result all = fit(ctx, test::view(y, 4), options);
    gmm::fit_options full;
    full.relative_regularization = 0;
    EXPECT_NEAR(all.log_likelihood, gmm::fit(ctx, test::view(y, 4), full).log_likelihood, 1e-11);
    EXPECT_EQ(all.model.parameters(), 4 + 10);
    options.latent = 4;
    options.method = factor_method::em;
    options.kind = factor_kind::factor_analysis;
    options.tolerance = 1e-12;
    const factor_result more = fit(ctx, test::view(y, 4), options);
    EXPECT_NEAR(more.log_likelihood, all.log_likelihood, 1e-6); // the end of a flat ridge, reached slowly
    EXPECT_EQ(more.model.parameters(), 4 + 10);
}

TEST(LatentFactorLaws, EmptyComponentsFollowThePolicy) {
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_mixture, 3, 1, 2, false, 61), 150, 2);
    factor_parameters p = test::random_model(factor_kind::factor_mixture, 3, 1, 3, true, 61).values();
    std::fill(p.means.begin() + 3, p.means.begin() + 6, 1e4); // no row is near component 1
    for (const context& ctx : test::contexts())
        for (const auto policy :
             {gmm::collapse_policy::reseed, gmm::collapse_policy::drop, gmm::collapse_policy::fail}) {
            factor_options options;
            options.kind = factor_kind::factor_mixture;
            options.components = 3;
            options.own_noise = true;
            options.start_model = factor_model(p);
            options.on_collapse = policy;
            options.max_iterations = 50;
            if (policy == gmm::collapse_policy::fail) {
                try {
                    fit(ctx, test::view(x, 3), options);
                    ADD_FAILURE() << "no exception";
                } catch (const error& e) {
                    EXPECT_THAT(e.what(), HasSubstr("component 1 became empty in iteration 0"));
                }
                continue;
            }
            const factor_result r = fit(ctx, test::view(x, 3), options);
            ASSERT_FALSE(r.events.empty());
            EXPECT_EQ(r.events[0].component, 1);
            EXPECT_EQ(r.events[0].action, policy);
            EXPECT_EQ(r.model.components(), policy == gmm::collapse_policy::drop ? 2 : 3);
            test::expect_chain(r);
        }
}

TEST(LatentFactorLaws, ACallbackStopsAFit) {
    const std::vector<double> x = test::rows_of(test::random_model(factor_kind::ppca, 5, 2, 1, false, 95), 100, 1);
    factor_options options;
    options.latent = 2;
    options.tolerance = 0;
    options.callback = [](const gmm::progress& p) { return p.record.iteration < 4; };
    const factor_result r = fit(context::reference(), test::view(x, 5), options);
    EXPECT_EQ(r.stopped, gmm::stop_reason::interrupted);
    EXPECT_EQ(r.iterations, 5);
}

} // namespace
} // namespace elbo::latent
