// Maximum a posteriori where data say little: repeated rows, empty components, constant columns; and wrong priors.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/statistics.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/map_cases.hpp"
#include "tests/support/sources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace elbo::gmm {
namespace {

using test::view;
using testing::AllOf;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(GmmMap, RepeatedRowsCollapseWithoutAPriorOnly) {
    std::vector<double> x = test::clustered(40, 2, 1, 0, 3);
    for (int n = 0; n < 30; ++n)
        x.insert(x.end(), {6, 6});
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::diagonal, family::spherical}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            fit_options o = map_options(f, 2, {});
            o.on_collapse = collapse_policy::fail;
            const fit_result r = fit(ctx, view(x, 2), o);
            EXPECT_TRUE(r.events.empty());
            EXPECT_TRUE(std::isfinite(r.total_log_likelihood));
            o.prior.reset();
            EXPECT_THROW(fit(ctx, view(x, 2), o), error);
        }
}

TEST(GmmMap, AComponentWithoutSamplesFollowsThePrior) {
    const std::vector<double> x = test::clustered(100, 2, 1, 0, 23);
    const model start =
        model::from_covariances(family::full, 2, {0.5, 0.5}, {0, 0, 100, 100}, {1, 0, 0, 1, 1, 0, 0, 1});
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options o = map_options(family::full, 2, given(family::full));
        o.start_model = start;
        o.max_iterations = 2;
        const fit_result r = fit(ctx, view(x, 2), o);
        EXPECT_TRUE(r.events.empty());
        EXPECT_NEAR(r.model.weights()[1], 0.7 / (100 + 2 * 0.7), 1e-12); // (a − 1) / (W + K (a − 1))
        EXPECT_NEAR(r.model.means()[2], 0.25, 1e-12);
        EXPECT_NEAR(r.model.means()[3], 0.5, 1e-12);
        for (int e = 0; e < 4; ++e)
            EXPECT_NEAR(r.model.covariance(1)[e], (*o.prior->scale)[e] / (5.5 + 4), 1e-12);

        o.prior->concentration = 1; // a flat prior on the weights leaves it the weight 0
        o.max_iterations = 20;
        const fit_result flat = fit(ctx, view(x, 2), o);
        EXPECT_EQ(flat.model.components(), 1);
        expect_chain(flat);
    }
}

TEST(GmmMap, ColumnsThatDoNotVaryStayFinite) {
    std::vector<double> x = test::clustered(50, 3, 2, 4, 29);
    for (int n = 0; n < 50; ++n)
        x[3 * n + 1] = 5;
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const fit_result r = fit(ctx, view(x, 3), map_options(f, 2, {}));
            expect_chain(r);
            EXPECT_NEAR(r.model.means()[1], 5, 1e-12);
        }
    for (int n = 0; n < 50; ++n)
        x[3 * n + 1] = 2 * x[3 * n]; // a singular covariance: its diagonal is the default
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::tied})
            expect_chain(fit(ctx, view(x, 3), map_options(f, 2, {})));
}

TEST(GmmMap, AMixtureOfTheUnitsIsTheSameFit) {
    // Powers of two: scaling changes no bit of the normalised rows.
    const std::vector<double> x = test::clustered(200, 2, 2, 3, 37);
    std::vector<double> scaled = x;
    for (std::size_t e = 0; e < scaled.size(); ++e)
        scaled[e] *= e % 2 == 0 ? 1024 : 0.125;
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::diagonal, family::tied, family::tied_diagonal}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const fit_result r = fit(ctx, view(x, 2), map_options(f, 2, {}));
            const fit_result s = fit(ctx, view(scaled, 2), map_options(f, 2, {}));
            EXPECT_EQ(r.iterations, s.iterations);
            EXPECT_NEAR(s.log_likelihood, r.log_likelihood - std::log(128.0), 1e-12);
            EXPECT_NEAR(s.model.means()[0], 1024 * r.model.means()[0], 1e-9);
        }
}

TEST(GmmMap, StreamingChangesNoBit) {
    const std::vector<double> x = test::clustered(test::slow_device() ? 4200 : 9000, 2, 3, 3, 43);
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::tied, family::spherical}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            fit_options o = map_options(f, 3, {});
            o.max_iterations = 4;
            const fit_result resident = fit(ctx, view(x, 2), o);
            o.memory_limit = 1;
            EXPECT_EQ(fit(ctx, view(x, 2), o).model, resident.model);
        }
}

std::string message_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const invalid_argument& e) {
        return e.what();
    }
    return "no exception";
}

/// Priors changed in one way: what every use of them says.
class GmmWrongPriors : public testing::Test {
protected:
    std::string message(family f, const std::function<void(parameter_prior&)>& change) const {
        parameter_prior p = given(f);
        change(p);
        std::string all;
        for (const context& ctx : test::contexts()) {
            const std::string one = message_of([&] { fit(ctx, view(x_, 2), map_options(f, 2, p)); });
            EXPECT_TRUE(all.empty() || all == one);
            all = one;
        }
        if (f == family::full) {
            statistics s(model_);
            s.accumulate(context::reference(), view(x_, 2));
            EXPECT_EQ(message_of([&] { maximize(s, map_options(f, 2, p)); }), all);
            EXPECT_EQ(message_of([&] { log_prior(model_, p); }), all);
        }
        return all;
    }

    using prior = parameter_prior;
    std::vector<double> x_ = test::clustered(40, 2, 2, 3, 1);
    model model_ = fit(context::reference(), view(x_, 2), map_options(family::full, 2, {})).model;
};

TEST_F(GmmWrongPriors, OfWeightsAndFreedom) {
    EXPECT_THAT(message(family::full, [](prior& p) { p.concentration = 0.5; }),
                AllOf(HasSubstr("prior.concentration = 0.5"), HasSubstr("from 1 to 1e+09")));
    EXPECT_THAT(message(family::full, [](prior& p) { p.concentration = nan; }), HasSubstr("prior.concentration = nan"));
    EXPECT_THAT(message(family::full, [](prior& p) { p.mean_precision = 0; }),
                AllOf(HasSubstr("prior.mean_precision = 0"), HasSubstr("from 1e-30 to 1e+09")));
    EXPECT_THAT(message(family::full, [](prior& p) { p.degrees_of_freedom = 1; }),
                AllOf(HasSubstr("prior.degrees_of_freedom = 1"), HasSubstr("above 1 = dimensions - 1")));
    EXPECT_THAT(message(family::diagonal, [](prior& p) { p.degrees_of_freedom = 0; }), HasSubstr("above 0"));
    // Beyond so many samples the logarithms of gamma functions have no digits left for the bound.
    for (const double many : {1.1e9, 1e300}) {
        EXPECT_THAT(message(family::full, [&](prior& p) { p.concentration = many; }), HasSubstr("to 1e+09"));
        EXPECT_THAT(message(family::full, [&](prior& p) { p.mean_precision = many; }), HasSubstr("to 1e+09"));
        EXPECT_THAT(message(family::full, [&](prior& p) { p.degrees_of_freedom = many; }), HasSubstr("to 1e+09"));
    }
}

TEST_F(GmmWrongPriors, OfTheMean) {
    EXPECT_THAT(message(family::full,
                        [](prior& p) {
                            p.mean = {1, 2, 3};
                        }),
                AllOf(HasSubstr("prior.mean has 3 numbers"), HasSubstr("dimensions = 2")));
    EXPECT_THAT(message(family::full, [](prior& p) { p.mean = {1, nan}; }), HasSubstr("prior.mean[1] = nan"));
    EXPECT_THAT(
        message(family::diagonal,
                [](prior& p) {
                    p.mean = {1, -1e13};
                }),
        AllOf(HasSubstr("prior.mean[1] = -1"), HasSubstr("standard deviations from the mean of matrix 40 x 2")));
    fit_options from_afar = map_options(family::tied_spherical, 1, given(family::tied_spherical));
    from_afar.start_model = model::from_covariances(family::tied_spherical, 2, {1}, {1e300, 0}, {1});
    EXPECT_THAT(message_of([&] { fit(context::reference(), view(x_, 2), from_afar); }),
                HasSubstr("start_model.means[0] = 1e+300"));
}

TEST_F(GmmWrongPriors, OfTheScale) {
    EXPECT_THAT(message(family::full, [](prior& p) { p.scale = {1, 1}; }), HasSubstr("prior.scale has 2 numbers"));
    EXPECT_THAT(message(family::spherical, [](prior& p) { p.scale = {1, 1}; }), HasSubstr("prior.scale has 2 numbers"));
    EXPECT_THAT(message(family::full, [](prior& p) { p.scale = {1, 0.5, 0.4, 1}; }), HasSubstr("not symmetric"));
    EXPECT_THAT(message(family::full, [](prior& p) { p.scale = {1, 2, 2, 1}; }), HasSubstr("not positive definite"));
    EXPECT_THAT(message(family::diagonal, [](prior& p) { p.scale = {1, -1}; }), HasSubstr("prior.scale[1] = -1"));
    prior open = given(family::full);
    open.scale.reset();
    EXPECT_THAT(message_of([&] { log_prior(model_, open); }), HasSubstr("prior.scale is not given"));
    open = given(family::full);
    open.mean.reset();
    EXPECT_THAT(message_of([&] { log_prior(model_, open); }), HasSubstr("prior.mean is not given"));
}

} // namespace
} // namespace elbo::gmm
