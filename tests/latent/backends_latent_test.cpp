// Linear-Gaussian models on every back end: the same fits and inference as on the reference, and the same bits however
// the rows come.
#include "elbo/error.hpp"
#include "elbo/latent/factors.hpp"
#include "host/latent/rows.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/factor_cases.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::latent {
namespace {

using test::random_model;
using test::rows_of;
using test::view;

struct fit_case {
    factor_kind kind;
    std::int64_t components;
    bool own_noise;
};
constexpr fit_case cases[] = {{factor_kind::ppca, 1, false},
                              {factor_kind::factor_analysis, 1, false},
                              {factor_kind::factor_mixture, 3, false},
                              {factor_kind::factor_mixture, 2, true}};

factor_options options_of(const fit_case& c) {
    factor_options options;
    options.kind = c.kind;
    options.components = c.components;
    options.own_noise = c.own_noise;
    options.latent = 2;
    options.max_iterations = 12;
    options.tolerance = 0;
    return options;
}

std::vector<double> data_of(const fit_case& c, std::int64_t rows) {
    return rows_of(random_model(c.kind, 6, 2, c.components, c.own_noise, 7, 5), rows, 3);
}

/// |got − want| ≤ bound · (1 + |want|).
void expect_close(const std::vector<double>& got, const std::vector<double>& want, double bound, const char* what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], want[i], bound * (1 + std::abs(want[i]))) << what << ' ' << i;
}

TEST(BackendsLatent, FitsAreThoseOfTheReference) {
    for (const fit_case& c : cases) {
        const std::vector<double> x = data_of(c, 300);
        std::vector<double> weights;
        for (int n = 0; n < 300; ++n)
            weights.push_back(0.5 + test::uniform(4, n));
        factor_options options = options_of(c);
        options.weights = weights;
        const factor_result want = fit(context::reference(), view(x, 6), options);
        for (const context& ctx : test::contexts_under_test()) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(c.kind)));
            const factor_result got = fit(ctx, view(x, 6), options);
            // Sums of 300 rows in another order differ by about 1e-14; a dozen maps that contract or nearly so leave
            // that below 1e-10 in the parameters, and below 1e-11 in the likelihood, which they move to second order.
            ASSERT_EQ(got.trace.size(), want.trace.size());
            for (std::size_t t = 0; t < got.trace.size(); ++t) {
                EXPECT_NEAR(got.trace[t].log_likelihood, want.trace[t].log_likelihood, 1e-10);
                EXPECT_NEAR(got.trace[t].elbo_after_m_step, want.trace[t].elbo_after_m_step, 1e-10);
                EXPECT_NEAR(got.trace[t].entropy, want.trace[t].entropy, 1e-9);
            }
            for (std::int64_t k = 0; k < c.components; ++k)
                expect_close(got.model.covariance(k), want.model.covariance(k), 1e-8, "covariance");
            expect_close(got.model.means(), want.model.means(), 1e-8, "means");
            expect_close(got.model.weights(), want.model.weights(), 1e-8, "weights");
            test::expect_chain(got);
        }
    }
}

TEST(BackendsLatent, InferenceIsThatOfTheReference) {
    for (const fit_case& c : cases) {
        const factor_model m = random_model(c.kind, 6, 2, c.components, c.own_noise, 17);
        const std::vector<double> x = rows_of(m, 70, 2);
        const std::vector<float> narrow = test::as<float>(x);
        const data_source data = matrix_view<const float>(narrow.data(), 70, 6);
        const factor_posterior want = posterior(context::reference(), m, data);
        const gmm::score_result score_wanted = score(context::reference(), m, data);
        for (const context& ctx : test::contexts_under_test()) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(c.kind)));
            const factor_posterior got = posterior(ctx, m, data);
            // Float32 rows are exact in float64, in which all is computed.
            expect_close(got.log_density, want.log_density, 1e-12, "log density");
            expect_close(got.responsibilities, want.responsibilities, 1e-11, "responsibility");
            expect_close(got.means, want.means, 1e-11, "posterior mean");
            expect_close(reconstruct(ctx, m, data), reconstruct(context::reference(), m, data), 1e-11, "row");
            const gmm::score_result s = score(ctx, m, data);
            EXPECT_NEAR(s.log_likelihood, score_wanted.log_likelihood, 1e-11);
            EXPECT_NEAR(s.entropy, score_wanted.entropy, 1e-11);
            EXPECT_EQ(s.samples, 70);
        }
    }
}

TEST(BackendsLatent, EigenvaluesAreThoseOfTheReference) {
    const std::vector<double> x = data_of(cases[0], 200);
    factor_options options;
    options.latent = 2;
    options.method = factor_method::eigen;
    const factor_result want = fit(context::reference(), view(x, 6), options);
    for (const context& ctx : test::contexts_under_test()) {
        const factor_result got = fit(ctx, view(x, 6), options);
        EXPECT_NEAR(got.log_likelihood, want.log_likelihood, 1e-12);
        expect_close(got.model.covariance(0), want.model.covariance(0), 1e-12, "covariance");
    }
}

TEST(BackendsLatent, ChunksAndMemoryLimitsChangeNoBit) {
    // More than two units of 4096 rows, so that a limit of one byte makes batches of them.
    const std::int64_t rows = test::slow_device() ? 4100 : 9000;
    for (const fit_case& c : {cases[1], cases[2]}) {
        const std::vector<double> x = data_of(c, rows);
        factor_options options = options_of(c);
        options.max_iterations = test::slow_device() ? 2 : 5;
        for (const context& ctx : test::contexts_under_test()) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(c.kind)));
            const factor_result want = fit(ctx, view(x, 6), options);
            const auto part = [&](std::int64_t first, std::int64_t count) {
                return any_matrix_view(matrix_view<const double>(x.data() + 6 * first, count, 6));
            };
            const data_source chunks = data_source::chunks({part(0, 7), part(7, 4000), part(4007, rows - 4007)});
            factor_options streamed = options;
            streamed.memory_limit = 1;
            for (const factor_result& got :
                 {fit(ctx, chunks, options), fit(ctx, chunks, streamed), fit(ctx, view(x, 6), streamed)}) {
                EXPECT_EQ(got.model, want.model);
                EXPECT_EQ(got.log_likelihood, want.log_likelihood);
            }
            if (ctx.where() != backend::cpu)
                continue;
            for (const int threads : {1, 3})
                EXPECT_EQ(fit(context::cpu(threads), view(x, 6), options).model, want.model);
        }
    }
}

} // namespace
} // namespace elbo::latent
