// Rows of which something is known: labels and factors in every engine, against the reference and against the formulas
// written out here.
#include "elbo/error.hpp"
#include "host/rows/row_feed.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
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
        // As for log p in gmm/bounds.hpp; relative to the largest offset, which is taken off and added again.
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
    const std::vector<double> got = engine->sums().values();
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
            engine->infer(0, data.c.rows,
                          {.responsibilities = {r.data(), data.c.rows,
                                                std::ssize(r) / data.c.rows}}); // log-joints need all pairs
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
