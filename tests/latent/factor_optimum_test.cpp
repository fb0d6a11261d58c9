// Fits of linear-Gaussian models end at the maximum, and not where EM happens to come to rest.
#include "elbo/latent/factors.hpp"
#include "host/latent/factors/profile.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/factor_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace elbo::latent {
namespace {

/// Columns 0 ... 63 of optdigits.tes: 61 vary.
data_source digits() {
    file_options options;
    for (int j = 0; j < 64; ++j)
        options.columns.push_back(std::to_string(j));
    return data_source::file(ELBO_TEST_DATA "/optdigits.tes", options);
}

data_source pulsars() {
    return data_source::file(ELBO_TEST_DATA "/failing/13_htru2_std.npy");
}

bool stalled(const factor_result& r) {
    return std::ranges::any_of(r.events, [](const factor_event& e) { return e.what == factor_event::kind::stalled; });
}

double eigen_log_likelihood(const data_source& data, std::int64_t latent) {
    factor_options options;
    options.latent = latent;
    options.method = factor_method::eigen;
    return fit(context::cpu(2), data, options).log_likelihood;
}

/// PPCA along the principal axes `from` ... of the data instead of the first ones: a stationary point of EM.
factor_model along_axes(const data_source& data, std::int64_t from, std::int64_t latent) {
    factor_options options;
    options.latent = from + latent;
    options.method = factor_method::eigen;
    const factor_model all = fit(context::cpu(2), data, options).model;
    factor_parameters p{factor_kind::ppca, data.cols(), latent, {}, all.means(), {}, {all.noise()[0]}};
    for (std::int64_t j = 0; j < data.cols(); ++j)
        for (std::int64_t l = from; l < from + latent; ++l)
            p.loadings.push_back(all.loadings()[j * (from + latent) + l]);
    return factor_model(p);
}

TEST(LatentFactorOptimum, PpcaNearFullRankEndsAtItsMaximum) {
    const data_source data = digits();
    for (const std::int64_t latent : {58, 60, 61, 63}) { // the floor of the noise is reached from 61 on
        const double maximum = eigen_log_likelihood(data, latent);
        if (latent == 60) {
            EXPECT_NEAR(maximum, -105.33, 0.01);
        }
        for (const context& ctx : test::contexts())
            for (const factor_start start : {factor_start::automatic, factor_start::random}) {
                SCOPED_TRACE(ctx.name() + " L=" + std::to_string(latent) + " " + std::string(to_string(start)));
                if (test::slow_device() && (latent != 60 || start == factor_start::random))
                    continue;
                factor_options options;
                options.latent = latent;
                options.start = start;
                options.tolerance = 1e-6;
                const factor_result r = fit(ctx, data, options);
                EXPECT_EQ(r.stopped, gmm::stop_reason::converged);
                // Within the tolerance of the rule; at the floor log p itself is rounded to 1e-16 / 1e-6 a row.
                EXPECT_NEAR(r.log_likelihood, maximum, 2e-6);
                test::expect_chain(r, 1e-7);
            }
    }
}

TEST(LatentFactorOptimum, PpcaLeavesASaddle) {
    // A covariance that is small enough for LAPACK, and one that is only multiplied.
    for (const std::int64_t d : {12, 300}) {
        const std::vector<double> x =
            test::rows_of(test::random_model(factor_kind::ppca, d, 5, 1, false, 33), test::slow_device() ? 40 : 400, 7);
        const data_source data = test::view(x, d);
        const double maximum = eigen_log_likelihood(data, 2);
        for (const context& ctx : test::contexts())
            for (const std::int64_t from : {1, 3}) {
                SCOPED_TRACE(ctx.name() + " d=" + std::to_string(d) + " axes from " + std::to_string(from));
                factor_options options;
                options.latent = 2;
                options.start_model = along_axes(data, from, 2);
                const factor_result r = fit(ctx, data, options);
                EXPECT_NEAR(r.log_likelihood, maximum, 1e-7);
                if (from == 1) { // loadings along noise alone are so small that EM turns them by itself
                    EXPECT_TRUE(stalled(r));
                }
                EXPECT_EQ(r.best_start, std::nullopt);
                test::expect_chain(r, 1e-11 * static_cast<double>(d));
                // Without a rule of convergence there is nothing to verify, and EM stays.
                options.tolerance = 0;
                options.max_iterations = 5;
                EXPECT_FALSE(stalled(fit(ctx, data, options)));
            }
    }
}

TEST(LatentFactorOptimum, ASaddleIsLeftAlikeHoweverTheRowsCome) {
    const std::int64_t rows = test::slow_device() ? 4100 : 9000;
    const std::vector<double> x = test::rows_of(test::random_model(factor_kind::ppca, 6, 3, 1, false, 3), rows, 8);
    for (const context& ctx : test::contexts())
        for (const factor_kind kind : {factor_kind::ppca, factor_kind::factor_analysis}) {
            factor_options options;
            options.kind = kind;
            options.latent = 2;
            options.max_iterations = test::slow_device() ? 12 : 1000;
            options.tolerance = 1e-3;
            if (kind == factor_kind::ppca)
                options.start_model = along_axes(test::view(x, 6), 1, 2);
            const factor_result want = fit(ctx, test::view(x, 6), options);
            EXPECT_EQ(stalled(want), kind == factor_kind::ppca);
            options.memory_limit = 1;
            const factor_result got = fit(ctx, test::view(x, 6), options);
            EXPECT_EQ(got.model, want.model);
            EXPECT_EQ(got.log_likelihood, want.log_likelihood);
        }
}

TEST(LatentFactorOptimum, FactorAnalysisReachesScikitLearnWhereNoiseVanishes) {
    // sklearn.decomposition.FactorAnalysis of scikit-learn 1.9.1 with its defaults, which stop early.
    for (const auto& [latent, peer] : {std::pair{1, -9.13369}, std::pair{2, -7.42735}, std::pair{3, -6.64048},
                                       std::pair{4, -6.39347}, std::pair{5, -6.34621}, std::pair{6, -6.33825}})
        for (const context& ctx : test::contexts()) {
            SCOPED_TRACE(ctx.name() + " L=" + std::to_string(latent));
            factor_options options;
            options.kind = factor_kind::factor_analysis;
            options.latent = latent;
            const factor_result r = fit(ctx, pulsars(), options);
            EXPECT_GE(r.log_likelihood, peer);
            EXPECT_EQ(r.best_start, factor_start::conditional);
            EXPECT_LT(r.iterations, 30); // the start looks at all rows, and ends at the maximum
            test::expect_chain(r, 1e-8);
            for (const std::uint64_t seed : {1, 2}) {
                options.seed = seed;
                EXPECT_NEAR(fit(ctx, pulsars(), options).log_likelihood, r.log_likelihood, 2e-8);
            }
        }
}

TEST(LatentFactorOptimum, FactorAnalysisGoesOnWhereEmIsTooSlow) {
    factor_options options;
    options.kind = factor_kind::factor_analysis;
    options.latent = 4;
    options.start = factor_start::random;
    options.accelerate = false; // plain EM lowers a vanishing variance like 1 / t
    options.tolerance = 1e-3;
    for (const context& ctx : test::contexts()) {
        const factor_result r = fit(ctx, pulsars(), options);
        EXPECT_TRUE(stalled(r));
        test::expect_chain(r, 1e-8);
        // It ends at a maximum above where EM rested: one of those that are known.
        const double known[] = {-6.39084, -6.59940};
        EXPECT_LT(std::min(std::abs(r.log_likelihood - known[0]), std::abs(r.log_likelihood - known[1])), 1e-4);
    }
}

TEST(LatentFactorOptimum, RestartsOfFactorsTakeTheKindsInTurn) {
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_mixture, 5, 2, 3, true, 21, 1), 200, 5);
    const context ctx = context::cpu(2);
    using enum factor_start;
    const struct {
        factor_kind kind;
        std::int64_t components;
        std::vector<factor_start> turn;
    } cases[] = {{factor_kind::ppca, 1, {principal, random}},
                 {factor_kind::factor_analysis, 1, {conditional, principal, conditional, random}},
                 {factor_kind::factor_mixture, 1, {conditional, principal, conditional, random}},
                 {factor_kind::factor_mixture, 3, {principal, conditional, random}}};
    for (const auto& c : cases) {
        factor_options options;
        options.kind = c.kind;
        options.components = c.components;
        options.latent = 2;
        options.max_iterations = 20;
        options.tolerance = 0;
        options.restarts = 5;
        const factor_result all = fit(ctx, test::view(x, 5), options);
        EXPECT_EQ(all.best_start, c.turn[all.best_restart % c.turn.size()]);
        options.restarts = 1;
        EXPECT_EQ(fit(ctx, test::view(x, 5), options).best_start, c.turn[0]);
        options.start = c.turn[0];
        const factor_result one = fit(ctx, test::view(x, 5), options);
        EXPECT_GE(all.log_likelihood, one.log_likelihood);
    }
}

TEST(LatentFactorOptimum, ManyColumnsBeginAtTheirVariances) {
    const std::int64_t d = 140; // beyond most_profile_columns
    const std::vector<double> x =
        test::rows_of(test::random_model(factor_kind::factor_analysis, d, 4, 1, false, 5), 300, 2);
    factor_options options;
    options.kind = factor_kind::factor_analysis;
    options.latent = 4;
    for (const context& ctx : test::contexts()) {
        if (test::slow_device())
            continue;
        options.start = factor_start::automatic;
        const factor_result r = fit(ctx, test::view(x, d), options);
        EXPECT_EQ(r.best_start, factor_start::conditional);
        test::expect_chain(r, 1e-9);
        options.start = factor_start::principal;
        EXPECT_NEAR(fit(ctx, test::view(x, d), options).log_likelihood, r.log_likelihood, 1e-5); // a single optimum
    }
}

TEST(LatentFactorOptimum, DecisionsDoNotHangOnRounding) {
    // Another BLAS or back end differs by some units in the last place, as these weights do. Whether a longer step of
    // the noise variances is taken must not.
    const context ctx = context::reference();
    for (const auto& [kind, components] : {std::pair{factor_kind::ppca, 1}, std::pair{factor_kind::factor_analysis, 1},
                                           std::pair{factor_kind::factor_mixture, 3}})
        for (const factor_start start : {factor_start::principal, factor_start::random}) {
            const std::vector<double> x =
                test::rows_of(test::random_model(kind, 6, 2, components, false, 7, 5), 300, 3);
            factor_options options;
            options.kind = kind;
            options.components = components;
            options.latent = 2;
            options.start = start;
            options.max_iterations = 12;
            options.tolerance = 0;
            const factor_result want = fit(ctx, test::view(x, 6), options);
            for (std::uint64_t seed = 0; seed < 25; ++seed) {
                std::vector<double> weights(300);
                for (int n = 0; n < 300; ++n)
                    weights[n] = 1 + (test::uniform(seed, n) < 0.5 ? -0x1p-52 : 0x1p-52);
                options.weights = weights;
                const factor_result got = fit(ctx, test::view(x, 6), options);
                // Twelve maps that contract or nearly so; one decision that flips makes 1e-8 of it.
                for (std::size_t t = 0; t < want.trace.size(); ++t)
                    EXPECT_NEAR(got.trace[t].entropy, want.trace[t].entropy, 1e-9) << t;
            }
        }
}

/// S = B Bᵀ + diag: a covariance of d columns.
std::vector<double> some_covariance(std::int64_t d, std::uint64_t seed) {
    std::vector<double> s(d * d, 0);
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j) {
            for (std::int64_t l = 0; l < d; ++l)
                s[i * d + j] += test::normal(seed, i * d + l) * test::normal(seed, j * d + l);
            s[i * d + j] += i == j ? 0.5 : 0;
        }
    return s;
}

TEST(LatentFactorOptimum, TheProfileHasNoAscentLeft) {
    for (const std::int64_t d : {1, 2, 5, 9})
        for (std::int64_t L = 1; L <= d; L += 2) {
            SCOPED_TRACE("d=" + std::to_string(d) + " L=" + std::to_string(L));
            const std::vector<double> s = some_covariance(d, 7);
            std::vector<double> floor(d), noise(d);
            for (std::int64_t j = 0; j < d; ++j)
                floor[j] = 1e-6 * s[j * d + j], noise[j] = 0.3 * s[j * d + j];
            const profile_maximum best = maximize_profile(s, d, L, noise, floor);
            // A step of EM, ψ_j = S_jj − Σ A_jl², ends where it began, but at the floor.
            for (std::int64_t j = 0; j < d; ++j) {
                double left = s[j * d + j];
                for (std::int64_t l = 0; l < L; ++l)
                    left -= best.loadings[j * L + l] * best.loadings[j * L + l];
                if (best.noise[j] > 1.001 * floor[j]) {
                    EXPECT_NEAR(left, best.noise[j], 1e-5 * s[j * d + j]); // the root of what the last step promises
                } else {
                    EXPECT_LE(left, best.noise[j] * (1 + 1e-6));
                }
            }
            const profile_maximum again = maximize_profile(s, d, L, best.noise, floor);
            EXPECT_NEAR(again.log_likelihood, best.log_likelihood, 1e-11 + best.rounding);
            EXPECT_GE(best_profile(s, d, L, floor, 3, true).log_likelihood, best.log_likelihood - 1e-8);
        }
}

TEST(LatentFactorOptimum, TheProfileOfASingularCovarianceIsFinite) {
    // A constant column, two equal ones, and none that varies.
    const std::vector<double> equal = {0, 0, 0, 0, 2, 2, 0, 2, 2}, none(9, 0);
    for (const std::vector<double>& s : {equal, none}) {
        const std::vector<double> floor(3, 1e-6);
        const profile_maximum best = best_profile(s, 3, 1, floor, 1, true);
        EXPECT_TRUE(std::isfinite(best.log_likelihood));
        for (const double v : best.noise)
            EXPECT_GE(v, 1e-6 * (1 - 1e-12));
        for (const double v : best.loadings)
            EXPECT_TRUE(std::isfinite(v));
    }
}

} // namespace
} // namespace elbo::latent
