// The pure parts of a sweep over models: which cell is the best and why, which fits run side by side, which rows are
// held out.
#include "elbo/error.hpp"
#include "elbo/gmm/select.hpp"
#include "host/gmm/select/folds.hpp"
#include "host/gmm/select/sweep.hpp"
#include "host/io/sources.hpp"
#include "tests/support/data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace elbo::gmm {
namespace {

using testing::HasSubstr;

select_cell cell(family shape, std::int64_t k, std::int64_t parameters, double bic) {
    select_cell c{k, shape};
    c.fitted = true;
    c.components_left = k;
    c.parameters = parameters;
    c.bic = bic;
    return c;
}

select_cell held_out_cell(std::int64_t k, std::int64_t parameters, double value, double error) {
    select_cell c = cell(family::full, k, parameters, 0);
    c.held_out = value;
    c.held_out_error = error;
    return c;
}

TEST(GmmSelectChoice, TakesTheSmallestCriterionAndSaysByHowMuch) {
    const selection s =
        choose({cell(family::full, 2, 11, 2322.2), cell(family::tied, 3, 11, 2314.3)}, criterion::bic, false);
    EXPECT_EQ(s.cell, 1);
    EXPECT_EQ(s.reason, "bic 2314.3 for tied K = 3; next: full K = 2, 2322.2, 7.9 more");
}

TEST(GmmSelectChoice, TakesFewerParametersAtEqualValuesAndThenTheFirst) {
    const std::vector<select_cell> table{cell(family::full, 3, 17, 5), cell(family::tied, 2, 8, 5),
                                         cell(family::diagonal, 2, 8, 5)};
    const selection s = choose(table, criterion::bic, false);
    EXPECT_EQ(s.cell, 1);
    EXPECT_EQ(s.reason, "bic 5.0 for tied K = 2; next: diagonal K = 2, 5.0, the same, with as many parameters");
}

TEST(GmmSelectChoice, PassesOverCellsWithoutAValue) {
    std::vector<select_cell> table{cell(family::full, 1, 5, 10), cell(family::full, 2, 11, 4)};
    table[1].error = "collapsed";
    EXPECT_EQ(choose(table, criterion::bic, false).cell, 0);
    EXPECT_THAT(choose(table, criterion::bic, false).reason, HasSubstr("no other model could be fitted"));
    table[0].error = "collapsed";
    EXPECT_EQ(choose(table, criterion::bic, false).cell, -1);
}

TEST(GmmSelectChoice, NamesSmallDifferencesAndDroppedComponents) {
    std::vector<select_cell> table{cell(family::full, 5, 17, 100), cell(family::full, 2, 11, 100.012)};
    table[0].components_left = 3;
    EXPECT_EQ(choose(table, criterion::bic, false).reason,
              "bic 100.0 for full K = 5 (3 left); next: full K = 2, 100.0, 0.012 more");
}

TEST(GmmSelectChoice, HeldOutValuesAreMadeLarge) {
    const std::vector<select_cell> table{held_out_cell(1, 5, -4.5, 0.02), held_out_cell(2, 11, -4.2, 0.05),
                                         held_out_cell(3, 17, -4.19, 0.05)};
    const selection best = choose(table, criterion::validation, false);
    EXPECT_EQ(best.cell, 2);
    EXPECT_EQ(best.reason,
              "validation -4.1900 ± 0.0500 for full K = 3; next: full K = 2, -4.2000 ± 0.0500, 0.0100 less");
    const selection simple = choose(table, criterion::cross_validation, true);
    EXPECT_EQ(simple.cell, 1);
    EXPECT_EQ(simple.reason,
              "cross_validation -4.2000 ± 0.0500 for full K = 2: 11 parameters, the fewest within one standard error "
              "of the best, full K = 3, -4.1900 ± 0.0500, 17 parameters");
}

TEST(GmmSelectPlan, SmallFitsRunSideBySideAndLargeOnesAlone) {
    EXPECT_FALSE(fills_machine({272, 2, 3}, 2));          // one unit of rows
    EXPECT_FALSE(fills_machine({4096 * 31, 50, 20}, 16)); // 31 units for 16 threads: some wait
    EXPECT_TRUE(fills_machine({4096 * 32, 50, 20}, 16));
    EXPECT_FALSE(fills_machine({4096 * 32, 1, 1}, 16)); // an iteration of microseconds
    EXPECT_TRUE(fills_machine({1000000, 10, 10}, 2));
    EXPECT_TRUE(fills_machine({272, 2, 3}, 1)); // there is nothing beside one thread
}

TEST(GmmSelectPlan, RestartsAreSeparateWhereEveryStartSeesAllRows) {
    EXPECT_TRUE(has_separate_restarts({272, 2, 3}));
    EXPECT_FALSE(has_separate_restarts({10000000, 2, 3}));
}

TEST(GmmSelectPlan, SideBySideIsBoundedByFitsAndMemory) {
    EXPECT_EQ(side_by_side(8, 100, 10, 1000), 8);
    EXPECT_EQ(side_by_side(8, 3, 10, 1000), 3);
    EXPECT_EQ(side_by_side(8, 100, 10, 45), 4);
    EXPECT_EQ(side_by_side(8, 100, 10, 5), 1);
    EXPECT_EQ(side_by_side(8, 100, 0, 5), 5);
}

TEST(GmmSelectPlan, FullCovariancesCostMore) {
    EXPECT_GT(cost({100, 10, 3}, true), cost({100, 10, 4}, false));
}

TEST(GmmSelectFolds, EveryRowIsHeldOutOnceAndTheFoldsAreEven) {
    const std::vector<double> x(103, 1);
    const data_source data = matrix_view<const double>(x.data(), 103, 1);
    for (const std::int64_t folds : {2, 5, 103}) {
        const held_out_rows held_out = held_out_rows::cross_validation(data, folds, 9);
        std::vector<int> times(103, 0);
        for (std::int64_t f = 0; f < folds; ++f) {
            const std::vector<double> training = held_out.training_weights({}, f);
            std::int64_t zeros = 0;
            for (std::size_t i = 0; i < training.size(); ++i)
                if (training[i] == 0)
                    ++zeros, ++times[i];
            EXPECT_GE(zeros, 103 / folds);
            EXPECT_LE(zeros, (103 + folds - 1) / folds);
        }
        EXPECT_EQ(times, std::vector<int>(103, 1));
    }
}

TEST(GmmSelectFolds, AreDrawnByTheSeedWithinRunsOfNeighbours) {
    const std::vector<double> x(50, 1);
    const data_source data = matrix_view<const double>(x.data(), 50, 1);
    const auto rows_of = [&](std::uint64_t seed) {
        return held_out_rows::cross_validation(data, 5, seed).training_weights({}, 0);
    };
    EXPECT_EQ(rows_of(1), rows_of(1));
    EXPECT_NE(rows_of(1), rows_of(2));
    std::set<std::size_t> places; // of the row of fold 0 in its run: not always the same
    const std::vector<double> training = rows_of(1);
    for (std::size_t i = 0; i < training.size(); ++i)
        if (training[i] == 0)
            places.insert(i % 5);
    EXPECT_GE(places.size(), 3u);
}

TEST(GmmSelectFolds, ValidationHoldsOutTheRowsThatASplitTakes) {
    const std::vector<double> x = test::clustered(40, 1, 1, 0, 3);
    const data_source data = matrix_view<const double>(x.data(), 40, 1);
    const std::vector<double> training = held_out_rows::validation(data, 0.25, 7).training_weights({}, 0);
    const data_source parts = io::split(data, 0.25, 7).validation;
    std::vector<double> held_out;
    for (std::size_t i = 0; i < training.size(); ++i)
        if (training[i] == 0)
            held_out.push_back(x[i]);
    const auto reader = parts.read(40);
    const auto view = reader->next().as<double>();
    EXPECT_EQ(held_out, std::vector<double>(view.data, view.data + view.rows));
    EXPECT_EQ(held_out.size(), 10u);
}

TEST(GmmSelectFolds, KeepsWeightsAndRefusesAFoldWithoutThem) {
    const std::vector<double> x(10, 1);
    const data_source data = matrix_view<const double>(x.data(), 10, 1);
    const held_out_rows held_out = held_out_rows::cross_validation(data, 2, 1);
    std::vector<double> weights(10, 2.5);
    const std::vector<double> training = held_out.training_weights(weights, 1);
    for (const double w : training)
        EXPECT_TRUE(w == 0 || w == 2.5);
    EXPECT_NO_THROW(held_out.require_weight(weights));
    for (std::size_t i = 0; i < 10; ++i)
        weights[i] = training[i] > 0 ? 0 : 1;
    EXPECT_THROW(held_out.require_weight(weights), invalid_argument);
}

TEST(GmmSelectFolds, HaveTheWeightsThatWereGiven) {
    // Beside a prior, which counts in samples, a fit to rows that weigh 64 times as much is another one.
    const context ctx = context::reference();
    const std::vector<double> x = test::clustered(60, 1, 2, 4, 5), weights(60, 64.0);
    const data_source data = matrix_view<const double>(x.data(), 60, 1);
    select_options o{.components = {2}, .by = criterion::validation};
    o.fit.weights = weights;
    o.fit.prior.emplace().mean_precision = 20;
    const select_result r = select(ctx, data, o);
    const held_out_rows rows = held_out_rows::validation(data, o.validation_fraction, o.fit.seed);
    const std::vector<double> training = rows.training_weights(weights, 0);
    fit_options one = o.fit;
    one.components = 2;
    one.weights = training;
    one.regularization_variances = r.best.model.regularization_variances();
    EXPECT_DOUBLE_EQ(r.table[0].held_out, rows.score(ctx, fit(ctx, data, one).model, data, weights, 0).mean);
}

} // namespace
} // namespace elbo::gmm
