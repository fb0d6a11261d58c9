// Whole fits against published values (mclust 6.0.0 and scikit-learn 1.2.1 agree on them) and against laws that need no
// number.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/statistics.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::gmm {
namespace {

using test::faithful;
using test::iris;
using test::view;

/// log p(θ_t) ≤ J(q_{t+1}, θ_{t+1}) ≤ log p(θ_{t+1}) to 1e-7 nats a sample, but across an event.
void expect_chain(const fit_result& r) {
    std::vector<bool> event_at(r.trace.size(), false);
    for (const event& e : r.events)
        event_at[e.iteration] = true;
    for (std::size_t t = 0; t < r.trace.size(); ++t) {
        EXPECT_LE(r.trace[t].log_likelihood, r.trace[t].elbo_after_m_step + 1e-7) << "iteration " << t;
        EXPECT_GE(r.trace[t].entropy, -1e-7);
        if (t + 1 == r.trace.size() || event_at[t])
            continue;
        EXPECT_LE(r.trace[t].elbo_after_m_step, r.trace[t + 1].log_likelihood + 1e-7) << "iteration " << t;
    }
}

TEST(GmmFit, ReachesThePublishedOptimaOfOldFaithful) {
    struct published {
        family shape;
        std::int64_t k, parameters;
        double log_likelihood;
    };
    for (const context& ctx : test::contexts())
        for (const published& p :
             {published{family::full, 1, 5, -1289.796745}, published{family::full, 2, 11, -1130.263960},
              published{family::tied, 2, 8, -1140.186759}, published{family::tied, 3, 11, -1126.315928},
              published{family::diagonal, 2, 9, -1147.806353}, published{family::spherical, 2, 7, -1709.529282},
              published{family::tied_spherical, 2, 6, -1709.681373},
              published{family::tied_diagonal, 2, 7, -1157.680012}}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(p.shape)) + " K=" + std::to_string(p.k));
            fit_options options;
            options.components = p.k;
            options.shape = p.shape;
            const fit_result r = fit(ctx, faithful(), options);
            EXPECT_EQ(r.stopped, stop_reason::converged);
            EXPECT_TRUE(r.events.empty());
            // 1e-8 a sample is the default tolerance; 272 samples; the printed digits end at 1e-6.
            EXPECT_NEAR(r.total_log_likelihood, p.log_likelihood, 2 * 272e-8 + 1e-6);
            EXPECT_EQ(r.model.parameters(), p.parameters);
            EXPECT_NEAR(r.bic, -2 * r.total_log_likelihood + p.parameters * std::log(272.0), 1e-9);
            expect_chain(r);
        }
}

TEST(GmmFit, FindsThePublishedParametersOfOldFaithful) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options options;
        options.components = 2;
        options.tolerance = 1e-14;
        options.relative_regularization = 0;
        const fit_result r = fit(ctx, faithful(), options);
        const std::size_t large = r.model.weights()[0] > 0.5 ? 0 : 1, small = 1 - large;
        const auto c = r.model.covariances();
        // The optimum is flat: a gain of 1e-14 nats leaves √(1e-14) ≈ 1e-7 of freedom in the parameters (relative), and
        // EM stops within a geometric rest of it.
        const double tolerance = 2e-6;
        const auto expect_close = [&](double got, double want) { EXPECT_NEAR(got, want, tolerance * std::abs(want)); };
        expect_close(r.model.weights()[large], 0.6441271322);
        expect_close(r.model.means()[2 * large], 4.289661996);
        expect_close(r.model.means()[2 * large + 1], 79.968115453);
        expect_close(r.model.means()[2 * small], 2.036388481);
        expect_close(r.model.means()[2 * small + 1], 54.478516639);
        expect_close(c[4 * large], 0.1699684064);
        expect_close(c[4 * large + 1], 0.9406089464);
        expect_close(c[4 * large + 3], 36.0462071189);
        expect_close(c[4 * small], 0.06916769328);
        expect_close(c[4 * small + 3], 33.6972835464);
    }
}

TEST(GmmFit, ReachesThePublishedOptimaOfIris) {
    for (const context& ctx : test::contexts())
        for (auto [k, want] : {std::pair{2, -214.354704}, std::pair{3, -180.185477}}) {
            SCOPED_TRACE(ctx.name());
            fit_options options;
            options.components = k;
            options.relative_regularization = 1e-9; // iris holds one nearly degenerate direction
            options.restarts = test::slow_device() ? 2 : 4;
            const fit_result r = fit(ctx, iris(), options);
            EXPECT_GE(r.total_log_likelihood, want - 1e-4); // a better optimum than the published one is no mistake
            expect_chain(r);
        }
}

TEST(GmmFit, OneComponentIsTheClosedForm) {
    const std::vector<double> x = test::clustered(500, 3, 4, 2, 31);
    std::vector<double> mean(3, 0), covariance(9, 0);
    for (std::size_t i = 0; i < x.size(); ++i)
        mean[i % 3] += x[i] / 500;
    for (int n = 0; n < 500; ++n)
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j)
                covariance[3 * i + j] += (x[3 * n + i] - mean[i]) * (x[3 * n + j] - mean[j]) / 500;
    for (const context& ctx : test::contexts()) {
        fit_options options;
        options.relative_regularization = 0;
        const fit_result r = fit(ctx, view(x, 3), options);
        for (int j = 0; j < 3; ++j)
            EXPECT_NEAR(r.model.means()[j], mean[j], 1e-12);
        for (int i = 0; i < 9; ++i)
            EXPECT_NEAR(r.model.covariances()[i], covariance[i], 1e-11);
    }
}

TEST(GmmFit, IntegerWeightsAreRepeatedRowsAndWeightZeroIsAnAbsentRow) {
    const std::vector<double> x = test::clustered(240, 2, 3, 4, 17);
    std::vector<double> repeated, weights;
    for (int n = 0; n < 240; ++n) {
        weights.push_back(n % 4);
        for (int i = 0; i < n % 4; ++i)
            repeated.insert(repeated.end(), {x[2 * n], x[2 * n + 1]});
    }
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + std::string(to_string(f)));
            fit_options options;
            options.components = 3;
            options.shape = f;
            const fit_result plain = fit(ctx, view(repeated, 2), options);
            options.weights = weights;
            const fit_result weighted = fit(ctx, view(x, 2), options);
            EXPECT_NEAR(weighted.total_log_likelihood, plain.total_log_likelihood, 2e-8 * 360);
            EXPECT_EQ(weighted.total_weight, static_cast<double>(repeated.size() / 2));
            EXPECT_NEAR(weighted.bic, plain.bic, 1e-5);
            const score_result s = score(ctx, plain.model, view(x, 2), weights);
            EXPECT_NEAR(s.total_log_likelihood, plain.total_log_likelihood, 1e-9 * 360);
        }
}

TEST(GmmFit, ShiftAndScaleChangeTheLikelihoodAsTheyMust) {
    const std::vector<double> x = test::clustered(400, 3, 3, 4, 23);
    std::vector<double> shifted = x, scaled = x;
    for (std::size_t i = 0; i < x.size(); ++i) {
        shifted[i] += i % 3 == 1 ? 1e6 : 0;
        scaled[i] *= i % 3 == 0 ? 1e-6 : i % 3 == 1 ? 1e6 : 1;
    }
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::diagonal, family::tied, family::tied_diagonal}) {
            SCOPED_TRACE(ctx.name() + std::string(to_string(f)));
            fit_options options;
            options.components = 3;
            options.shape = f;
            options.tolerance = 1e-10;
            const fit_result plain = fit(ctx, view(x, 3), options);
            // 1e6 costs the data themselves 20 bits of 53: 1e-10 of a unit.
            EXPECT_NEAR(fit(ctx, view(shifted, 3), options).log_likelihood, plain.log_likelihood, 1e-7);
            // Scales 1e-6 and 1e6 cancel in Σ ln s.
            EXPECT_NEAR(fit(ctx, view(scaled, 3), options).log_likelihood, plain.log_likelihood, 1e-7);
        }
}

TEST(GmmFit, RowOrderAndRotationDoNotMatter) {
    const std::vector<double> x = test::clustered(300, 2, 3, 6, 41);
    std::vector<double> reversed(x.size()), rotated(x.size());
    const double c = std::cos(0.7), s = std::sin(0.7);
    for (int n = 0; n < 300; ++n) {
        reversed[2 * n] = x[2 * (299 - n)], reversed[2 * n + 1] = x[2 * (299 - n) + 1];
        rotated[2 * n] = c * x[2 * n] - s * x[2 * n + 1], rotated[2 * n + 1] = s * x[2 * n] + c * x[2 * n + 1];
    }
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::tied}) {
            SCOPED_TRACE(ctx.name() + std::string(to_string(f)));
            fit_options options;
            options.components = 3;
            options.shape = f;
            options.relative_regularization = 0;
            options.tolerance = 1e-10;
            const double plain = fit(ctx, view(x, 2), options).log_likelihood;
            EXPECT_NEAR(fit(ctx, view(reversed, 2), options).log_likelihood, plain, 1e-8);
            EXPECT_NEAR(fit(ctx, view(rotated, 2), options).log_likelihood, plain, 1e-8);
        }
}

TEST(GmmFit, Float32AgreesWithTheReferenceFromTheSameStart) {
    const std::int64_t rows = test::slow_device() ? 700 : 6000;
    const std::vector<float> x = test::as<float>(test::clustered(rows, 4, 3, 3, 51));
    for (family f : test::all_families) {
        fit_options options;
        options.components = 3;
        options.shape = f;
        options.max_iterations = 30;
        const double want = fit(context::reference(), view(x, 4), options).log_likelihood;
        for (const context& ctx : test::contexts_under_test()) {
            SCOPED_TRACE(ctx.name() + std::string(to_string(f)));
            const fit_result r = fit(ctx, view(x, 4), options);
            EXPECT_NEAR(r.log_likelihood, want, 1e-6);
            expect_chain(r);
        }
    }
}

TEST(GmmFit, IllConditionedClustersStayWithinTheirBound) {
    // Condition 1e6: one direction a thousand times narrower than the other, at 45 degrees.
    std::vector<float> x;
    for (int n = 0; n < 2000; ++n) {
        const double along = test::normal(1, n), across = 1e-3 * test::normal(2, n), side = n % 2 ? 0.02 : -0.02;
        x.push_back(static_cast<float>(along + across + side));
        x.push_back(static_cast<float>(along - across - side));
    }
    fit_options options;
    options.components = 2;
    options.relative_regularization = 1e-12;
    options.max_iterations = 50;
    const double want = fit(context::reference(), view(x, 2), options).log_likelihood;
    for (const context& ctx : test::contexts_under_test())
        EXPECT_NEAR(fit(ctx, view(x, 2), options).log_likelihood, want, 1e-4) << ctx.name();
}

void expect_same_bits(const fit_result& a, const fit_result& b) {
    EXPECT_EQ(a.model, b.model);
    EXPECT_EQ(a.log_likelihood, b.log_likelihood);
    EXPECT_EQ(a.iterations, b.iterations);
}

TEST(GmmFit, BitsDoNotDependOnChunksThreadsStreamingOrStrides) {
    const std::int64_t rows = test::slow_device() ? 9000 : 20011, cols = 3;
    const std::vector<float> x = test::as<float>(test::clustered(rows, cols, 4, 3, 61));
    std::vector<float> wide(rows * 5, -1);
    for (std::int64_t i = 0; i < rows * cols; ++i)
        wide[i / cols * 5 + i % cols] = x[i];
    const auto in_chunks = [&](std::int64_t chunk) {
        std::vector<any_matrix_view> parts;
        for (std::int64_t first = 0; first < rows; first += chunk)
            parts.push_back(matrix_view<const float>(&x[first * cols], std::min(chunk, rows - first), cols));
        return data_source::chunks(parts);
    };
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::tied, family::spherical}) {
            SCOPED_TRACE(ctx.name() + std::string(to_string(f)));
            fit_options options;
            options.components = 4;
            options.shape = f;
            options.max_iterations = 5;
            const fit_result whole = fit(ctx, view(x, cols), options);
            expect_same_bits(fit(ctx, view(x, cols), options), whole);
            expect_same_bits(fit(ctx, in_chunks(rows / 3), options), whole);
            expect_same_bits(fit(ctx, in_chunks(997), options), whole);
            expect_same_bits(
                fit(ctx, matrix_view<const float>(wide.data(), rows, cols, 5, memory_space::host), options), whole);
            fit_options streamed = options;
            streamed.memory_limit = 1;
            EXPECT_TRUE(plan_memory(ctx, in_chunks(997), streamed).streamed);
            expect_same_bits(fit(ctx, in_chunks(997), streamed), whole);
            if (ctx.where() == backend::cpu)
                for (int threads : {1, 7})
                    expect_same_bits(fit(context::cpu(threads), view(x, cols), options), whole);
        }
}

TEST(GmmFit, TroublesomeDataGiveFiniteModels) {
    struct trouble {
        const char* name;
        std::int64_t cols, k;
        std::vector<double> x;
    };
    std::vector<trouble> cases;
    cases.push_back({"one row", 3, 1, {1, 2, 3}});
    std::vector<double> constant = test::clustered(200, 3, 2, 4, 71);
    for (std::size_t i = 1; i < constant.size(); i += 3)
        constant[i] = 42;
    cases.push_back({"constant column", 3, 2, constant});
    std::vector<double> duplicates;
    for (int n = 0; n < 90; ++n)
        duplicates.insert(duplicates.end(), {double(n % 3), double(n % 3 == 1)});
    cases.push_back({"three distinct rows", 2, 3, duplicates});
    cases.push_back({"one dimension", 1, 2, test::clustered(100, 1, 2, 5, 72)});
    std::vector<double> outlier = test::clustered(200, 2, 1, 0, 73);
    outlier[0] = 1e12;
    cases.push_back({"an outlier", 2, 2, outlier});
    std::vector<double> line;
    for (int n = 0; n < 100; ++n)
        line.insert(line.end(), {double(n), 2.0 * n});
    cases.push_back({"exactly collinear", 2, 2, line});
    for (const context& ctx : test::contexts())
        for (const trouble& t : cases)
            for (family f : test::all_families)
                for (double relative : {1e-6, 0.0}) {
                    SCOPED_TRACE(ctx.name() + " " + t.name + " " + std::string(to_string(f)) + " " +
                                 std::to_string(relative));
                    fit_options options;
                    options.components = t.k;
                    options.shape = f;
                    options.relative_regularization = relative;
                    options.max_iterations = 60;
                    const fit_result r = fit(ctx, view(t.x, t.cols), options);
                    for (const iteration_record& i : r.trace)
                        EXPECT_TRUE(std::isfinite(i.log_likelihood) && std::isfinite(i.elbo_after_m_step));
                    for (double v : r.model.means())
                        EXPECT_TRUE(std::isfinite(v));
                    for (double v : r.model.precision_cholesky())
                        EXPECT_TRUE(std::isfinite(v));
                    for (double v : log_density(ctx, r.model, view(t.x, t.cols)))
                        EXPECT_TRUE(std::isfinite(v));
                }
}

TEST(GmmFit, HugeAndTinyWeightsScaleOut) {
    const std::vector<double> x = test::clustered(300, 2, 2, 5, 81);
    for (const context& ctx : test::contexts()) {
        fit_options options;
        options.components = 2;
        const fit_result plain = fit(ctx, view(x, 2), options);
        for (double scale : {0x1p100, 0x1p-100}) {
            options.weights = sample_weights();
            const std::vector<double> weights(300, scale);
            options.weights = weights;
            const fit_result r = fit(ctx, view(x, 2), options);
            EXPECT_EQ(r.model, plain.model);
            EXPECT_NEAR(r.log_likelihood, plain.log_likelihood, 1e-12);
        }
    }
}

TEST(GmmFit, TheCallbackStopsAndTheModelSoFarIsReturned) {
    for (const context& ctx : test::contexts()) {
        fit_options options;
        options.components = 2;
        int calls = 0;
        options.callback = [&](const progress& p) {
            EXPECT_EQ(p.record.iteration, calls);
            return ++calls < 3;
        };
        const fit_result r = fit(ctx, faithful(), options);
        EXPECT_EQ(r.stopped, stop_reason::interrupted);
        EXPECT_GE(r.iterations, 3);
        EXPECT_NEAR(score(ctx, r.model, faithful()).log_likelihood, r.log_likelihood, 1e-9);
    }
}

TEST(GmmFit, EveryStartAndEveryPolicyWorks) {
    const std::vector<double> x = test::clustered(400, 3, 3, 5, 91);
    for (const context& ctx : test::contexts())
        for (start_method start :
             {start_method::kmeans_plus_plus, start_method::kmeans, start_method::random, start_method::samples})
            for (bool greedy : {false, true}) {
                fit_options options;
                options.components = 3;
                options.start = start;
                options.greedy = greedy;
                options.on_collapse = collapse_policy::drop;
                options.max_iterations = 100;
                const fit_result r = fit(ctx, view(x, 3), options);
                expect_chain(r);
                fit_options again = options;
                again.start_model = r.model;
                again.components = r.model.components();
                EXPECT_NEAR(fit(ctx, view(x, 3), again).trace.front().log_likelihood, r.log_likelihood, 1e-9);
            }
}

TEST(GmmFit, ElongatedClustersOnDifferentScalesAreFound) {
    // Two parallel cigars; plain k-means cuts them across.
    std::vector<double> x;
    for (int n = 0; n < 600; ++n) {
        x.push_back(100 * test::normal(5, n));
        x.push_back(0.01 * (test::normal(6, n) + (n % 2 ? 8 : 0)));
    }
    for (const context& ctx : test::contexts()) {
        fit_options options;
        options.components = 2;
        const std::vector<std::int32_t> label = assign(ctx, fit(ctx, view(x, 2), options).model, view(x, 2));
        int mistakes = 0;
        for (int n = 0; n < 600; ++n)
            mistakes += label[n] != label[n % 2];
        EXPECT_LE(mistakes, 2) << ctx.name(); // 8 deviations apart: an error has probability 6e-5 a row
    }
}

} // namespace
} // namespace elbo::gmm
