// Weights of any finite size: against plain loops in long double, against themselves times a power of two, and at the
// ends of float64.
#include "elbo/error.hpp"
#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/online.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/statistics.hpp"
#include "elbo/gmm/variational.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::gmm {
namespace {

using test::view;
using number = long double;

/// EM for diagonal covariances as it is written in the books, on weights of which the largest is 1.
struct plain_mixture {
    std::vector<number> weights, means, variances; // [k], [k x d], [k x d]

    number log_joint(const double* x, std::size_t k, std::size_t d) const {
        number sum = std::log(weights[k]);
        for (std::size_t j = 0; j < d; ++j) {
            const number off = x[j] - means[k * d + j], v = variances[k * d + j];
            sum -= (std::log(2 * M_PIl * v) + off * off / v) / 2;
        }
        return sum;
    }

    /// One iteration; returns the weighted mean log-likelihood before it.
    number step(const std::vector<double>& x, const std::vector<number>& w, const std::vector<number>& lambda) {
        const std::size_t k = weights.size(), d = means.size() / k;
        std::vector<number> r(w.size() * k), counts(k, 0);
        number likelihood = 0, total = 0;
        for (std::size_t n = 0; n < w.size(); ++n) {
            std::vector<number> lp(k);
            for (std::size_t c = 0; c < k; ++c)
                lp[c] = log_joint(&x[n * d], c, d);
            const number largest = *std::max_element(lp.begin(), lp.end());
            number sum = 0;
            for (const number v : lp)
                sum += std::exp(v - largest);
            for (std::size_t c = 0; c < k; ++c)
                counts[c] += r[n * k + c] = w[n] * std::exp(lp[c] - largest) / sum;
            likelihood += w[n] * (largest + std::log(sum));
            total += w[n];
        }
        for (std::size_t c = 0; c < k; ++c) {
            weights[c] = counts[c] / total;
            for (std::size_t j = 0; j < d; ++j) {
                number mean = 0, square = 0;
                for (std::size_t n = 0; n < w.size(); ++n)
                    mean += r[n * k + c] * x[n * d + j] / counts[c];
                for (std::size_t n = 0; n < w.size(); ++n)
                    square += r[n * k + c] * (x[n * d + j] - mean) * (x[n * d + j] - mean) / counts[c];
                means[c * d + j] = mean;
                variances[c * d + j] = square + lambda[j];
            }
        }
        return likelihood / total;
    }
};

/// Weights from 2^low to 2^high, some 0.
std::vector<double> spread_weights(std::int64_t rows, double low, double high, std::uint64_t seed) {
    std::vector<double> w;
    for (std::int64_t n = 0; n < rows; ++n)
        w.push_back(n % 11 == 3 ? 0 : std::exp2(low + (high - low) * test::uniform(seed, n)));
    return w;
}

model start_of(const std::vector<double>& x, std::int64_t d, std::int64_t k) {
    const std::vector<double> means(x.begin(), x.begin() + k * d);
    return model::from_covariances(family::diagonal, d, std::vector<double>(k, 1.0 / static_cast<double>(k)), means,
                                   std::vector<double>(k * d, 4.0));
}

/// What the library says of rows that cannot count, in long double: below 2^-72 of the sum.
struct counted_weights {
    number sum = 0, total = 0;
    std::vector<number> scaled;
    std::int64_t negligible = 0, first = -1;
    explicit counted_weights(const std::vector<double>& w) {
        for (const double v : w)
            sum += v;
        for (std::size_t n = 0; n < w.size(); ++n) {
            const bool counts = w[n] >= 0x1p-72L * sum;
            if (!counts && w[n] > 0 && negligible++ == 0)
                first = static_cast<std::int64_t>(n);
            scaled.push_back(counts ? w[n] / sum : 0);
            total += scaled.back();
        }
    }
};

TEST(GmmWeights, AnyRangeGivesWhatPlainLoopsGive) {
    struct range {
        double low, high;
    };
    const std::int64_t rows = 200, d = 3, k = 3;
    const std::vector<double> x = test::clustered(rows, d, k, 4, 5);
    std::uint64_t seed = 100;
    std::vector<range> ranges{{-30, 0}, {-1074, -1050}, {900, 960}, {-200, 0}};
    if (!test::slow_device())
        for (const range& e : {range{0, 0}, {-1, 1}, {-140, -100}, {-1074, -1074}, {940, 980}, {-1074, 900}})
            ranges.push_back(e);
    for (const range& e : ranges) {
        SCOPED_TRACE(testing::Message() << "weights 2^" << e.low << " to 2^" << e.high);
        const std::vector<double> w = spread_weights(rows, e.low, e.high, seed++);
        const counted_weights counted(w);
        const std::vector<number> lambda(d, 0x1p-10L);
        const model start = start_of(x, d, k);
        plain_mixture plain{std::vector<number>(k, 1.0L / k), {}, std::vector<number>(k * d, 4)};
        plain.means.assign(start.means().begin(), start.means().end());
        std::vector<number> chain;
        constexpr int steps = 6;
        for (int t = 0; t < steps; ++t)
            chain.push_back(plain.step(x, counted.scaled, lambda));

        for (const context& ctx : test::contexts()) {
            SCOPED_TRACE(ctx.name());
            fit_options options;
            options.components = k;
            options.shape = family::diagonal;
            options.start_model = start;
            options.max_iterations = steps;
            options.tolerance = 0;
            options.weights = w;
            options.regularization = 0x1p-10;
            options.relative_regularization = 0;
            const fit_result r = fit(ctx, view(x, d), options);
            EXPECT_EQ(r.negligible.rows, counted.negligible);
            EXPECT_EQ(r.negligible.first, counted.first);
            ASSERT_EQ(r.model.components(), k); // with these weights no component is empty for some steps
            ASSERT_EQ(r.trace.size(), chain.size());
            // The active set leaves out 2⁻²⁴ of a row for each component, which moves the parameters by as much, and so
            // a log-likelihood of some nats in the next iteration; six iterations in a row, each some times the last.
            for (int t = 0; t < steps; ++t)
                EXPECT_NEAR(r.trace[t].log_likelihood, static_cast<double>(chain[t]), 1e-5) << "iteration " << t;
            EXPECT_TRUE(std::isfinite(r.bic) && std::isfinite(r.aic) && std::isfinite(r.icl));
            EXPECT_NEAR(static_cast<double>(r.total_weight / counted.sum), static_cast<double>(counted.total), 1e-12);
        }
    }
}

/// Results with weights w · 2^s are those with w to the bit, totals but for 2^s.
TEST(GmmWeights, APowerOfTwoChangesNoBit) {
    const std::int64_t rows = 300, d = 2, k = 2;
    const std::vector<double> x = test::clustered(rows, d, k, 5, 81);
    const std::vector<double> w = spread_weights(rows, -3, 3, 7);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options options;
        options.components = k;
        options.weights = w;
        const fit_result plain = fit(ctx, view(x, d), options);
        const score_result scored = score(ctx, plain.model, view(x, d), w);
        const evidence_terms terms = evidence(ctx, plain.model, view(x, d), w);
        variational_options bayes;
        bayes.components = k;
        for (const int s : {-1010, -300, 17, 960}) {
            SCOPED_TRACE(s);
            std::vector<double> moved = w;
            for (double& v : moved)
                v = std::ldexp(v, s);
            options.weights = moved;
            const fit_result r = fit(ctx, view(x, d), options);
            EXPECT_EQ(r.model, plain.model);
            EXPECT_EQ(r.log_likelihood, plain.log_likelihood);
            EXPECT_EQ(r.total_weight, std::ldexp(plain.total_weight, s));
            const score_result again = score(ctx, plain.model, view(x, d), moved);
            EXPECT_EQ(again.log_likelihood, scored.log_likelihood);
            EXPECT_EQ(again.entropy, scored.entropy);
            EXPECT_EQ(evidence(ctx, plain.model, view(x, d), moved).elbo, terms.elbo);
        }
    }
}

TEST(GmmWeights, EveryFitTakesTheSmallestAndLargestNumbers) {
    const std::int64_t rows = 60, d = 3;
    const std::vector<double> x = test::clustered(rows, d, 2, 5, 3);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const std::vector<double> sizes = test::slow_device()
                                              ? std::vector{0x1p-1074, 0x1p990}
                                              : std::vector{0x1p-1074, 0x1p-1028, 0x1p-133, 0x1p133, 0x1p990};
        for (const double size : sizes) {
            SCOPED_TRACE(size);
            const std::vector<double> w(rows, size);
            for (const family f : {family::full, family::tied, family::diagonal, family::spherical,
                                   family::tied_diagonal, family::tied_spherical}) {
                fit_options options;
                options.components = 2;
                options.shape = f;
                const fit_result plain = fit(ctx, view(x, d), options);
                options.weights = w;
                EXPECT_EQ(fit(ctx, view(x, d), options).model, plain.model) << to_string(f);
            }
            select_options sweep;
            sweep.components = {1, 2};
            sweep.families = {family::spherical};
            sweep.by = criterion::cross_validation;
            sweep.folds = 3;
            const select_result unweighted = select(ctx, view(x, d), sweep);
            sweep.fit.weights = w;
            const select_result selected = select(ctx, view(x, d), sweep);
            EXPECT_EQ(selected.best.model, unweighted.best.model);
            EXPECT_NEAR(selected.table[1].held_out, unweighted.table[1].held_out, 1e-12);

            latent::factor_options factors;
            factors.latent = 1;
            const auto plain_factors = latent::fit(ctx, view(x, d), factors);
            factors.weights = w;
            const auto weighted_factors = latent::fit(ctx, view(x, d), factors);
            EXPECT_NEAR(weighted_factors.log_likelihood, plain_factors.log_likelihood, 1e-12);
            EXPECT_TRUE(std::isfinite(weighted_factors.bic));
            EXPECT_NEAR(latent::score(ctx, weighted_factors.model, view(x, d), w).log_likelihood,
                        weighted_factors.log_likelihood, 1e-12);
            latent::sphere_options sphere;
            sphere.max_iterations = 20;
            const auto plain_sphere = latent::fit(ctx, view(x, d), sphere);
            sphere.weights = w;
            EXPECT_NEAR(latent::fit(ctx, view(x, d), sphere).log_likelihood, plain_sphere.log_likelihood, 1e-12);
        }
    }
}

TEST(GmmWeights, OneRowThatOutweighsAllOthersLeavesAModel) {
    const std::vector<double> x{0, 1, 2};
    for (const context& ctx : test::contexts())
        for (const family f : {family::full, family::tied, family::diagonal, family::spherical, family::tied_diagonal,
                               family::tied_spherical})
            for (const double tiny : test::slow_device() ? std::vector{1e-40, 1e-15, 1e-7}
                                                         : std::vector{1e-40, 1e-20, 1e-15, 1e-9, 1e-7, 1e-6, 1e-3})
                for (const collapse_policy policy : {collapse_policy::reseed, collapse_policy::drop})
                    for (const std::int64_t k : {1, 2, 3}) {
                        SCOPED_TRACE(testing::Message() << ctx.name() << " " << to_string(f) << " " << tiny
                                                        << " k = " << k << " " << to_string(policy));
                        fit_options options;
                        options.components = k;
                        options.shape = f;
                        options.on_collapse = policy;
                        const std::vector<double> w{tiny, tiny / 10, 1};
                        options.weights = w;
                        if (k > 1 && tiny < 1e-21) { // rows that cannot count are not there to be told apart
                            EXPECT_THROW(fit(ctx, view(x, 1), options), invalid_argument);
                            continue;
                        }
                        const fit_result r = fit(ctx, view(x, 1), options);
                        EXPECT_GE(r.model.components(), 1);
                        EXPECT_TRUE(std::isfinite(r.log_likelihood));
                        EXPECT_EQ(r.negligible.rows, tiny < 1e-21 ? 2 : tiny / 10 < 2.1e-22 ? 1 : 0);
                        EXPECT_EQ(r.negligible.first, r.negligible.rows == 0 ? -1 : r.negligible.rows == 2 ? 0 : 1);
                    }
}

TEST(GmmWeights, BatchesChangeNoBitWhereSomeRowsCannotCount) {
    const std::int64_t rows = test::slow_device() ? 6000 : 20000, d = 2;
    const std::vector<double> x = test::clustered(rows, d, 2, 5, 9);
    std::vector<double> w = spread_weights(rows, -20, 0, 21);
    for (std::int64_t n = 7; n < rows; n += 100)
        w[n] = 1e-30;
    const data_source whole = view(x, d);
    const data_source chunks = data_source::chunks(
        {matrix_view<const double>(x.data(), 5000, d), matrix_view<const double>(&x[5000 * d], rows - 5000, d)});
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options options;
        options.components = 2;
        options.max_iterations = 4;
        options.weights = w;
        const fit_result plain = fit(ctx, whole, options);
        EXPECT_EQ(plain.negligible.rows, (rows - 7 + 99) / 100);
        EXPECT_EQ(plain.negligible.first, 7);
        EXPECT_EQ(fit(ctx, chunks, options).model, plain.model);
        options.memory_limit = 1;
        EXPECT_EQ(fit(ctx, whole, options).model, plain.model);
        // As rows of weight 0 they may lie anywhere, and are of no number.
        std::vector<double> far = x;
        for (std::int64_t n = 7; n < rows; n += 100)
            far[n * d] = 1e15;
        EXPECT_EQ(fit(ctx, view(far, d), options).model, plain.model);
    }
}

TEST(GmmWeights, WhatCannotBeIsRefusedByName) {
    const std::vector<double> x = test::clustered(8, 2, 2, 5, 4);
    const auto message = [&](const context& ctx, const std::vector<double>& w) {
        fit_options options;
        options.weights = w;
        try {
            fit(ctx, view(x, 2), options);
        } catch (const invalid_argument& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    for (const context& ctx : test::contexts()) {
        EXPECT_NE(message(ctx, std::vector<double>(8, 1e302)).find("weights, of which the largest is 1e+302"),
                  std::string::npos);
        EXPECT_NE(message(ctx, std::vector<double>(8, 0)).find("weights are all 0"), std::string::npos);
        std::vector<double> bad(8, 1);
        bad[5] = -1;
        EXPECT_NE(message(ctx, bad).find("weights[5] = -1"), std::string::npos);
        bad[5] = std::nan("");
        EXPECT_NE(message(ctx, bad).find("weights[5] = nan"), std::string::npos);

        // Statistics are to be merged, so their weights are taken as they are, within a range.
        const model m = start_of(x, 2, 2);
        for (const double size : {1e-300, 1e300}) {
            statistics s(m);
            EXPECT_THROW(s.accumulate(ctx, view(x, 2), std::vector<double>(8, size)), invalid_argument);
            EXPECT_EQ(s.samples(), 0);
            online stream(m);
            EXPECT_THROW(stream.partial_fit(ctx, view(x, 2), std::vector<double>(8, size)), invalid_argument);
            fit_options map;
            map.prior.emplace();
            map.weights = std::vector<double>(8, size);
            EXPECT_THROW(fit(ctx, view(x, 2), map), invalid_argument);
            variational_options bayes;
            bayes.weights = std::vector<double>(8, size);
            EXPECT_THROW(fit_variational(ctx, view(x, 2), bayes), invalid_argument);
        }
    }
}

TEST(GmmWeights, TemporariesAreKeptAndOthersViewed) {
    const std::vector<double> x = test::clustered(40, 2, 2, 5, 4), w = spread_weights(40, -2, 2, 8);
    const sample_weights seen(w);
    EXPECT_EQ(seen.values.data, w.data());
    sample_weights kept{std::vector<double>(w)};
    const sample_weights copy = kept;
    EXPECT_EQ(copy.values.data, kept.values.data);
    kept = sample_weights();
    const context ctx = test::contexts().front();
    fit_options options, later;
    options.weights = w;
    later.weights = std::vector<double>(w);
    select_options sweep;
    sweep.components = {1};
    sweep.fit.weights = std::vector<float>(40, 0.5f);
    std::vector<std::vector<double>> noise(100, std::vector<double>(40, -1)); // takes the memory that was freed
    EXPECT_EQ(fit(ctx, view(x, 2), later).model, fit(ctx, view(x, 2), options).model);
    options.weights = copy;
    EXPECT_EQ(fit(ctx, view(x, 2), later).model, fit(ctx, view(x, 2), options).model);
    EXPECT_EQ(select(ctx, view(x, 2), sweep).best.total_weight, 20);
}

TEST(GmmWeights, AStartWithEqualComponentsSaysSo) {
    const std::vector<double> x = test::clustered(60, 2, 2, 5, 4);
    const auto twins = [](std::vector<double> means) {
        return model::from_covariances(family::diagonal, 2, {0.25, 0.25, 0.5}, std::move(means), {1, 1, 1, 1, 1, 1});
    };
    for (const context& ctx : test::contexts()) {
        fit_options options;
        options.components = 3;
        options.shape = family::diagonal;
        options.max_iterations = 3;
        const auto identical = [&](const std::vector<event>& events) {
            std::vector<std::int64_t> found;
            for (const event& e : events)
                if (e.what == event::kind::identical)
                    found.push_back(e.component);
            return found;
        };
        options.start_model = twins({0, 1, 0, 1, 0, 1});
        EXPECT_EQ(identical(fit(ctx, view(x, 2), options).events), (std::vector<std::int64_t>{1, 2}));
        options.start_model = twins({3, 1, 0, 1, 3, 1});
        EXPECT_EQ(identical(fit(ctx, view(x, 2), options).events), (std::vector<std::int64_t>{2}));
        options.start_model = twins({3, 1, 0, 1, 3, 2});
        EXPECT_TRUE(identical(fit(ctx, view(x, 2), options).events).empty());
        options.start_model = twins({0, 1, 0, 1, 0, 1});
        std::vector<std::int32_t> labels(60, -1);
        labels[0] = 0, labels[1] = 1, labels[2] = 2;
        options.labels = labels;
        EXPECT_TRUE(identical(fit(ctx, view(x, 2), options).events).empty());
        variational_options bayes;
        bayes.components = 3;
        bayes.shape = family::diagonal;
        bayes.max_iterations = 2;
        bayes.start_model = twins({0, 1, 0, 1, 0, 1});
        EXPECT_EQ(identical(fit_variational(ctx, view(x, 2), bayes).events), (std::vector<std::int64_t>{1, 2}));
    }
}

} // namespace
} // namespace elbo::gmm
