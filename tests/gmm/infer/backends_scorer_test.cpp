// Sessions of mixtures: the same bits as the functions over data, whatever was asked before and wherever results go.
#include "elbo/error.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/landing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace elbo::gmm {
namespace {

using test::landing;
using test::landing_place;

model some_model(family f, std::int64_t d, std::int64_t k) {
    kernels::gmm_parameters p = test::random_parameters({f, d, k}, 2, 5);
    for (double& w : p.log_weights)
        w = std::exp(w);
    return model::from_precision_cholesky(f, d, p.log_weights, p.means, p.precision_cholesky);
}

/// One call with rows and results at a place.
template <class T>
void check_call(const context& ctx, scorer& session, const model& m, landing_place place, const std::vector<T>& x) {
    const std::int64_t d = m.dimensions(), k = m.components(), n = std::ssize(x) / d;
    SCOPED_TRACE(std::to_string(n) + " rows, " + test::to_string(place));
    landing<T> rows(ctx, place, n, d, x);
    landing<double> density(ctx, place, n, 1), r(ctx, place, n, k);
    landing<std::int32_t> labels(ctx, place, n, 1);
    const any_matrix_view in = rows.view();
    session.infer(in, {density.view(), r.view(), labels.view()});
    const matrix_view<const T> data(x.data(), n, d);
    const std::vector<double> densities = log_density(ctx, m, data);
    EXPECT_EQ(density.values(), densities);
    EXPECT_EQ(r.values(), responsibilities(ctx, m, data));
    EXPECT_EQ(labels.values(), assign(ctx, m, data));

    landing<double> alone(ctx, place, n, 1);
    session.infer(in, {.log_density = alone.view()});
    EXPECT_EQ(alone.values(), densities);
}

TEST(GmmScorer, WritesWhatTheFunctionsReturn) {
    const std::int64_t most = test::slow_device() ? 300 : 2 * kernels::unit_rows + 100;
    for (const context& ctx : test::contexts())
        for (const family f : {family::full, family::tied, family::diagonal, family::spherical}) {
            SCOPED_TRACE(ctx.name() + ", family " + std::to_string(static_cast<int>(f)));
            const model m = some_model(f, 3, 4);
            const std::vector<double> x = test::clustered(most, 3, 4, 3, 11);
            scorer narrow(ctx, m), wide(ctx, m, element_type::float64);
            for (const std::int64_t n : {std::int64_t(1), std::int64_t(37), most, std::int64_t(20)})
                for (const landing_place place : test::landing_places(ctx)) {
                    const std::vector<double> part(x.begin(), x.begin() + 3 * n);
                    check_call(ctx, narrow, m, place, test::as<float>(part));
                    check_call(ctx, wide, m, place, part);
                }
        }
}

/// Labels or factors at a place: the same bits as the functions give with them.
template <class T>
void check_labelled(const context& ctx, scorer& session, const model& m, landing_place place, const std::vector<T>& x,
                    sample_labels::kind kind) {
    const std::int64_t d = m.dimensions(), k = m.components(), n = std::ssize(x) / d;
    SCOPED_TRACE(std::to_string(n) + " labelled rows, " + test::to_string(place));
    const std::int64_t cols = kernels::label_columns(kind, k);
    std::vector<T> known;
    for (std::int64_t i = 0; i < n * cols; ++i)
        known.push_back(static_cast<T>(cols == 1 ? i % (k + 1) - 1 : (i * 7) % 5 + (i % k == 0)));
    landing<T> rows(ctx, place, n, d, x), labels(ctx, place, n, cols, known);
    landing<double> density(ctx, place, n, 1), r(ctx, place, n, k);
    landing<std::int32_t> assignment(ctx, place, n, 1);
    const any_matrix_view where = labels.view();
    const bool factors = kind == sample_labels::kind::factors;
    session.infer(rows.view(), {density.view(), r.view(), assignment.view()},
                  factors ? sample_labels::from_factors(where) : sample_labels::from_column(where));
    const matrix_view<const T> data(x.data(), n, d), given(known.data(), n, cols);
    const sample_labels host = factors ? sample_labels::from_factors(given) : sample_labels::from_column(given);
    EXPECT_EQ(density.values(), log_density(ctx, m, data, host));
    EXPECT_EQ(r.values(), responsibilities(ctx, m, data, host));
    EXPECT_EQ(assignment.values(), assign(ctx, m, data, host));
}

TEST(GmmScorer, TakesLabelsAsTheFunctionsDo) {
    using kind = sample_labels::kind;
    const std::int64_t most = test::slow_device() ? 200 : kernels::unit_rows + 100;
    for (const context& ctx : test::contexts())
        for (const family f : {family::full, family::tied_diagonal}) {
            const model m = some_model(f, 3, 4);
            const std::vector<double> x = test::clustered(most, 3, 4, 3, 11);
            scorer narrow(ctx, m), wide(ctx, m, element_type::float64);
            for (const kind known : {kind::labels, kind::factors, kind::labels})
                for (const landing_place place : test::landing_places(ctx)) {
                    check_labelled(ctx, narrow, m, place, test::as<float>(x), known);
                    check_labelled(ctx, wide, m, place, x, known);
                    check_call(ctx, wide, m, place, x); // and without them as ever
                }
        }
}

TEST(GmmScorer, NamesLabelsThatAreNone) {
    const model m = some_model(family::diagonal, 2, 3);
    const std::vector<float> x{1, 2, 3, 4};
    const matrix_view<const float> rows(x.data(), 2, 2);
    for (const context& ctx : test::contexts())
        for (const landing_place place : test::landing_places(ctx)) {
            scorer session(ctx, m);
            std::vector<double> out(2, -7);
            landing<float> labels(ctx, place, 2, 1, {2, 3}), factors(ctx, place, 2, 3, {1, 1, 1, 0, 0, 0}),
                column(ctx, place, 1, 1, {0});
            const auto message = [&](const sample_labels& known) {
                try {
                    session.infer(rows, {.log_density = {out.data(), 2, 1}}, known);
                } catch (const invalid_argument& e) {
                    return std::string(e.what());
                }
                return std::string("nothing was thrown");
            };
            EXPECT_NE(message(sample_labels::from_column(labels.view())).find("labels[1] = 3"), std::string::npos);
            EXPECT_NE(message(sample_labels::from_factors(factors.view())).find("labels[1] is 0 for all"),
                      std::string::npos);
            EXPECT_NE(message(sample_labels::from_column(column.view())).find("expected 2 x 1"), std::string::npos);
            EXPECT_EQ(out, std::vector<double>(2, -7));
        }
}

TEST(GmmScorer, SamplesAreThoseOfTheFunction) {
    const model m = some_model(family::full, 3, 4);
    const sample_result want = sample(context::reference(), m, 50, 9);
    for (const context& ctx : test::contexts())
        for (const landing_place place : test::landing_places(ctx)) {
            scorer session(ctx, m);
            landing<double> x(ctx, place, 30, 3);
            landing<std::int32_t> labels(ctx, place, 30, 1);
            session.sample(20, 9, x.view(), labels.view());
            EXPECT_EQ(x.values(), std::vector<double>(want.x.begin() + 60, want.x.end()));
            EXPECT_EQ(labels.values(), std::vector<std::int32_t>(want.labels.begin() + 20, want.labels.end()));
        }
}

TEST(GmmScorer, SaysWhatIsWrongBeforeItWrites) {
    const model m = some_model(family::diagonal, 2, 3);
    for (const context& ctx : test::contexts()) {
        scorer session(ctx, m);
        std::vector<float> x{1, 2, 3, 4, 5, std::numeric_limits<float>::quiet_NaN()};
        std::vector<double> out(9, -7);
        const auto message = [&](const any_matrix_view& rows, const scorer::results& to) {
            try {
                session.infer(rows, to);
            } catch (const invalid_argument& e) {
                return std::string(e.what());
            }
            return std::string("nothing was thrown");
        };
        const auto expect_part = [&](const std::string& text, const char* part) {
            EXPECT_NE(text.find(part), std::string::npos) << text;
        };
        const matrix_view<const float> three(x.data(), 3, 2), two(x.data(), 2, 2);
        expect_part(message(three, {.log_density = {out.data(), 3, 1}}), "x: row 2, column 1 is nan: expected finite");
        expect_part(message(matrix_view<const float>(x.data(), 2, 3), {}),
                    "x is 2 x 3 with stride 3: expected 2 columns");
        expect_part(message(two, {.log_density = {out.data(), 3, 1}}), "log_density is 3 x 1");
        expect_part(message(two, {.responsibilities = {out.data(), 2, 2}}), "expected 2 x 3");
        if (ctx.where() != backend::cuda)
            expect_part(message(two, {.log_density = {out.data(), 2, 1, memory_space::device}}),
                        "log_density is in device memory");
        EXPECT_EQ(out, std::vector<double>(9, -7));
        EXPECT_THROW(session.sample(-1, 0, {out.data(), 2, 2}), invalid_argument);
        session.infer(two, {.log_density = {out.data(), 2, 1}}); // and goes on
        EXPECT_EQ(std::vector<double>(out.begin(), out.begin() + 2), log_density(ctx, m, two));
    }
}

} // namespace
} // namespace elbo::gmm
