// Every operation of the engines against the reference, over shapes at and beside the edges of tiles and units.
#include "host/rows/row_feed.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

struct engine_case {
    gmm_shape shape;
    std::int64_t rows;
    bool weighted;
    element_type type;
};

std::string describe(const engine_case& c) {
    return std::string(gmm::to_string(c.shape.family)) + " N=" + std::to_string(c.rows) +
           " d=" + std::to_string(c.shape.dimensions) + " K=" + std::to_string(c.shape.components) +
           (c.weighted ? " weighted" : "") + (c.type == element_type::float32 ? " float32" : " float64");
}

/// Rows for a case, float32 values in any precision, so that both see the same numbers.
struct case_data {
    std::vector<float> x32;
    std::vector<double> x64, weights;
    any_matrix_view view(const engine_case& c) const {
        if (c.type == element_type::float32)
            return matrix_view<const float>(x32.data(), c.rows, c.shape.dimensions);
        return matrix_view<const double>(x64.data(), c.rows, c.shape.dimensions);
    }
    input_rows input(const engine_case& c) const {
        input_rows in{view(c), {}, 1};
        if (c.weighted)
            in.weights = matrix_view<const double>(weights.data(), c.rows, 1);
        return in;
    }
};

case_data make_data(const engine_case& c) {
    case_data data;
    data.x32 = test::as<float>(test::clustered(c.rows, c.shape.dimensions, 3, 1.0, 11));
    data.x64.assign(data.x32.begin(), data.x32.end());
    if (c.weighted)
        data.weights = test::quarter_weights(c.rows);
    return data;
}

void expect_within(double got, double want, double bound, const std::string& what) {
    EXPECT_LE(std::abs(got - want), bound)
        << what << ": got " << got << ", want " << want << ", error/bound " << std::abs(got - want) / bound;
}

void check_case(const context& ctx, const engine_case& c) {
    SCOPED_TRACE(ctx.name() + ": " + describe(c));
    const case_data data = make_data(c);
    const double u = c.type == element_type::float32 ? 0x1p-24 : 0x1p-53;
    const auto engine = gmm::make_engine(ctx, c.shape, gmm::compute_precision::automatic, c.type);
    engine->reserve(c.rows, c.weighted);
    engine->load(data.input(c), test::identity_frame(c.shape.dimensions), 0);
    engine->set_parameters(test::random_parameters(c.shape, 1.0, 21));
    const auto want = test::reference_sums(c.shape, engine->parameters(), data.x64, data.weights, u);

    engine->clear_sums(0x1p40, 0x1p60);
    engine->accumulate(0, c.rows);
    const std::vector<double> got = engine->sums().values();
    ASSERT_EQ(got.size(), want.values.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        expect_within(got[i], want.values[i], want.bounds[i] + 1e-15, "sum " + std::to_string(i));

    std::vector<double> density(c.rows), r(c.rows * c.shape.components);
    std::vector<std::int32_t> label(c.rows);
    engine->infer(0, c.rows,
                  {{density.data(), c.rows, 1}, {r.data(), c.rows, c.shape.components}, {label.data(), c.rows, 1}});
    for (std::int64_t n = 0; n < c.rows; ++n) {
        expect_within(density[n], want.log_density[n], want.log_density_bound[n], "log p of row " + std::to_string(n));
        double sum = 0;
        for (std::int64_t k = 0; k < c.shape.components; ++k) {
            const std::int64_t i = n * c.shape.components + k;
            expect_within(r[i], want.responsibilities[i], want.responsibility_bound[i], "r " + std::to_string(i));
            sum += r[i];
        }
        expect_within(sum, 1, static_cast<double>(c.shape.components + 2) * u + 0x1p-24, "sum of r");
        const double* row = &r[n * c.shape.components];
        EXPECT_EQ(label[n], std::max_element(row, row + c.shape.components) - row) << "row " << n;
        if (testing::Test::HasFailure())
            return;
    }
}

struct sizes {
    std::int64_t rows, d, K;
};

TEST(GmmEngine, MatchesReferenceOverShapes) {
    for (const context& ctx : test::contexts())
        for (const sizes& s : {sizes{1, 1, 1},
                               {1, 3, 2},
                               {31, 2, 2},
                               {32, 1, 3},
                               {33, 5, 4},
                               {63, 4, 8},
                               {65, 16, 7},
                               {257, 17, 9},
                               {127, 33, 3},
                               {100, 64, 5}})
            for (family f : test::all_families)
                for (bool weighted : {false, true}) {
                    check_case(ctx, {{f, s.d, s.K}, s.rows, weighted, element_type::float32});
                    check_case(ctx, {{f, s.d, s.K}, s.rows, weighted, element_type::float64});
                    if (HasFailure())
                        return;
                }
}

TEST(GmmEngine, MatchesReferenceOverLargeShapes) {
    for (const context& ctx : test::contexts_under_test())
        for (const sizes& s : {sizes{1023, 2, 8},
                               {1025, 3, 33},
                               {4095, 7, 5},
                               {4097, 16, 20},
                               {8191, 2, 3},
                               {513, 65, 6},
                               {200, 129, 2},
                               {20, 513, 2},
                               {100, 8, 1000},
                               {2100, 20, 17}})
            for (family f : test::all_families) {
                check_case(ctx, {{f, s.d, s.K}, s.rows, true, element_type::float32});
                if (HasFailure())
                    return;
            }
}

TEST(GmmEngine, BatchesChangeNoBit) {
    const std::int64_t rows = test::slow_device() ? 2 * unit_rows + 300 : 5 * unit_rows + 777;
    for (const context& ctx : test::contexts())
        for (family f : test::all_families)
            for (element_type type : {element_type::float32, element_type::float64}) {
                const engine_case c{{f, 3, 4}, rows, true, type};
                SCOPED_TRACE(ctx.name() + ": " + describe(c));
                const case_data data = make_data(c);
                const auto engine = gmm::make_engine(ctx, c.shape, gmm::compute_precision::automatic, c.type);
                engine->reserve(rows, true);
                engine->set_parameters(test::random_parameters(c.shape, 1.0, 3));
                engine->load(data.input(c), test::identity_frame(3), 0);
                engine->clear_sums(0x1p40, 0x1p60);
                engine->accumulate(0, rows);
                const auto whole = test::carried(engine->sums());
                engine->clear_sums(0x1p40, 0x1p60);
                for (std::int64_t first = 0; first < rows; first += unit_rows) {
                    const std::int64_t count = std::min(unit_rows, rows - first);
                    input_rows in = data.input(c);
                    in.x = in.x.slice(first, count);
                    in.weights = in.weights.slice(first, count);
                    engine->load(in, test::identity_frame(3), 0);
                    engine->accumulate(0, count);
                }
                EXPECT_EQ(test::carried(engine->sums()), whole);
            }
}

/// Parameters after the same update, for matrices of this condition: below 1e3, so Cholesky and inverse lose at most
/// d·cond·2^-53.
void expect_same_parameters(const gmm_parameters& a, const gmm_parameters& b, element_type type) {
    const double tolerance = (type == element_type::float32 ? 0x1p-24 : 0) + 1e-11;
    for (std::size_t i = 0; i < a.means.size(); ++i)
        expect_within(a.means[i], b.means[i], tolerance * (1 + std::abs(b.means[i])), "mean");
    for (std::size_t i = 0; i < a.log_weights.size(); ++i)
        expect_within(a.log_weights[i], b.log_weights[i], 1e-12, "log weight");
    for (std::size_t i = 0; i < a.precision_cholesky.size(); ++i)
        expect_within(a.precision_cholesky[i], b.precision_cholesky[i],
                      tolerance * (1 + std::abs(b.precision_cholesky[i])), "factor " + std::to_string(i));
}

TEST(GmmEngine, UpdateMatchesReference) {
    for (const context& ctx : test::contexts_under_test())
        for (family f : test::all_families)
            for (std::int64_t d : {1, 2, 5, 33, 70})
                for (element_type type : {element_type::float32, element_type::float64}) {
                    const engine_case c{{f, d, 3}, 600, true, type};
                    SCOPED_TRACE(ctx.name() + ": " + describe(c));
                    const case_data data = make_data(c);
                    const auto engine = gmm::make_engine(ctx, c.shape, gmm::compute_precision::automatic, c.type);
                    const auto reference = make_gmm_engine(context::reference(), c.shape, element_type::float64);
                    update_rule rule;
                    rule.lambda.assign(d, 1e-3);
                    for (double w : data.weights)
                        rule.total_weight += w;
                    fixed_sums scatter(scatter_size(c.shape), 0x1p40);
                    for (gmm_engine* e : {engine.get(), reference.get()}) {
                        e->reserve(c.rows, true);
                        e->load(data.input(c), test::identity_frame(d), 0);
                        e->clear_sums(0x1p40, 0x1p60);
                    }
                    engine->set_parameters(test::random_parameters(c.shape, 1.0, 8));
                    reference->set_parameters(engine->parameters());
                    if (gmm::is_tied(f)) {
                        fixed_sums other = scatter;
                        engine->accumulate_scatter(0, c.rows, scatter);
                        reference->accumulate_scatter(0, c.rows, other);
                        const auto got = scatter.values(), want = other.values();
                        for (std::size_t i = 0; i < got.size(); ++i)
                            expect_within(got[i], want[i], 1e-11 * (rule.total_weight * 20 + std::abs(want[i])),
                                          "scatter");
                        rule.scatter = want;
                    }
                    // The same sums into both: what follows is float64 in both, but for the rounding of the results.
                    engine->accumulate(0, c.rows);
                    reference->set_sums(engine->sums());
                    const update_outcome got = engine->update(rule), want = reference->update(rule);
                    ASSERT_EQ(got.events.size(), want.events.size());
                    for (std::size_t i = 0; i < got.events.size(); ++i)
                        EXPECT_EQ(got.events[i].component, want.events[i].component);
                    expect_within(got.log_likelihood, want.log_likelihood, 1e-12 * std::abs(want.log_likelihood), "LL");
                    expect_within(got.elbo_after, want.elbo_after, 1e-10 * std::abs(want.elbo_after), "J");
                    expect_within(got.entropy, want.entropy, 1e-12 * std::abs(want.entropy) + 1e-12, "H");
                    expect_within(got.parameter_change, want.parameter_change, 1e-12, "change");
                    engine->adopt();
                    reference->adopt();
                    expect_same_parameters(engine->parameters(), reference->parameters(), type);
                    if (HasFailure())
                        return;
                }
}

TEST(GmmEngine, CollapsedComponentsFollowThePolicy) {
    // 60 rows near 0; component 1 sits far away and gets nothing; in the full family component 2 sees one repeated row.
    const std::int64_t d = 2;
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::diagonal, family::spherical})
            for (gmm::collapse_policy policy : {gmm::collapse_policy::reseed, gmm::collapse_policy::drop}) {
                SCOPED_TRACE(ctx.name() + std::string(gmm::to_string(f)));
                std::vector<double> x = test::clustered(60, d, 1, 0, 4);
                for (int i = 0; i < 20; ++i)
                    x.push_back(30), x.push_back(30);
                const gmm_shape shape{f, d, 3};
                const auto engine =
                    gmm::make_engine(ctx, shape, gmm::compute_precision::float64, element_type::float64);
                engine->reserve(80, false);
                engine->load({matrix_view<const double>(x.data(), 80, d), {}, 1}, test::identity_frame(d), 0);
                gmm_parameters p{{std::log(0.5), std::log(0.25), std::log(0.25)}, {0, 0, -500, 0, 30, 30}, {}};
                for (int k = 0; k < 3; ++k) {
                    if (f == family::full)
                        p.precision_cholesky.insert(p.precision_cholesky.end(), {1, 0, 0, 1});
                    if (f == family::diagonal)
                        p.precision_cholesky.insert(p.precision_cholesky.end(), {1, 1});
                    if (f == family::spherical)
                        p.precision_cholesky.push_back(1);
                }
                engine->set_parameters(p);
                engine->clear_sums(0x1p40, 0x1p60);
                engine->accumulate(0, 80);
                update_rule rule;
                rule.total_weight = 80;
                rule.lambda.assign(d, 0);
                rule.on_collapse = policy;
                const update_outcome outcome = engine->update(rule);
                ASSERT_EQ(outcome.events.size(), 2u);
                EXPECT_EQ(outcome.events[0].component, 1);
                EXPECT_EQ(outcome.events[0].what, gmm::event::kind::empty);
                EXPECT_EQ(outcome.events[0].action, policy);
                EXPECT_EQ(outcome.events[1].component, 2);
                EXPECT_EQ(outcome.events[1].what, gmm::event::kind::singular);
                EXPECT_EQ(outcome.elbo_after, outcome.log_likelihood);
                engine->adopt();
                for (double v : engine->parameters().means)
                    EXPECT_TRUE(std::isfinite(v));
                for (double v : engine->parameters().precision_cholesky)
                    EXPECT_TRUE(std::isfinite(v));
                const auto weights = engine->parameters().log_weights;
                EXPECT_EQ(std::isinf(weights[1]), policy == gmm::collapse_policy::drop);
                EXPECT_EQ(std::isinf(weights[2]), policy == gmm::collapse_policy::drop);
            }
}

TEST(GmmEngine, SummaryFindsTheFirstBadValueAndMoments) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const std::int64_t rows = unit_rows + 100, d = 3;
        std::vector<float> x = test::as<float>(test::clustered(rows, d, 2, 5, 9));
        const auto engine =
            gmm::make_engine(ctx, {family::full, d, 2}, gmm::compute_precision::automatic, element_type::float32);
        unit_summaries units;
        EXPECT_EQ(engine->summarize({matrix_view<const float>(x.data(), rows, d), {}, 1}, units), -1);
        ASSERT_EQ(units.size(), 2);
        EXPECT_EQ(units[0].weight, unit_rows);
        EXPECT_EQ(units[1].positive, 100);
        double mean = 0, m2 = 0;
        for (std::int64_t n = 0; n < unit_rows; ++n)
            mean += x[n * d + 1] / static_cast<double>(unit_rows);
        for (std::int64_t n = 0; n < unit_rows; ++n)
            m2 += (x[n * d + 1] - mean) * (x[n * d + 1] - mean);
        // 4096 float64 additions of numbers below 30.
        EXPECT_NEAR(units[0].mean[1], mean, 4096 * 0x1p-53 * 30);
        EXPECT_NEAR(units[0].m2[1], m2, 4096 * 0x1p-53 * m2 * 8);
        EXPECT_EQ(units[0].min[1], [&] {
            float least = x[1];
            for (std::int64_t n = 0; n < unit_rows; ++n)
                least = std::min(least, x[n * d + 1]);
            return least;
        }());
        x[(unit_rows + 7) * d + 2] = std::numeric_limits<float>::infinity();
        x[(unit_rows + 5) * d + 1] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(engine->summarize({matrix_view<const float>(x.data(), rows, d), {}, 1}, units),
                  (unit_rows + 5) * d + 1);
    }
}

} // namespace
} // namespace elbo
