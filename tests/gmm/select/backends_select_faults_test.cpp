// What can go wrong in a sweep: cells and folds that fail, interruptions, callbacks that throw, bad input.
#include "elbo/error.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/select.hpp"
#include "host/gmm/select/folds.hpp"
#include "host/io/sources.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/sources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>

namespace elbo::gmm {
namespace {

using test::view;
using testing::AllOf;
using testing::HasSubstr;

TEST(GmmSelect, ACellThatFailsStaysInTheTableWithTheReason) {
    std::vector<double> x; // four places, ten rows each
    for (int i = 0; i < 40; ++i)
        x.insert(x.end(), {static_cast<double>(i % 2), static_cast<double>(i / 2 % 2)});
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const select_result r = select(ctx, view(x, 2), {.components = {1, 4, 5}, .families = {family::spherical}});
        EXPECT_TRUE(r.table[0].fitted);
        EXPECT_TRUE(r.table[0].error.empty());
        EXPECT_FALSE(r.table[2].fitted);
        EXPECT_THAT(r.table[2].error, AllOf(HasSubstr("components = 5"), HasSubstr("at most 4")));
        EXPECT_NE(r.chosen, 2);
        try {
            select(ctx, view(x, 2), {.components = {6, 5}});
            FAIL() << "nothing could be fitted";
        } catch (const invalid_argument& e) {
            EXPECT_THAT(e.what(), AllOf(HasSubstr("none of 2 models"), HasSubstr("full with 6 components"),
                                        HasSubstr("components = 6: expected at most 4")));
        }
    }
}

TEST(GmmSelect, AFoldThatFailsLeavesTheOtherNumbers) {
    // Five distinct rows: without one of them four components are the most.
    const std::vector<double> x{0, 1, 2, 4, 8};
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 5}, .by = criterion::cross_validation, .folds = 5};
        o.fit.relative_regularization = 0.1;
        const select_result r = select(ctx, view(x, 1), o);
        EXPECT_EQ(r.chosen, 0);
        EXPECT_TRUE(r.table[1].fitted);
        EXPECT_TRUE(std::isfinite(r.table[1].bic));
        EXPECT_TRUE(std::isnan(r.table[1].held_out));
        EXPECT_THAT(r.table[1].error, AllOf(HasSubstr("held out as set 0"), HasSubstr("at most 4")));
    }
}

TEST(GmmSelect, ACollapseThatMustFailIsTheReasonOfItsCell) {
    // Two equal rows far away: a component of its own is singular without regularisation.
    std::vector<double> x = test::clustered(40, 1, 1, 0, 6);
    x.insert(x.end(), {1000, 1000});
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 2}};
        o.fit.relative_regularization = 0;
        o.fit.on_collapse = collapse_policy::fail;
        const select_result r = select(ctx, view(x, 1), o);
        EXPECT_EQ(r.chosen, 0);
        EXPECT_THAT(r.table[1].error, HasSubstr("component"));
    }
}

TEST(GmmSelect, AnInterruptionKeepsWhatIsFinished) {
    const std::vector<double> x = test::clustered(120, 2, 2, 5, 17);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 2, 3}, .by = criterion::validation, .jobs = 1};
        o.fit.tolerance = 1e-4;
        // The largest model goes first: once its fits are done, the next one is stopped.
        o.callback = [](const select_progress& p) { return p.components == 3; };
        const select_result r = select(ctx, view(x, 2), o);
        EXPECT_TRUE(r.interrupted);
        EXPECT_EQ(r.chosen, 2);
        EXPECT_TRUE(r.table[2].error.empty());
        EXPECT_TRUE(std::isfinite(r.table[2].held_out));
        EXPECT_THAT(r.table[1].error, HasSubstr("interrupted after"));
        EXPECT_THAT(r.table[0].error, HasSubstr("interrupted before"));
        EXPECT_FALSE(r.table[0].fitted);

        o.callback = [](const select_progress&) { return false; };
        const select_result nothing = select(ctx, view(x, 2), o);
        EXPECT_TRUE(nothing.interrupted);
        EXPECT_EQ(nothing.chosen, 2);
        EXPECT_EQ(nothing.best.stopped, stop_reason::interrupted);
        EXPECT_THAT(nothing.reason, HasSubstr("interrupted before a model was finished"));
    }
}

TEST(GmmSelect, TheCallbackIsCalledByOneThreadAtATime) {
    const std::vector<double> x = test::clustered(100, 2, 2, 4, 19);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        select_options o{.components = {1, 2, 3}, .by = criterion::cross_validation, .folds = 2, .jobs = 3};
        o.fit.restarts = 2;
        o.fit.tolerance = 1e-3;
        std::atomic<int> inside = 0;
        std::int64_t calls = 0, most_finished = 0, last_restart = 0;
        std::int64_t whole = 0;
        o.callback = [&](const select_progress& p) {
            EXPECT_EQ(++inside, 1);
            ++calls;
            whole += p.fold == -1;
            most_finished = std::max(most_finished, p.finished);
            last_restart = std::max(last_restart, p.fit.restart);
            EXPECT_EQ(p.fits, 9);
            EXPECT_EQ(p.fit.restarts, 2);
            --inside;
            return true;
        };
        select(ctx, view(x, 2), o);
        EXPECT_GE(calls, 18);
        EXPECT_GT(whole, 0);
        EXPECT_LT(whole, calls);
        EXPECT_GT(most_finished, 0);
        EXPECT_LT(most_finished, 9);
        EXPECT_EQ(last_restart, 1);
    }
}

TEST(GmmSelect, AnErrorOfTheCallbackEndsTheSweep) {
    const std::vector<double> x = test::clustered(60, 1, 2, 4, 19);
    for (const context& ctx : test::contexts()) {
        select_options o{.components = {1, 2}, .jobs = 2};
        o.callback = [](const select_progress&) -> bool { throw std::logic_error("of the caller"); };
        EXPECT_THROW(select(ctx, view(x, 1), o), std::logic_error) << ctx.name();
    }
}

class GmmSelectBadInput : public testing::Test {
protected:
    std::vector<double> x_ = test::clustered(20, 2, 2, 3, 1);
    /// The message of a sweep with these options on each back end, which must agree.
    std::string message(const select_options& o) const {
        std::string message;
        for (const context& ctx : test::contexts()) {
            std::string one = "no exception";
            try {
                select(ctx, view(x_, 2), o);
            } catch (const invalid_argument& e) {
                one = e.what();
            }
            EXPECT_TRUE(message.empty() || message == one) << message << "\n" << one;
            message = one;
        }
        return message;
    }
};

TEST_F(GmmSelectBadInput, OfTheSweep) {
    EXPECT_THAT(message({.components = {}}), HasSubstr("components is empty"));
    EXPECT_THAT(message({.components = {1, 0}}), AllOf(HasSubstr("components[1] = 0"), HasSubstr("at least 1")));
    EXPECT_THAT(message({.components = {2, 3, 2}}), AllOf(HasSubstr("components[2] = 2"), HasSubstr("only once")));
    EXPECT_THAT(message({.families = {}}), HasSubstr("families is empty"));
    EXPECT_THAT(message({.families = {family::tied, family::tied}}), HasSubstr("families[1] = tied"));
    EXPECT_THAT(message({.jobs = -1}), HasSubstr("jobs = -1"));
    EXPECT_THAT(message({.one_standard_error = true}), AllOf(HasSubstr("one_standard_error"), HasSubstr("bic")));
    for (const double fraction : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()})
        EXPECT_THAT(message({.by = criterion::validation, .validation_fraction = fraction}),
                    HasSubstr("validation_fraction = "));
    EXPECT_THAT(message({.by = criterion::validation, .validation_fraction = 0.001}), HasSubstr("0 of the 20 rows"));
    EXPECT_THAT(message({.by = criterion::cross_validation, .folds = 1}), HasSubstr("folds = 1: expected 2 to 20"));
    EXPECT_THAT(message({.by = criterion::cross_validation, .folds = 21}), HasSubstr("folds = 21: expected 2 to 20"));
}

TEST_F(GmmSelectBadInput, OfItsFits) {
    select_options o{.components = {1, 2}};
    o.fit.restarts = 0;
    EXPECT_THAT(message(o), HasSubstr("restarts = 0"));
    o.fit = {};
    o.fit.callback = [](const progress&) { return true; };
    EXPECT_THAT(message(o), HasSubstr("fit.callback"));
    o.fit = {};
    o.fit.start_model = model::from_covariances(family::full, 2, {1}, {0, 0}, {1, 0, 0, 1});
    EXPECT_THAT(message(o), HasSubstr("fit.start_model"));
    o.fit = {};
    o.fit.weights = std::vector<double>(19, 1);
    EXPECT_THAT(message(o), HasSubstr("weights has 19 x 1 numbers"));
    std::vector<double> weights(20, 1);
    weights[7] = -1;
    o.fit.weights = weights;
    EXPECT_THAT(message(o), HasSubstr("weights[7] = -1"));
    // All weight in one row: the other part has none.
    weights.assign(20, 0);
    weights[7] = 1;
    o.fit.weights = weights;
    o.by = criterion::cross_validation;
    EXPECT_THAT(message(o), HasSubstr("held-out rows has weight"));
    o.fit = {};
    o.by = criterion::bic;
    x_[9] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_THAT(message(o), AllOf(HasSubstr("row 4, column 1"), HasSubstr("nan")));
}

} // namespace
} // namespace elbo::gmm
