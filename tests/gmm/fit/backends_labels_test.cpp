// Partially observed z: labels, sets of allowed components and factors in fits, scores and inference.
#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/gradient.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace elbo::gmm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t dimensions = 2, components = 3, rows = 240;
constexpr double infinity = std::numeric_limits<double>::infinity();
/// float64 densities: (d + 2) roundings of numbers below 500, and what engines may leave out of a sum.
constexpr double density_error = (dimensions + 2) * 500 * 0x1p-53 + 0x1p-24;

std::vector<double> some_rows(double distance = 2) {
    return test::clustered(rows, dimensions, components, distance, 5);
}

/// The cluster that row n was drawn from, for one row of `step`; −1 for the others.
std::vector<std::int32_t> some_labels(std::int64_t step) {
    std::vector<std::int32_t> labels(rows, -1);
    for (std::int64_t n = 0; n < rows; n += step)
        labels[n] = static_cast<std::int32_t>(n % components);
    return labels;
}

std::vector<float> some_factors() {
    std::vector<float> factors(rows * components);
    for (std::int64_t n = 0; n < rows; ++n)
        for (std::int64_t k = 0; k < components; ++k)
            factors[n * components + k] = (n + k) % 4 == 0 ? 0.0F : static_cast<float>(0.25 + test::uniform(4, n + k));
    return factors;
}

model some_model(family f = family::full) {
    return test::random_model({f, dimensions, components}, 1.0, 3);
}

/// log Σ_k π_k α_k N(x_n; k) for row n from models of one component each.
std::vector<double> densities_with(const model& m, const std::vector<double>& x, const std::vector<double>& factors) {
    std::vector<double> sum(rows, 0);
    for (std::int64_t k = 0; k < components; ++k) {
        const std::vector<double> mean(&m.means()[k * dimensions], &m.means()[k * dimensions] + dimensions);
        const model one = model::from_covariances(family::full, dimensions, {1.0}, mean, m.covariance(k));
        const auto own = log_density(context::reference(), one, test::rows_of(x, dimensions));
        for (std::int64_t n = 0; n < rows; ++n)
            sum[n] += factors[n * components + k] * m.weights()[k] * std::exp(own[n]);
    }
    for (double& v : sum)
        v = std::log(v);
    return sum;
}

std::vector<double> factors_of(const std::vector<std::int32_t>& labels) {
    std::vector<double> factors(rows * components);
    for (std::int64_t i = 0; i < rows * components; ++i)
        factors[i] = labels[i / components] < 0 || labels[i / components] == i % components ? 1 : 0;
    return factors;
}

TEST(GmmLabels, EnterDensitiesScoresAndResponsibilities) {
    const std::vector<double> x = some_rows(), w = test::quarter_weights(rows);
    const std::vector<std::int32_t> labels = some_labels(2);
    const std::vector<float> factors = some_factors();
    const std::vector<double> wide(factors.begin(), factors.end());
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)));
            const model m = some_model(f);
            const auto check = [&](const sample_labels& known, const std::vector<double>& pi) {
                const std::vector<double> want = densities_with(m, x, pi);
                const auto got = log_density(ctx, m, test::rows_of(x, dimensions), known);
                double total = 0, weight = 0;
                for (std::int64_t n = 0; n < rows; ++n) {
                    EXPECT_NEAR(got[n], want[n], density_error) << n;
                    total += w[n] * want[n], weight += w[n];
                }
                const score_result s = score(ctx, m, test::rows_of(x, dimensions), w, known);
                EXPECT_NEAR(s.log_likelihood, total / weight, density_error);
                const evidence_terms t = evidence(ctx, m, test::rows_of(x, dimensions), w, known);
                EXPECT_NEAR(t.log_likelihood, total / weight, density_error);
                EXPECT_NEAR(t.elbo, t.log_likelihood, 1e-11);
                EXPECT_NEAR(t.entropy, s.entropy, 8 * density_error);
                const auto r = responsibilities(ctx, m, test::rows_of(x, dimensions), known);
                for (std::size_t i = 0; i < r.size(); ++i)
                    EXPECT_TRUE(pi[i] > 0 || r[i] == 0) << i;
            };
            check(labels, factors_of(labels));
            check(sample_labels::from_factors(matrix_view<const float>(factors.data(), rows, components)), wide);
        }
}

TEST(GmmLabels, KnownRowsAreAssignedWhereTheyAreKnownToBe) {
    const std::vector<double> x = some_rows(0.1);
    const std::vector<std::int32_t> labels = some_labels(1);
    for (const context& ctx : test::contexts()) {
        EXPECT_EQ(assign(ctx, some_model(), test::rows_of(x, dimensions), labels), labels) << ctx.name();
        const std::vector<float> column(labels.begin(), labels.end());
        const auto from_column = sample_labels::from_column(matrix_view<const float>(column.data(), rows, 1));
        EXPECT_EQ(assign(ctx, some_model(), test::rows_of(x, dimensions), from_column), labels) << ctx.name();
    }
}

TEST(GmmLabels, AllLabelsGiveTheClosedFormInOneStep) {
    const std::vector<double> x = some_rows(), w = test::quarter_weights(rows);
    const std::vector<std::int32_t> labels = some_labels(1);
    double total = 0;
    std::vector<double> weight(components, 0), mean(components * dimensions, 0), covariance(components * 4, 0);
    for (std::int64_t n = 0; n < rows; ++n) {
        total += w[n], weight[labels[n]] += w[n];
        for (std::int64_t j = 0; j < dimensions; ++j)
            mean[labels[n] * dimensions + j] += w[n] * x[n * dimensions + j];
    }
    for (std::int64_t i = 0; i < components * dimensions; ++i)
        mean[i] /= weight[i / dimensions];
    for (std::int64_t n = 0; n < rows; ++n)
        for (std::int64_t i = 0; i < 4; ++i)
            covariance[labels[n] * 4 + i] += w[n] / weight[labels[n]] *
                                             (x[n * 2 + i / 2] - mean[labels[n] * 2 + i / 2]) *
                                             (x[n * 2 + i % 2] - mean[labels[n] * 2 + i % 2]);
    for (const context& ctx : test::contexts())
        for (const start_method start :
             {start_method::kmeans, start_method::kmeans_plus_plus, start_method::random, start_method::samples}) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(start)));
            fit_options o{.components = components, .start = start, .restarts = 2, .max_iterations = 2, .tolerance = 0};
            o.relative_regularization = 0;
            o.weights = w;
            o.labels = labels;
            const fit_result r = fit(ctx, test::rows_of(x, dimensions), o);
            // Sums of 240 float64 terms below 100, in fixed point; the frame and back.
            for (std::int64_t k = 0; k < components; ++k)
                EXPECT_NEAR(r.model.weights()[k], weight[k] / total, 1e-13);
            for (std::size_t i = 0; i < mean.size(); ++i)
                EXPECT_NEAR(r.model.means()[i], mean[i], 1e-12);
            const auto c = r.model.covariances();
            for (std::size_t i = 0; i < c.size(); ++i)
                EXPECT_NEAR(c[i], covariance[i], 1e-11);
            EXPECT_NEAR(r.entropy, 0, 1e-12);
        }
}

TEST(GmmLabels, TheChainOfAFitHolds) {
    const std::vector<double> x = some_rows(), w = test::quarter_weights(rows);
    const std::vector<float> x32 = test::as<float>(x), factors = some_factors();
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families)
            for (const bool single : {false, true})
                for (const m_step_method m_step : {m_step_method::closed_form, m_step_method::gradient}) {
                    SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)) + (single ? ", float32" : ", float64"));
                    fit_options o{.components = components, .shape = f, .max_iterations = 6, .tolerance = 0};
                    o.relative_regularization = 0;
                    o.weights = w;
                    o.m_step = m_step;
                    o.labels =
                        f == family::full
                            ? sample_labels(some_labels(3))
                            : sample_labels::from_factors(matrix_view<const float>(factors.data(), rows, components));
                    const fit_result r =
                        fit(ctx, single ? test::rows_of(x32, dimensions) : test::rows_of(x, dimensions), o);
                    // Rounding of float32 densities below 50, and of parameters.
                    const double tolerance = density_error + (single ? (dimensions + 2) * 150 * 0x1p-24 : 0);
                    for (std::size_t t = 0; t < r.trace.size(); ++t) {
                        EXPECT_GE(r.trace[t].elbo_after_m_step, r.trace[t].log_likelihood - tolerance) << t;
                        if (t > 0) {
                            EXPECT_GE(r.trace[t].log_likelihood, r.trace[t - 1].elbo_after_m_step - tolerance) << t;
                        }
                    }
                    const score_result s = score(ctx, r.model, test::rows_of(x, dimensions), w, o.labels);
                    EXPECT_NEAR(r.log_likelihood, s.log_likelihood, tolerance);
                }
}

/// One labelled row for each cluster says which component is which, from every start that looks at labels.
TEST(GmmLabels, FewLabelsNameTheComponents) {
    const std::vector<double> x = some_rows(12);
    const std::vector<std::int32_t> truth = some_labels(1);
    std::vector<std::int32_t> labels(rows, -1);
    for (const std::int64_t n : {100, 131, 171})
        labels[n] = truth[n];
    ASSERT_NE(truth[100], truth[131]);
    ASSERT_NE(truth[100], truth[171]);
    ASSERT_NE(truth[131], truth[171]);
    for (const context& ctx : test::contexts())
        for (const start_method start : {start_method::kmeans, start_method::kmeans_plus_plus, start_method::samples}) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(start)));
            fit_options o{.components = components, .start = start};
            o.labels = labels;
            const model m = fit(ctx, test::rows_of(x, dimensions), o).model;
            EXPECT_EQ(assign(ctx, m, test::rows_of(x, dimensions)), truth);
            // Of a component with no labelled row, k-means++ finds the centre among the others.
            std::vector<std::int32_t> two = labels;
            two[131] = -1;
            o.labels = two;
            if (start != start_method::samples) {
                const model same = fit(ctx, test::rows_of(x, dimensions), o).model;
                EXPECT_EQ(assign(ctx, same, test::rows_of(x, dimensions)), truth);
            }
        }
}

TEST(GmmLabels, SetsOfAllowedComponentsAreFactors) {
    const std::vector<double> x = some_rows(12);
    const std::vector<std::int32_t> truth = some_labels(1);
    std::vector<std::vector<std::int32_t>> allowed(rows);
    for (std::int64_t n = 0; n < rows; ++n)
        if (n % 2 == 0)
            allowed[n] = {truth[n]};
        else if (n % 3 == 0)
            allowed[n] = {truth[n], (truth[n] + 1) % 3};
    for (const context& ctx : test::contexts()) {
        fit_options o{.components = components};
        o.labels = sample_labels::from_sets(allowed, components);
        const model m = fit(ctx, test::rows_of(x, dimensions), o).model;
        EXPECT_EQ(assign(ctx, m, test::rows_of(x, dimensions)), truth) << ctx.name();
    }
}

TEST(GmmLabels, IntegerWeightsAreRepeatedRows) {
    const std::vector<double> x = some_rows();
    const std::vector<std::int32_t> labels = some_labels(4);
    std::vector<double> repeated, weights;
    std::vector<std::int32_t> repeated_labels;
    for (std::int64_t n = 0; n < rows; ++n) {
        weights.push_back(static_cast<double>(n % 3));
        for (std::int64_t i = 0; i < n % 3; ++i) {
            repeated.insert(repeated.end(), {x[2 * n], x[2 * n + 1]});
            repeated_labels.push_back(labels[n]);
        }
    }
    for (const context& ctx : test::contexts()) {
        fit_options o{.components = components, .max_iterations = 5, .tolerance = 0};
        o.start_model = some_model();
        o.labels = repeated_labels;
        const fit_result plain = fit(ctx, test::rows_of(repeated, dimensions), o);
        o.labels = labels;
        o.weights = weights;
        const fit_result weighted = fit(ctx, test::rows_of(x, dimensions), o);
        // Five iterations of rounding.
        EXPECT_NEAR(weighted.log_likelihood, plain.log_likelihood, 5 * density_error);
    }
}

TEST(GmmLabels, StreamedAndResidentRowsGiveTheSameBits) {
    const std::int64_t n = 4096 + 600;
    const std::vector<double> x = test::clustered(n, 2, components, 2, 5);
    std::vector<std::int32_t> labels(n, -1);
    for (std::int64_t i = 0; i < n; i += 5)
        labels[i] = static_cast<std::int32_t>(i % components);
    for (const context& ctx : test::contexts()) {
        fit_options o{.components = components, .max_iterations = 3};
        o.labels = labels;
        const fit_result resident = fit(ctx, test::rows_of(x, 2), o);
        o.memory_limit = 1;
        const fit_result streamed = fit(ctx, test::rows_of(x, 2), o);
        EXPECT_EQ(streamed.model, resident.model) << ctx.name();
        EXPECT_EQ(streamed.log_likelihood, resident.log_likelihood);
    }
}

/// Differences over 2h err by h² f'''/6 and by rounding, f 2⁻⁵³ / h, with f of some hundred nats.
TEST(GmmLabels, TheGradientIsThatOfTheLikelihoodWithLabels) {
    const std::vector<double> x = some_rows();
    const std::vector<std::int32_t> labels = some_labels(3);
    const model m = some_model(family::diagonal);
    const auto value = [&](const std::vector<double>& means) {
        const auto moved =
            model::from_precision_cholesky(m.shape(), dimensions, m.weights(), means, m.precision_cholesky());
        const auto densities = log_density(context::reference(), moved, test::rows_of(x, dimensions), labels);
        return std::accumulate(densities.begin(), densities.end(), 0.0);
    };
    const auto g = gradient(context::reference(), m, test::rows_of(x, dimensions), {}, labels);
    for (std::size_t i = 0; i < m.means().size(); ++i) {
        std::vector<double> up = m.means(), down = m.means();
        up[i] += 1e-4, down[i] -= 1e-4;
        EXPECT_NEAR(g.means[i], (value(up) - value(down)) / 2e-4, 2e-5);
    }
}

TEST(GmmLabels, NamesWhatIsWrong) {
    const std::vector<double> x = some_rows();
    const model m = some_model();
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto messages = [&](const sample_labels& labels) {
            fit_options o{.components = components};
            o.labels = labels;
            const std::string first = test::message_of([&] { fit(ctx, test::rows_of(x, dimensions), o); });
            EXPECT_EQ(test::message_of([&] { score(ctx, m, test::rows_of(x, dimensions), {}, labels); }), first);
            EXPECT_EQ(test::message_of([&] { assign(ctx, m, test::rows_of(x, dimensions), labels); }), first);
            return first;
        };
        std::vector<double> column(rows, -1);
        const auto view = sample_labels::from_column(matrix_view<const double>(column.data(), rows, 1));
        for (const double bad : {1.5, 3.0, -2.0, infinity, std::nan("")}) {
            column[17] = bad;
            EXPECT_THAT(messages(view), AllOf(HasSubstr("labels[17] = "), HasSubstr("from 0 to 2, or -1"))) << bad;
        }
        EXPECT_THAT(messages(std::vector<std::int32_t>(7, 0)),
                    AllOf(HasSubstr("labels has 7 x 1"), HasSubstr("expected 240 x 1")));
        std::vector<double> factors(rows * components, 1);
        const auto wide = sample_labels::from_factors(matrix_view<const double>(factors.data(), rows, components));
        factors[20 * components + 1] = -0.5;
        EXPECT_THAT(messages(wide), AllOf(HasSubstr("labels[20][1] = -0.5"), HasSubstr("at least 0")));
        factors[20 * components + 1] = infinity;
        EXPECT_THAT(messages(wide), HasSubstr("labels[20][1] = inf"));
        std::fill_n(&factors[20 * components], components, 0.0);
        EXPECT_THAT(messages(wide), HasSubstr("labels[20] is 0 for all 3 components"));
        EXPECT_THAT(messages(sample_labels::from_factors(matrix_view<const double>(factors.data(), rows, 2))),
                    AllOf(HasSubstr("labels has 240 x 2"), HasSubstr("expected 240 x 3")));
    }
    EXPECT_THAT(test::message_of([] {
                    sample_labels::from_sets({{0}, {0, 3}}, 3);
                }),
                AllOf(HasSubstr("allowed[1] contains 3"), HasSubstr("from 0 to 2")));
}

} // namespace
} // namespace elbo::gmm
