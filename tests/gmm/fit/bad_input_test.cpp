// Every wrong argument gets an exception that names it, its value and what was expected.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/statistics.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace elbo::gmm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

template <class E = invalid_argument>
std::string message_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const E& e) {
        return e.what();
    }
    return "no exception";
}

class GmmBadInput : public testing::Test {
protected:
    std::vector<double> x_ = test::clustered(20, 2, 2, 3, 1);
    data_source data() const {
        return matrix_view<const double>(x_.data(), static_cast<std::int64_t>(x_.size()) / 2, 2);
    }
    /// The message of a fit with these options on each back end, which must agree.
    std::string fit_message(const fit_options& options) const {
        std::string message;
        for (const context& ctx : test::contexts()) {
            const std::string one = message_of([&] { fit(ctx, data(), options); });
            EXPECT_TRUE(message.empty() || message == one) << message << "\n" << one;
            message = one;
        }
        return message;
    }
};

TEST_F(GmmBadInput, Options) {
    fit_options o;
    o.components = 0;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("components = 0"), HasSubstr("at least 1")));
    o = {};
    o.components = 21;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("components = 21"), HasSubstr("20"), HasSubstr("distinct rows")));
    o = {};
    o.restarts = 0;
    EXPECT_THAT(fit_message(o), HasSubstr("restarts = 0"));
    o = {};
    o.max_iterations = 0;
    EXPECT_THAT(fit_message(o), HasSubstr("max_iterations = 0"));
    o = {};
    o.tolerance = nan;
    EXPECT_THAT(fit_message(o), HasSubstr("tolerance = nan"));
    o = {};
    o.regularization = -1;
    EXPECT_THAT(fit_message(o), HasSubstr("regularization = -1"));
    o = {};
    o.relative_regularization = infinity;
    EXPECT_THAT(fit_message(o), HasSubstr("relative_regularization = inf"));
}

TEST_F(GmmBadInput, RepeatedRowsCountOnce) {
    x_.assign(40, 1.0);
    x_[0] = 2;
    fit_options o;
    o.components = 3;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("components = 3"), HasSubstr("at most 2")));
    o.components = 2;
    std::vector<double> weights(20, 1.0);
    weights[0] = 0;
    o.weights = weights;
    EXPECT_THAT(fit_message(o), HasSubstr("at most 1"));
}

TEST_F(GmmBadInput, NonFiniteDataNameRowAndColumn) {
    x_[7 * 2 + 1] = nan;
    x_[9 * 2] = infinity;
    EXPECT_THAT(fit_message({}), AllOf(HasSubstr("row 7"), HasSubstr("column 1"), HasSubstr("nan")));
    const model m = model::from_covariances(family::spherical, 2, {1}, {0, 0}, {1});
    for (const context& ctx : test::contexts()) {
        EXPECT_THAT(message_of([&] { log_density(ctx, m, data()); }), HasSubstr("row 7"));
        statistics s(m);
        EXPECT_THAT(message_of([&] { s.accumulate(ctx, data()); }), HasSubstr("row 7"));
        EXPECT_EQ(s.samples(), 0); // nothing was added
        EXPECT_EQ(s.total_weight(), 0);
    }
}

TEST_F(GmmBadInput, ColumnsWhoseVarianceOverflowsAreNamed) {
    for (std::size_t i = 1; i < x_.size(); i += 2)
        x_[i] *= 1e200;
    EXPECT_THAT(fit_message({}), AllOf(HasSubstr("column 1"), HasSubstr("multiply the column by 1e-")));
}

TEST_F(GmmBadInput, Weights) {
    fit_options o;
    std::vector<double> weights(19, 1.0);
    o.weights = weights;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("weights"), HasSubstr("19"), HasSubstr("20")));
    weights.assign(20, 1.0);
    weights[4] = -0.5;
    o.weights = weights;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("weights[4] = -0.5"), HasSubstr("at least 0")));
    weights[4] = nan;
    EXPECT_THAT(fit_message(o), HasSubstr("weights[4] = nan"));
    weights[4] = infinity;
    EXPECT_THAT(fit_message(o), HasSubstr("weights[4] = inf"));
    weights.assign(20, 0.0);
    EXPECT_THAT(fit_message(o), HasSubstr("weights are all 0"));
}

TEST_F(GmmBadInput, EmptyData) {
    x_.clear();
    EXPECT_THAT(fit_message({}), HasSubstr("no rows"));
    EXPECT_THAT(message_of([&] {
                    const double one = 1;
                    fit(context::reference(), matrix_view<const double>(&one, 1, 0), {});
                }),
                HasSubstr("column"));
}

TEST_F(GmmBadInput, ModelsOfOtherShapes) {
    const model m = model::from_covariances(family::spherical, 3, {1}, {0, 0, 0}, {1});
    for (const context& ctx : test::contexts()) {
        EXPECT_THAT(message_of([&] { assign(ctx, m, data()); }),
                    AllOf(HasSubstr("2 columns"), HasSubstr("expected 3")));
        EXPECT_THAT(message_of([&] { score(ctx, m, data()); }), HasSubstr("expected 3"));
        fit_options o;
        o.start_model = m;
        EXPECT_THAT(message_of([&] { fit(ctx, data(), o); }),
                    AllOf(HasSubstr("start_model"), HasSubstr("3 dimensions")));
    }
    fit_options o;
    o.start_model = model::from_covariances(family::spherical, 2, {1}, {0, 0}, {1});
    o.components = 2;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("start_model is spherical with 1"), HasSubstr("full with 2")));
}

TEST_F(GmmBadInput, ThePolicyFailNamesComponentAndIteration) {
    x_.assign(40, 0.0);
    for (int n = 0; n < 20; ++n)
        x_[2 * n] = n % 2, x_[2 * n + 1] = n % 2;
    fit_options o;
    o.components = 2;
    o.relative_regularization = 0;
    o.on_collapse = collapse_policy::fail;
    for (const context& ctx : test::contexts())
        EXPECT_THAT(message_of<error>([&] { fit(ctx, data(), o); }),
                    AllOf(HasSubstr("component"), HasSubstr("iteration"), HasSubstr("singular")));
}

TEST(GmmModel, FromParametersChecksEveryNumber) {
    const auto message = [](std::vector<double> weights, std::vector<double> means, std::vector<double> covariances) {
        return message_of([&] { model::from_covariances(family::full, 2, weights, means, covariances); });
    };
    EXPECT_THAT(message({}, {}, {}), HasSubstr("weights is empty"));
    EXPECT_THAT(message({0.5, 0.4}, {0, 0, 0, 0}, {1, 0, 0, 1, 1, 0, 0, 1}), HasSubstr("sum to 0.9"));
    EXPECT_THAT(message({1.5, -0.5}, {0, 0, 0, 0}, {1, 0, 0, 1, 1, 0, 0, 1}), HasSubstr("weights[1] = -0.5"));
    EXPECT_THAT(message({1}, {0}, {1, 0, 0, 1}), AllOf(HasSubstr("means has 1"), HasSubstr("k x d = 2")));
    EXPECT_THAT(message({1}, {0, nan}, {1, 0, 0, 1}), HasSubstr("means[1] = nan"));
    EXPECT_THAT(message({1}, {0, 0}, {1, 0, 0}), HasSubstr("covariances has 3"));
    EXPECT_THAT(message({1}, {0, 0}, {1, 2, 2, 1}), HasSubstr("component 0 is not positive definite"));
    EXPECT_THAT(message({1}, {0, 0}, {1, 0.5, 0, 1}), HasSubstr("not symmetric"));
    EXPECT_THAT(message_of([] {
                    model::from_precision_cholesky(family::full, 2, {1}, {0, 0}, {1, 0, 1, 1});
                }),
                HasSubstr("below the diagonal"));
    EXPECT_THAT(message_of([] {
                    model::from_precision_cholesky(family::diagonal, 2, {1}, {0, 0}, {1, 0});
                }),
                HasSubstr("positive"));
    EXPECT_THAT(message_of([] { family_from_string("ful"); }), AllOf(HasSubstr("\"ful\""), HasSubstr("tied_diagonal")));
}

TEST(GmmModel, CovariancesRoundTrip) {
    const std::vector<double> covariances = {4, 1, 1, 3, 2, -1, -1, 5};
    const model m = model::from_covariances(family::full, 2, {0.5, 0.5}, {1, 2, 3, 4}, covariances);
    for (std::size_t i = 0; i < covariances.size(); ++i)
        EXPECT_NEAR(m.covariances()[i], covariances[i], 16 * 0x1p-53 * 5); // condition below 4
    EXPECT_NEAR(m.covariance(1)[3], 5, 16 * 0x1p-53 * 5);
    EXPECT_EQ(m.parameters(), 11);
}

TEST(GmmModel, ParameterCountsForFiveDimensionsAndTwoComponents) {
    EXPECT_EQ(parameter_count(family::spherical, 2, 5), 13);
    EXPECT_EQ(parameter_count(family::diagonal, 2, 5), 21);
    EXPECT_EQ(parameter_count(family::tied, 2, 5), 26);
    EXPECT_EQ(parameter_count(family::full, 2, 5), 41);
}

} // namespace
} // namespace elbo::gmm
