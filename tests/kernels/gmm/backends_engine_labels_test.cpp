// Rows of which something is known: labels and factors in every engine, against the reference and against the formulas
// written out here.
#include "elbo/error.hpp"
#include "host/rows/row_feed.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/engine_loop.hpp"
#include "tests/support/gmm_bounds.hpp"
#include "tests/support/gmm_cases.hpp"
#include "tests/support/gmm_labels.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::infinity;
using test::kind_of;
using test::knowledge;
using test::label_kind;
using test::labelled_case;
using test::labelled_rows;

std::unique_ptr<gmm_engine> loaded_engine(const context& ctx, const labelled_rows& data) {
    auto engine = gmm::make_engine(ctx, data.c.shape, gmm::compute_precision::automatic, data.c.type);
    test::load(*engine, data);
    return engine;
}

void accumulate(gmm_engine& engine, std::int64_t rows) {
    engine.clear_sums(0x1p40, 0x1p60);
    engine.accumulate(0, rows);
}

/// What infer gives.
struct inferred {
    std::vector<double> density, r, joint;
    std::vector<std::int32_t> label;
    inferred(gmm_engine& engine, std::int64_t rows)
        : density(rows), r(rows * engine.shape.components), joint(rows * engine.shape.components), label(rows) {
        engine.infer(0, rows, density.data(), r.data(), label.data(), joint.data());
    }
};

void expect_within(double got, double want, double bound, const std::string& what) {
    EXPECT_LE(std::abs(got - want), bound)
        << what << ": got " << got << ", want " << want << ", error/bound " << std::abs(got - want) / bound;
}

/// Row n of an inference against lp = log α + log π + log N under p.
void check_row(const labelled_rows& data, const reference::parameters& p, const inferred& got, std::int64_t n,
               double u) {
    const gmm_shape& s = data.c.shape;
    const std::int64_t K = s.components, d = s.dimensions;
    const double* x = &data.x64[n * d];
    const double largest = *std::ranges::max_element(p.offsets);
    double sum = 0, best = -infinity;
    for (std::int64_t k = 0; k < K; ++k) {
        const std::int64_t i = n * K + k;
        const double q = reference::mahalanobis_squared(s, p.values, k, x);
        const double want = p.offsets[k] + data.log_factor(n, k) - q / 2;
        sum += got.r[i];
        best = std::max(best, got.r[i]);
        if (want == -infinity) {
            EXPECT_EQ(got.joint[i], -infinity) << i;
            EXPECT_EQ(got.r[i], 0) << i;
            continue;
        }
        // As for log p in gmm_bounds.hpp; relative to the largest offset, which is taken off and added again.
        const double reach = test::norm(x, d) + test::norm(&p.values.means[k * d], d);
        const double bound = 4 * u *
                             (std::sqrt(q) * test::factor_norm(s, p.values, k) * reach + static_cast<double>(d) + q +
                              std::abs(p.offsets[k]) + std::abs(largest) + std::abs(data.log_factor(n, k)));
        expect_within(got.joint[i], want, bound + 8 * u, "log-joint " + std::to_string(i));
    }
    expect_within(sum, 1, static_cast<double>(K + 2) * u + 0x1p-24, "sum of r");
    EXPECT_EQ(got.r[n * K + got.label[n]], best) << "row " << n;
}

void check_case(const context& ctx, const labelled_case& c) {
    SCOPED_TRACE(ctx.name() + ": " + test::describe(c));
    const labelled_rows data(c);
    const double u = c.type == element_type::float32 ? 0x1p-24 : 0x1p-53;
    const auto engine = loaded_engine(ctx, data);
    engine->set_parameters(test::random_parameters(c.shape, 1.0, 21));
    const auto p = reference::with_offsets(c.shape, engine->parameters());
    const auto want = test::reference_sums(c.shape, p.values, data.x64, data.weights, u, data.known());

    accumulate(*engine, c.rows);
    const std::vector<double> got = test::values_of(engine->sums());
    ASSERT_EQ(got.size(), want.values.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        expect_within(got[i], want.values[i], want.bounds[i] + 1e-15, "sum " + std::to_string(i));

    const inferred result(*engine, c.rows);
    for (std::int64_t n = 0; n < c.rows && !testing::Test::HasFailure(); ++n) {
        expect_within(result.density[n], want.log_density[n], want.log_density_bound[n], "lse " + std::to_string(n));
        for (std::int64_t i = n * c.shape.components; i < (n + 1) * c.shape.components; ++i)
            expect_within(result.r[i], want.responsibilities[i], want.responsibility_bound[i],
                          "r " + std::to_string(i));
        check_row(data, p, result, n, u);
    }
}

struct sizes {
    std::int64_t rows, d, K;
};

TEST(GmmEngineLabels, MatchReferenceOverShapes) {
    for (const context& ctx : test::contexts())
        for (const sizes& s :
             {sizes{1, 1, 1}, {33, 2, 1}, {31, 2, 3}, {33, 4, 8}, {33, 3, 31}, {31, 5, 33}, {257, 17, 4}})
            for (family f : test::all_families)
                for (knowledge known : test::all_knowledge)
                    for (element_type type : {element_type::float32, element_type::float64}) {
                        check_case(ctx, {{f, s.d, s.K}, s.rows, known, s.rows % 2 == 1 && s.d > 2, type});
                        if (HasFailure())
                            return;
                    }
}

TEST(GmmEngineLabels, MatchReferenceOverLargeShapes) {
    for (const context& ctx : test::contexts_under_test())
        for (const sizes& s : {sizes{4097, 2, 5}, {4097, 3, 33}, {1025, 16, 31}})
            for (family f : test::all_families)
                for (knowledge known : {knowledge::some_labels, knowledge::factors}) {
                    if (test::slow_device() && s.K > 5 && f != family::full && f != family::spherical)
                        continue;
                    check_case(ctx, {{f, s.d, s.K}, s.rows, known, true, element_type::float32});
                    if (s.K == 5)
                        check_case(ctx, {{f, s.d, s.K}, s.rows, known, true, element_type::float64});
                    if (HasFailure())
                        return;
                }
}

/// Sums of each of some E-steps of EM: from the second one on engines may leave pairs out.
std::vector<std::vector<std::int64_t>> sums_of_iterations(gmm_engine& engine, const labelled_rows& data) {
    update_rule rule;
    rule.lambda.assign(data.c.shape.dimensions, 1e-3);
    rule.total_weight = static_cast<double>(data.c.rows);
    std::vector<std::vector<std::int64_t>> sums;
    for (int t = 0; t < 4; ++t) {
        accumulate(engine, data.c.rows);
        sums.push_back(test::carried(engine.sums()));
        engine.update(rule);
        engine.adopt();
    }
    return sums;
}

// On the CUDA back end small shapes take another engine when there are labels, whose sums are of another order.
TEST(GmmEngineLabels, UnknownLabelsChangeNoBitOnHosts) {
    for (const context& ctx : {context::reference(), context::cpu(2)})
        for (family f : {family::full, family::diagonal, family::spherical})
            for (element_type type : {element_type::float32, element_type::float64}) {
                const labelled_case c{{f, 16, 12}, 4500, knowledge::no_labels, false, type};
                SCOPED_TRACE(ctx.name() + ": " + test::describe(c));
                const labelled_rows data(c);
                std::vector<std::vector<std::vector<std::int64_t>>> runs;
                for (label_kind kind : {label_kind::none, label_kind::labels, label_kind::factors}) {
                    const auto engine = gmm::make_engine(ctx, c.shape, gmm::compute_precision::automatic, c.type);
                    engine->reserve(c.rows, false, kind);
                    input_rows in = data.input();
                    const std::vector<float> ones(c.rows * c.shape.components, 1);
                    in.label_kind = kind;
                    if (kind == label_kind::factors)
                        in.labels = matrix_view<const float>(ones.data(), c.rows, c.shape.components);
                    engine->load(in, test::identity_frame(c.shape.dimensions), 0);
                    engine->set_parameters(test::random_parameters(c.shape, 3.0, 5));
                    runs.push_back(sums_of_iterations(*engine, data));
                }
                EXPECT_EQ(runs[1], runs[0]);
                EXPECT_EQ(runs[2], runs[0]);
            }
}

// After some passes the CPU engine knows where rows lie and leaves out what no active set can hold; one that begins
// does not. Most labels here name a component far from where it looks.
TEST(GmmEngineLabels, ScreeningChangesNoBit) {
    for (family f : test::all_families)
        for (element_type type : {element_type::float32, element_type::float64}) {
            labelled_rows data({{f, 16, 24}, 4500, knowledge::some_labels, true, type});
            SCOPED_TRACE(test::describe(data.c));
            for (std::size_t i = 0; i < data.x32.size();
                 ++i) { // clusters far apart, so that most pairs can be left out
                const std::int64_t n = static_cast<std::int64_t>(i) / 16, j = static_cast<std::int64_t>(i) % 16;
                data.x32[i] += static_cast<float>(20 * test::normal(31, n % 24 * 16 + j));
                data.x64[i] = data.x32[i];
            }
            const auto engine = loaded_engine(context::cpu(1), data);
            gmm_parameters p = test::random_parameters(data.c.shape, 0.0, 5);
            for (std::size_t i = 0; i < p.means.size(); ++i)
                p.means[i] = 20 * test::normal(31, i);
            engine->set_parameters(p);
            input_rows unlabelled = data.input();
            unlabelled.label_kind = label_kind::none;
            engine->load(unlabelled, test::identity_frame(16), 0);
            for (int pass = 0; pass < 3; ++pass)
                accumulate(*engine, data.c.rows);
            engine->load(data.input(), test::identity_frame(16), 0);
            accumulate(*engine, data.c.rows);
            const auto fresh = loaded_engine(context::cpu(1), data);
            fresh->set_parameters(p);
            accumulate(*fresh, data.c.rows);
            EXPECT_EQ(test::carried(engine->sums()), test::carried(fresh->sums()));
            const inferred screened(*engine, data.c.rows);
            std::vector<double> r(screened.r.size());
            engine->infer(0, data.c.rows, nullptr, r.data(), nullptr); // log-joints need all pairs
            EXPECT_EQ(r, screened.r);
        }
}

// Rows of which nothing is known lie beside labelled ones: what the engine leaves out may not depend on that.
TEST(GmmEngineLabels, BatchesAndThreadsChangeNoBit) {
    const std::int64_t rows = test::slow_device() ? unit_rows + 300 : 3 * unit_rows + 777;
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::tied, family::spherical})
            for (knowledge known : {knowledge::some_labels, knowledge::factors}) {
                const labelled_rows data({{f, 3, 4}, rows, known, true, element_type::float32});
                SCOPED_TRACE(ctx.name() + ": " + test::describe(data.c));
                const auto engine = loaded_engine(ctx, data);
                engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 3));
                accumulate(*engine, rows);
                const auto whole = test::carried(engine->sums());
                engine->clear_sums(0x1p40, 0x1p60);
                for (std::int64_t first = 0; first < rows; first += unit_rows) {
                    const std::int64_t count = std::min(unit_rows, rows - first);
                    input_rows in = data.input();
                    for (any_matrix_view* v : {&in.x, &in.weights, &in.labels})
                        *v = v->slice(first, count);
                    engine->load(in, test::identity_frame(3), 0);
                    engine->accumulate(0, count);
                }
                EXPECT_EQ(test::carried(engine->sums()), whole);
                if (ctx.where() != backend::cpu)
                    continue;
                const auto alone = loaded_engine(context::cpu(1), data);
                alone->set_parameters(engine->parameters());
                accumulate(*alone, rows);
                EXPECT_EQ(test::carried(alone->sums()), whole);
            }
}

// Component 1 has been dropped: rows that may come from it alone are rows without labels, with the same bits.
TEST(GmmEngineLabels, RowsOfDroppedComponentsAreUnknown) {
    constexpr std::int64_t rows = 70, K = 4, d = 3;
    for (const context& ctx : test::contexts())
        for (family f : test::all_families)
            for (element_type type : {element_type::float32, element_type::float64})
                for (label_kind kind : {label_kind::labels, label_kind::factors}) {
                    const gmm_shape shape{f, d, K};
                    const labelled_rows data({shape, rows, knowledge::no_labels, false, type});
                    SCOPED_TRACE(ctx.name() + ": " + test::describe(data.c));
                    gmm_parameters p = test::random_parameters(shape, 1.0, 21);
                    p.log_weights[1] = -infinity;
                    std::vector<float> labels;
                    for (std::int64_t n = 0; n < rows; ++n)
                        for (std::int64_t k = 0; k < label_columns(kind, K); ++k)
                            labels.push_back(kind == label_kind::labels ? 1 : k == 1 ? 0.25f : 0);
                    const auto engine = loaded_engine(ctx, data);
                    engine->set_parameters(p);
                    const inferred want(*engine, rows);
                    accumulate(*engine, rows);
                    const auto sums = test::carried(engine->sums());

                    input_rows in = data.input();
                    in.labels = matrix_view<const float>(labels.data(), rows, label_columns(kind, K));
                    in.label_kind = kind;
                    engine->reserve(rows, false, kind);
                    engine->load(in, test::identity_frame(d), 0);
                    const inferred got(*engine, rows);
                    accumulate(*engine, rows);
                    EXPECT_EQ(got.density, want.density);
                    EXPECT_EQ(got.r, want.r);
                    EXPECT_EQ(got.joint, want.joint);
                    EXPECT_EQ(got.label, want.label);
                    EXPECT_EQ(test::carried(engine->sums()), sums);
                    for (std::int64_t n = 0; n < rows; ++n)
                        EXPECT_EQ(got.joint[n * K + 1], -infinity);
                }
}

TEST(GmmEngineLabels, RowsWithoutMemoryForLabelsAndLabelsWithoutRowsAreUnknown) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const labelled_rows data({{family::diagonal, 2, 3}, 40, knowledge::all_labels, false, element_type::float64});
        const auto engine = gmm::make_engine(ctx, data.c.shape, gmm::compute_precision::automatic, data.c.type);
        engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 21));
        input_rows without = data.input();
        without.labels = {};
        without.label_kind = label_kind::none;
        engine->reserve(40, false);
        engine->load(without, test::identity_frame(2), 0);
        const std::vector<double> want = inferred(*engine, 40).r;
        engine->load(data.input(), test::identity_frame(2), 0);
        EXPECT_EQ(inferred(*engine, 40).r, want);
        for (label_kind kind : {label_kind::labels, label_kind::factors}) {
            engine->reserve(40, false, kind);
            engine->load(without, test::identity_frame(2), 0);
            EXPECT_EQ(inferred(*engine, 40).r, want);
        }
        test::load(*engine, data);
        EXPECT_NE(inferred(*engine, 40).r, want);
    }
}

update_rule rule_for(const labelled_rows& data, gmm_engine& engine) {
    const std::int64_t d = data.c.shape.dimensions;
    update_rule rule;
    rule.lambda.assign(d, 0);
    for (std::int64_t n = 0; n < data.c.rows; ++n)
        rule.total_weight += data.weight(n);
    if (gmm::is_tied(data.c.shape.family)) {
        const std::int64_t size = data.c.shape.family == family::tied            ? d * (d + 1) / 2
                                  : data.c.shape.family == family::tied_diagonal ? d
                                                                                 : 1;
        fixed_sums scatter{std::vector<std::int64_t>(limb_count * size, 0), fixed_exponent(0x1p40), 0};
        engine.accumulate_scatter(0, data.c.rows, scatter);
        for (std::int64_t i = 0; i < size; ++i) {
            const std::int64_t limbs[] = {scatter.limbs[i], scatter.limbs[size + i], scatter.limbs[2 * size + i]};
            rule.scatter.push_back(join_fixed(limbs, scatter.component_exponent));
        }
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

TEST(GmmEngineLabels, MemoryForLabelsIsPlanned) {
    const gmm_shape shape{family::full, 3, 5};
    for (const context& ctx : test::contexts()) {
        const auto engine = gmm::make_engine(ctx, shape, gmm::compute_precision::float64, element_type::float64);
        const std::int64_t rows = 10 * unit_rows, plain = engine->bytes_needed(rows, true);
        EXPECT_EQ(engine->bytes_needed(rows, true, label_kind::none), plain);
        // Four bytes for a label, eight for each factor; a device has a buffer to take them through, too.
        const bool staged = ctx.where() == backend::cuda;
        const std::int64_t labels = engine->bytes_needed(rows, true, label_kind::labels) - plain;
        const std::int64_t factors = engine->bytes_needed(rows, true, label_kind::factors) - plain;
        EXPECT_EQ(labels, rows * (4 + (staged ? 8 : 0)));
        EXPECT_EQ(factors, rows * 5 * (8 + (staged ? 8 : 0)));
    }
}

TEST(GmmEngineLabels, LabelsInDeviceMemoryAreRefusedOnHosts) {
    const labelled_rows data({{family::full, 2, 3}, 40, knowledge::all_labels, false, element_type::float32});
    const auto engine = loaded_engine(context::cpu(2), data);
    engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 8));
    const std::vector<double> before = inferred(*engine, 40).joint;
    input_rows in = data.input();
    in.labels.space = memory_space::device;
    try {
        engine->load(in, {{1, 1}, {2, 2}}, 0);
        FAIL() << "expected invalid_argument";
    } catch (const invalid_argument& e) {
        EXPECT_NE(std::string(e.what()).find("labels is in device memory"), std::string::npos) << e.what();
    }
    EXPECT_EQ(inferred(*engine, 40).joint, before);
}

} // namespace
} // namespace elbo
