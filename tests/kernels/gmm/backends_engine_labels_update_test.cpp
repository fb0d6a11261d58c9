// Updates and whole loops of rows of which something is known, in every engine, against the reference.
#include "elbo/error.hpp"
#include "host/rows/row_feed.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/engine_loop.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/labels.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::accumulate;
using test::expect_within;
using test::inferred;
using test::infinity;
using test::kind_of;
using test::knowledge;
using test::label_kind;
using test::labelled_case;
using test::labelled_rows;
using test::loaded_engine;

update_rule rule_for(const labelled_rows& data, gmm_engine& engine) {
    const std::int64_t d = data.c.shape.dimensions;
    update_rule rule;
    rule.lambda.assign(d, 0);
    for (std::int64_t n = 0; n < data.c.rows; ++n)
        rule.total_weight += data.weight(n);
    if (gmm::is_tied(data.c.shape.family)) {
        fixed_sums scatter(scatter_size(data.c.shape), 0x1p40);
        engine.accumulate_scatter(0, data.c.rows, scatter);
        rule.scatter = scatter.values();
    }
    return rule;
}

// J(q, θ') = Σ w Σ_k r (lp' − log r) with the factors in lp', from the definition; log-likelihood and entropy as well.
// With all labels given q does not depend on θ, so J(q, θ') is the log-likelihood of θ', the maximum.
TEST(GmmEngineLabels, BoundAfterTheMStepIsThatOfTheDefinition) {
    for (const context& ctx : test::contexts())
        for (family f : test::all_families)
            for (knowledge known : {knowledge::all_labels, knowledge::some_labels, knowledge::factors}) {
                const labelled_rows data({{f, 3, 4}, 600, known, true, element_type::float64});
                SCOPED_TRACE(ctx.name() + ": " + test::describe(data.c));
                const auto engine = loaded_engine(ctx, data);
                const update_rule rule = rule_for(data, *engine);
                engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 8));
                accumulate(*engine, data.c.rows);
                const update_outcome got = engine->update(rule);
                ASSERT_TRUE(got.events.empty());
                const inferred before(*engine, data.c.rows);
                engine->adopt();
                const inferred after(*engine, data.c.rows);
                double likelihood = 0, likelihood_after = 0, entropy = 0, bound = 0;
                for (std::int64_t n = 0; n < data.c.rows; ++n) {
                    likelihood += data.weight(n) * before.density[n];
                    likelihood_after += data.weight(n) * after.density[n];
                    for (std::int64_t i = 4 * n; i < 4 * (n + 1); ++i)
                        if (before.r[i] > 0) {
                            entropy -= data.weight(n) * before.r[i] * std::log(before.r[i]);
                            bound += data.weight(n) * before.r[i] * (after.joint[i] - std::log(before.r[i]));
                        }
                }
                // Engines leave shares below 2^-24 / K out of the active set: 2^-24 · |lp| of each row's weight, with
                // |lp| about 20 here; the rest is float64.
                const double tolerance = rule.total_weight * 20 * 0x1p-24;
                expect_within(got.log_likelihood, likelihood, tolerance, "log-likelihood");
                expect_within(got.entropy, entropy, tolerance, "entropy");
                expect_within(got.elbo_after, bound, tolerance, "bound");
                EXPECT_LE(got.log_likelihood, got.elbo_after + tolerance);
                EXPECT_LE(got.elbo_after, likelihood_after + tolerance);
                if (known == knowledge::all_labels)
                    expect_within(got.elbo_after, likelihood_after, tolerance, "maximum");
            }
}

// All labels given: weights and means of the classes after one step.
TEST(GmmEngineLabels, AllLabelsGiveTheClosedForm) {
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            const std::int64_t K = 4, d = 3;
            const labelled_rows data({{f, d, K}, 600, knowledge::all_labels, true, element_type::float64});
            SCOPED_TRACE(ctx.name() + ": " + test::describe(data.c));
            std::vector<double> count(K, 0), mean(K * d, 0);
            for (std::int64_t n = 0; n < data.c.rows; ++n) {
                const std::int64_t k = data.whole[n];
                count[k] += data.weight(n);
                for (std::int64_t j = 0; j < d; ++j)
                    mean[k * d + j] += data.weight(n) * data.x64[n * d + j];
            }
            const auto engine = loaded_engine(ctx, data);
            const update_rule rule = rule_for(data, *engine);
            engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 8));
            accumulate(*engine, data.c.rows);
            engine->update(rule);
            engine->adopt();
            const gmm_parameters p = engine->parameters();
            for (std::int64_t k = 0; k < K; ++k) {
                // Sums of 600 terms of size 1 in float64, each rounded to 2^-53.
                EXPECT_NEAR(std::exp(p.log_weights[k]), count[k] / rule.total_weight, 1e-13);
                for (std::int64_t j = 0; j < d; ++j)
                    EXPECT_NEAR(p.means[k * d + j], mean[k * d + j] / count[k], 1e-13);
            }
        }
}

// The loop of the engine, which on devices is a graph, against that of the reference.
TEST(GmmEngineLabels, LoopMatchesReference) {
    for (const context& ctx : test::contexts_under_test())
        for (family f : {family::full, family::spherical})
            for (knowledge known : {knowledge::some_labels, knowledge::factors}) {
                const labelled_rows data({{f, 2, 3}, 300, known, true, element_type::float64});
                SCOPED_TRACE(ctx.name() + ": " + test::describe(data.c));
                std::vector<std::vector<double>> likelihoods, means;
                for (const context& c : {ctx, context::reference()}) {
                    const auto engine = loaded_engine(c, data);
                    loop_options options;
                    options.max_iterations = 12;
                    options.component_bound = 0x1p40, options.scalar_bound = 0x1p60;
                    options.rule = rule_for(data, *engine);
                    std::vector<double> trace;
                    options.on_iteration = [&](std::int64_t, const update_outcome& o) {
                        trace.push_back(o.log_likelihood / options.rule.total_weight);
                        return true;
                    };
                    engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 8));
                    test::run_loop(*engine, data.c.rows, options);
                    likelihoods.push_back(trace);
                    means.push_back(engine->parameters().means);
                }
                ASSERT_EQ(likelihoods[0].size(), 12u);
                ASSERT_EQ(likelihoods[1].size(), 12u);
                // What lies outside the active set is at most 2^-24 of a row; EM does not make differences larger here.
                for (std::size_t t = 0; t < likelihoods[0].size(); ++t) {
                    EXPECT_NEAR(likelihoods[0][t], likelihoods[1][t], 20 * 0x1p-24) << t;
                    if (t > 0) {
                        EXPECT_GE(likelihoods[0][t], likelihoods[0][t - 1] - 20 * 0x1p-24) << t;
                    }
                }
                for (std::size_t i = 0; i < means[0].size(); ++i)
                    EXPECT_NEAR(means[0][i], means[1][i], 1e-4) << i;
            }
}

} // namespace
} // namespace elbo
