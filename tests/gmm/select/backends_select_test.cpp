// Sweeps over components and families: published values, single fits bit for bit, held-out numbers computed another
// way, and everything that can go wrong in a cell.
#include "elbo/error.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/select.hpp"
#include "host/gmm/select/folds.hpp"
#include "host/io/sources.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>

namespace elbo::gmm {
namespace {

using test::faithful;
using test::view;

const select_cell& cell_of(const select_result& r, family shape, std::int64_t k) {
    for (const select_cell& c : r.table)
        if (c.shape == shape && c.components == k)
            return c;
    throw std::out_of_range("no such cell");
}

/// All numbers of two tables but the times.
void expect_same(const select_result& a, const select_result& b) {
    ASSERT_EQ(a.table.size(), b.table.size());
    for (std::size_t i = 0; i < a.table.size(); ++i) {
        SCOPED_TRACE(i);
        const select_cell &x = a.table[i], &y = b.table[i];
        EXPECT_EQ(x.error, y.error);
        EXPECT_EQ(x.log_likelihood, y.log_likelihood);
        EXPECT_EQ(x.bic, y.bic);
        EXPECT_EQ(x.icl, y.icl);
        EXPECT_EQ(x.iterations, y.iterations);
        EXPECT_TRUE(x.held_out == y.held_out || (std::isnan(x.held_out) && std::isnan(y.held_out)));
        EXPECT_TRUE(x.held_out_error == y.held_out_error || std::isnan(x.held_out));
    }
    EXPECT_EQ(a.chosen, b.chosen);
    EXPECT_EQ(a.reason, b.reason);
    EXPECT_EQ(a.best.model, b.best.model);
    EXPECT_EQ(a.best.best_restart, b.best.best_restart);
}

TEST(GmmSelect, FindsThePublishedModelOfOldFaithful) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const select_result r =
            select(ctx, faithful(), {.components = {1, 2, 3}, .families = {family::full, family::tied}});
        // 1e-8 a sample is the default tolerance of the log-likelihood; 272 samples; the published digits end at 1e-6.
        const double tolerance = 2 * (2 * 272e-8 + 1e-6);
        const double n = std::log(272.0);
        EXPECT_NEAR(cell_of(r, family::full, 1).bic, 2 * 1289.796745 + 5 * n, tolerance);
        EXPECT_NEAR(cell_of(r, family::full, 2).bic, 2 * 1130.263960 + 11 * n, tolerance);
        EXPECT_NEAR(cell_of(r, family::tied, 2).bic, 2 * 1140.186759 + 8 * n, tolerance);
        EXPECT_NEAR(cell_of(r, family::tied, 3).bic, 2 * 1126.315928 + 11 * n, tolerance);
        EXPECT_NEAR(cell_of(r, family::tied, 3).aic, 2 * 1126.315928 + 22, tolerance);
        EXPECT_EQ(r.reason, "bic 2314.3 for tied K = 3; next: full K = 2, 2322.2, 7.9 more");
        EXPECT_EQ(r.best.model.shape(), family::tied);
        EXPECT_EQ(r.best.model.components(), 3);
        EXPECT_EQ(r.table[r.chosen].parameters, 11);
        EXPECT_FALSE(r.streamed);
        EXPECT_FALSE(r.interrupted);
    }
}

TEST(GmmSelect, FindsThePublishedModelOfIris) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 2, 3}};
        o.fit.relative_regularization = 1e-9; // iris holds one nearly degenerate direction
        o.fit.restarts = test::slow_device() ? 2 : 4;
        const select_result r = select(ctx, data_source::file(ELBO_TEST_DATA "/iris.csv"), o);
        EXPECT_EQ(r.best.model.components(), 2);
        // What the regularisation leaves: the same as in the test of single fits.
        EXPECT_NEAR(cell_of(r, family::full, 2).bic, 2 * 214.354704 + 29 * std::log(150.0), 2e-4);
        EXPECT_LE(cell_of(r, family::full, 3).bic, 2 * 180.185477 + 44 * std::log(150.0) + 2e-4);
    }
}

TEST(GmmSelect, CellsAreSingleFitsBitForBit) {
    const std::vector<double> x = test::clustered(200, 2, 3, 4, 5);
    std::vector<double> weights(200);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = static_cast<double>(i % 4);
    std::vector<std::int32_t> labels(200, -1);
    labels[3] = 1, labels[7] = 0;
    for (const context& ctx : test::contexts())
        for (const std::string with : {"nothing else", "weights", "a prior", "labels"}) {
            SCOPED_TRACE(ctx.name() + " with " + with);
            select_options o{.components = {2, 3}, .families = {family::full, family::tied_diagonal}};
            o.keep_fits = true;
            o.fit.restarts = 3;
            o.fit.seed = 11;
            o.fit.tolerance = test::slow_device() ? 1e-4 : 1e-8;
            if (with == "weights")
                o.fit.weights = weights;
            if (with == "a prior")
                o.fit.prior = parameter_prior{};
            if (with == "labels")
                o.fit.labels = labels;
            const select_result r = select(ctx, view(x, 2), o);
            for (const select_cell& c : r.table) {
                fit_options one = o.fit;
                one.components = c.components;
                one.shape = c.shape;
                const fit_result alone = fit(ctx, view(x, 2), one);
                ASSERT_TRUE(c.fit.has_value());
                EXPECT_EQ(c.fit->model, alone.model);
                EXPECT_EQ(c.fit->best_restart, alone.best_restart);
                EXPECT_EQ(c.fit->trace.size(), alone.trace.size());
                EXPECT_EQ(c.bic, alone.bic);
                EXPECT_EQ(c.icl, alone.icl);
                EXPECT_EQ(c.iterations, alone.iterations);
                EXPECT_EQ(c.stopped, stop_reason::converged);
            }
        }
}

TEST(GmmSelect, JobsAndThreadsChangeNoBit) {
    const std::vector<double> x = test::clustered(150, 2, 2, 4, 8);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 2, 3}, .by = criterion::cross_validation, .folds = 2};
        o.fit.restarts = 2;
        o.fit.tolerance = test::slow_device() ? 1e-3 : 1e-8;
        const select_result chosen = select(ctx, view(x, 2), o);
        for (const std::int64_t jobs : {1, 3}) {
            o.jobs = jobs;
            const select_result r = select(ctx, view(x, 2), o);
            EXPECT_EQ(r.jobs, jobs);
            expect_same(chosen, r);
        }
        o.jobs = 0;
        if (ctx.where() == backend::cpu)
            for (const int threads : {1, 3})
                expect_same(chosen, select(context::cpu(threads), view(x, 2), o));
    }
}

TEST(GmmSelect, FindsPlantedComponentsByEveryCriterion) {
    // Unit spread at the corners of a triangle, eight apart: two components lose some nats a sample.
    std::vector<double> x = test::clustered(240, 2, 1, 0, 2);
    for (std::size_t n = 0; n < 240; ++n)
        if (n % 3 > 0)
            x[2 * n + n % 3 - 1] += 8;
    for (const context& ctx : test::contexts())
        for (const criterion by :
             {criterion::bic, criterion::icl, criterion::validation, criterion::cross_validation}) {
            if (test::slow_device() && by == criterion::icl)
                continue;
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(by)));
            select_options o{.components = {1, 2, 3, 4}, .families = {family::spherical}, .by = by, .folds = 3};
            o.one_standard_error = is_held_out(by);
            o.fit.tolerance = 1e-5;
            const select_result r = select(ctx, view(x, 2), o);
            EXPECT_EQ(r.best.model.components(), 3) << r.reason;
            EXPECT_EQ(r.by, by);
            // The returned model was fitted to all rows.
            EXPECT_EQ(r.best.samples, 240);
            EXPECT_EQ(r.best.total_weight, 240);
        }
}

/// Rows with their weights, as a copy.
struct row_copy {
    std::vector<double> x, weights;
};

/// The rows of a set, or all others.
row_copy take(const std::vector<double>& x, std::int64_t cols, const std::vector<double>& weights,
              const std::vector<double>& training, bool held_out) {
    row_copy part;
    for (std::size_t i = 0; i < training.size(); ++i) {
        if ((training[i] == 0) != held_out || weights[i] == 0)
            continue;
        part.x.insert(part.x.end(), x.begin() + i * cols, x.begin() + (i + 1) * cols);
        part.weights.push_back(weights[i]);
    }
    return part;
}

TEST(GmmSelect, HeldOutNumbersAreThoseOfFitsToCopiesOfTheRows) {
    const std::vector<double> x = test::clustered(180, 2, 2, 3, 21);
    std::vector<double> weights(180);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = 0.5 * static_cast<double>(i % 4);
    const data_source data = view(x, 2);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {2}, .by = criterion::cross_validation, .folds = 3};
        o.fit.weights = weights;
        o.fit.tolerance = 1e-12;
        o.fit.seed = 4;
        const select_cell cell = select(ctx, data, o).table[0];
        const held_out_rows folds = held_out_rows::cross_validation(data, 3, 4);
        std::vector<double> means;
        double sum = 0, weight = 0;
        for (std::int64_t f = 0; f < 3; ++f) {
            const std::vector<double> marked = folds.training_weights(std::vector<double>(180, 1), f);
            const row_copy training = take(x, 2, weights, marked, false), held_out = take(x, 2, weights, marked, true);
            fit_options one = o.fit;
            one.components = 2;
            one.weights = training.weights;
            const fit_result fitted = fit(ctx, view(training.x, 2), one);
            const score_result s = score(ctx, fitted.model, view(held_out.x, 2), held_out.weights);
            means.push_back(s.log_likelihood);
            sum += s.total_log_likelihood;
            weight += s.total_weight;
        }
        // The frames may differ in rounding, so the parameters by √(1e-12) of a deviation where the likelihood of the
        // training rows is flat; that of other rows is not flat there, but its slope is of order one.
        const double tolerance = 1e-6;
        EXPECT_NEAR(cell.held_out, sum / weight, tolerance);
        double square = 0;
        for (const double m : means)
            square += (m - sum / weight) * (m - sum / weight);
        EXPECT_NEAR(cell.held_out_error, std::sqrt(square / 6), tolerance);
        EXPECT_GT(cell.held_out_error, 0);
    }
}

TEST(GmmSelect, ValidationIsTheScoreOfTheRowsThatASplitTakes) {
    const std::vector<double> x = test::clustered(180, 2, 2, 3, 22);
    const data_source data = view(x, 2);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 2}, .by = criterion::validation, .validation_fraction = 0.3};
        o.fit.tolerance = 1e-12;
        o.fit.seed = 4;
        const select_result r = select(ctx, data, o);
        const io::data_parts parts = io::split(data, 0.3, 4);
        for (const select_cell& cell : r.table) {
            fit_options one = o.fit;
            one.components = cell.components;
            const fit_result fitted = fit(ctx, parts.training, one);
            const std::vector<double> densities = log_density(ctx, fitted.model, parts.validation);
            double mean = 0, square = 0;
            for (const double l : densities)
                mean += l / 54;
            for (const double l : densities)
                square += (l - mean) * (l - mean);
            EXPECT_EQ(densities.size(), 54u);
            EXPECT_NEAR(cell.held_out, mean, 1e-6); // as above
            EXPECT_NEAR(cell.held_out_error, std::sqrt(square) / 54, 1e-6);
        }
    }
}

TEST(GmmSelect, ReadsTheRowsOnceWhereTheyFit) {
    const std::vector<double> x = test::clustered(100, 2, 2, 4, 13);
    std::atomic<std::int64_t> rows_read = 0;
    const data_source generated =
        data_source::generator(100, 2, [&](std::int64_t first, std::int64_t rows, float* out) {
            rows_read += rows;
            for (std::int64_t i = 0; i < rows * 2; ++i)
                out[i] = static_cast<float>(x[first * 2 + i]);
        });
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        rows_read = 0;
        select_options o{.components = {1, 2}, .by = criterion::validation};
        o.fit.tolerance = 1e-3;
        const select_result once = select(ctx, generated, o);
        EXPECT_EQ(rows_read, 100);
        EXPECT_FALSE(once.streamed);
        o.fit.memory_limit = 1; // nothing is kept
        const select_result streamed = select(ctx, generated, o);
        EXPECT_TRUE(streamed.streamed);
        EXPECT_GT(rows_read, 300);
        expect_same(once, streamed);
    }
}

TEST(GmmSelectNames, GoBothWays) {
    for (const criterion c :
         {criterion::bic, criterion::aic, criterion::icl, criterion::validation, criterion::cross_validation})
        EXPECT_EQ(criterion_from_string(to_string(c)), c);
    EXPECT_THROW(criterion_from_string("dic"), invalid_argument);
}

} // namespace
} // namespace elbo::gmm
