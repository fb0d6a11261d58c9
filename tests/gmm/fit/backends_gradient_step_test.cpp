// Generalised EM: ascent steps on Q in place of its maximum.
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/gradient.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace elbo::gmm {
namespace {

using testing::HasSubstr;

constexpr std::int64_t dimensions = 3, components = 3, rows = 200;

/// Columns of weighted variance 1, so that the frame of a fit has scale 1.
std::vector<double> standardized(std::vector<double> x, const std::vector<double>& w) {
    for (std::int64_t j = 0; j < dimensions; ++j) {
        double total = 0, mean = 0, square = 0;
        for (std::int64_t n = 0; n < rows; ++n)
            total += w[n], mean += w[n] * x[n * dimensions + j];
        mean /= total;
        for (std::int64_t n = 0; n < rows; ++n)
            square += w[n] * std::pow(x[n * dimensions + j] - mean, 2);
        for (std::int64_t n = 0; n < rows; ++n)
            x[n * dimensions + j] /= std::sqrt(square / total);
    }
    return x;
}

std::vector<double> some_rows(double distance = 1.5) {
    return test::clustered(rows, dimensions, components, distance, 5);
}

fit_options with_gradient(family f, gradient_steps steps) {
    fit_options o{.components = components, .shape = f};
    o.start_model = test::random_model({f, dimensions, components}, 1.0, 3);
    o.tolerance = 0;
    o.relative_regularization = 0;
    o.m_step = m_step_method::gradient;
    o.gradient = steps;
    return o;
}

bool has_matrix(family f) {
    return f == family::full || f == family::tied;
}

/// Model after one step of rate η against θ + η ∇ log p / W. Errors: those of the gradient in the engine, a sum over
/// the rows of terms below 1e3 of which 2⁻²⁴ may be left out, times η / W; then rounding of the parameters.
TEST(GmmGradientStep, OneSmallStepIsGradientAscentOnTheLogLikelihood) {
    const std::vector<double> w = test::quarter_weights(rows), x = standardized(some_rows(), w);
    constexpr double rate = 1e-3, tolerance = rate * 1e3 * 0x1p-24 + 1e-13;
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)));
            fit_options o = with_gradient(f, {.steps = 1, .rate = rate, .backtracking = false});
            o.max_iterations = 2;
            o.weights = w;
            const model &from = *o.start_model, to = fit(ctx, test::rows_of(x, dimensions), o).model;
            const auto g = gradient(context::reference(), from, test::rows_of(x, dimensions), w);
            double total = 0;
            for (const double one : w)
                total += one;
            const auto moved = [&](double before, double slope) { return before + rate * slope / total; };
            double sum = 0;
            for (std::int64_t k = 0; k < components; ++k)
                sum += std::exp(moved(std::log(from.weights()[k]), g.logits[k]));
            for (std::int64_t k = 0; k < components; ++k)
                EXPECT_NEAR(to.weights()[k], std::exp(moved(std::log(from.weights()[k]), g.logits[k])) / sum,
                            tolerance);
            for (std::size_t i = 0; i < g.means.size(); ++i)
                EXPECT_NEAR(to.means()[i], moved(from.means()[i], g.means[i]), tolerance);
            for (std::size_t i = 0; i < g.precision_cholesky.size(); ++i) {
                const double before = from.precision_cholesky()[i], after = to.precision_cholesky()[i];
                const auto at = static_cast<std::int64_t>(i);
                if (has_matrix(f) && at / dimensions % dimensions != at % dimensions)
                    EXPECT_NEAR(after, moved(before, g.precision_cholesky[i]), tolerance);
                else
                    EXPECT_NEAR(std::log(after), moved(std::log(before), g.precision_cholesky[i]), 2 * tolerance);
            }
        }
}

/// Multiplying columns by powers of two multiplies the frame, in which all steps are taken.
TEST(GmmGradientStep, DoesNotDependOnTheUnitsOfTheColumns) {
    const std::vector<double> x = some_rows();
    std::vector<double> scaled = x;
    for (std::size_t i = 0; i < x.size(); ++i)
        scaled[i] *= i % dimensions == 1 ? 1024 : 1;
    for (const context& ctx : test::contexts()) {
        fit_options o = with_gradient(family::full, {.steps = 2});
        o.max_iterations = 5;
        const model plain = fit(ctx, test::rows_of(x, dimensions), o).model;
        std::vector<double> means = o.start_model->means(), u = o.start_model->precision_cholesky();
        for (std::int64_t i = 0; i < components * dimensions; ++i)
            means[i] *= i % dimensions == 1 ? 1024 : 1;
        for (std::size_t i = 0; i < u.size(); ++i)
            u[i] /= static_cast<std::int64_t>(i) / dimensions % dimensions == 1 ? 1024 : 1;
        o.start_model = model::from_precision_cholesky(family::full, dimensions, o.start_model->weights(), means, u);
        const model other = fit(ctx, test::rows_of(scaled, dimensions), o).model;
        for (std::size_t i = 0; i < means.size(); ++i)
            EXPECT_DOUBLE_EQ(other.means()[i], plain.means()[i] * (i % dimensions == 1 ? 1024 : 1));
    }
}

/// From near the optimum, since far from it the two may choose different ones. Both stop when less than 1e-12 nats is
/// still to come by the decay of their gains, which for steps along gradients is not the same in all directions: 1e-9
/// leaves room for directions that decay a thousand times slower.
TEST(GmmGradientStep, ReachesTheOptimumOfTheClosedForm) {
    const std::vector<double> x = some_rows(6), w = test::quarter_weights(rows);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            if (ctx.where() == backend::cuda && test::slow_device() && f != family::full && f != family::tied_diagonal)
                continue;
            for (const double lambda : {0.0, 0.05}) {
                SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)) + ", lambda " + std::to_string(lambda));
                fit_options o{.components = components, .shape = f, .max_iterations = 2};
                o.weights = w;
                o.regularization = lambda;
                o.start_model = fit(ctx, test::rows_of(x, dimensions), o).model;
                o.max_iterations = 10000;
                o.tolerance = 1e-12;
                const fit_result closed = fit(ctx, test::rows_of(x, dimensions), o);
                o.m_step = m_step_method::gradient;
                o.gradient.steps = 10;
                const fit_result ascent = fit(ctx, test::rows_of(x, dimensions), o);
                EXPECT_EQ(ascent.stopped, stop_reason::converged);
                EXPECT_GT(ascent.iterations, 3);
                EXPECT_NEAR(ascent.log_likelihood, closed.log_likelihood, 1e-9);
                EXPECT_TRUE(ascent.events.empty());
            }
        }
}

TEST(GmmGradientStep, TheBoundNeverDecreases) {
    const std::vector<double> x = some_rows();
    const std::vector<float> x32 = test::as<float>(x);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families)
            for (const bool single : {false, true}) {
                SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)) + (single ? ", float32" : ", float64"));
                fit_options o = with_gradient(f, {.steps = 2, .rate = 64});
                o.max_iterations = 30;
                const fit_result r =
                    fit(ctx, single ? test::rows_of(x32, dimensions) : test::rows_of(x, dimensions), o);
                // What engines may leave out of a mean log-likelihood; float32 rounds (d + 2) times densities below
                // 50, and parameters to 2⁻²⁴, which moves the bound by its slope, here below 100, times as much.
                const double tolerance = (single ? (dimensions + 2) * 150 * 0x1p-24 : 0) + 0x1p-24;
                for (std::size_t t = 0; t < r.trace.size(); ++t) {
                    EXPECT_GE(r.trace[t].elbo_after_m_step, r.trace[t].log_likelihood - tolerance) << t;
                    if (t > 0) {
                        EXPECT_GE(r.trace[t].log_likelihood, r.trace[t - 1].elbo_after_m_step - tolerance) << t;
                    }
                }
                EXPECT_GT(r.trace.back().log_likelihood, r.trace.front().log_likelihood + 0.1);
            }
}

TEST(GmmGradientStep, StreamedAndResidentRowsGiveTheSameBits) {
    const std::int64_t n = 4096 + 500;
    const std::vector<double> x = test::clustered(n, 2, 2, 3, 5);
    for (const context& ctx : test::contexts()) {
        fit_options o{.components = 2, .max_iterations = 4, .m_step = m_step_method::gradient};
        o.start = start_method::samples;
        const fit_result resident = fit(ctx, test::rows_of(x, 2), o);
        o.memory_limit = 1;
        EXPECT_EQ(fit(ctx, test::rows_of(x, 2), o).model, resident.model) << ctx.name();
    }
}

TEST(GmmGradientStep, ComponentsWithoutSamplesFollowThePolicy) {
    const std::vector<double> x = some_rows();
    const model start = test::random_model({family::full, dimensions, components}, 1.0, 3);
    std::vector<double> means = start.means();
    means[0] = 1e5; // no row is near
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options o = with_gradient(family::full, {});
        o.start_model = model::from_precision_cholesky(family::full, dimensions, start.weights(), means,
                                                       start.precision_cholesky());
        o.max_iterations = 10;
        const fit_result reseeded = fit(ctx, test::rows_of(x, dimensions), o);
        ASSERT_EQ(reseeded.events.size(), 1);
        EXPECT_EQ(reseeded.events[0].component, 0);
        EXPECT_EQ(reseeded.events[0].what, event::kind::empty);
        EXPECT_EQ(reseeded.model.components(), components);
        o.on_collapse = collapse_policy::drop;
        EXPECT_EQ(fit(ctx, test::rows_of(x, dimensions), o).model.components(), components - 1);
        o.on_collapse = collapse_policy::fail;
        EXPECT_THAT(test::message_of<error>([&] { fit(ctx, test::rows_of(x, dimensions), o); }),
                    HasSubstr("component 0 became empty in iteration 0"));
    }
}

/// A component on one row that is there five times: its variance goes to zero, and the likelihood would go to infinity.
TEST(GmmGradientStep, ASingularComponentIsReported) {
    std::vector<double> x = some_rows();
    for (int repeat = 0; repeat < 5; ++repeat)
        x.insert(x.end(), {9, 9, 9});
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options o = with_gradient(family::full, {.steps = 20});
        o.components = 2;
        o.start_model = model::from_covariances(family::full, dimensions, {0.9, 0.1}, {0, 0, 0, 9, 9, 9},
                                                {4, 0, 0, 0, 4, 0, 0, 0, 4, 1, 0, 0, 0, 1, 0, 0, 0, 1});
        o.max_iterations = test::slow_device() ? 300 : 2000;
        o.on_collapse = collapse_policy::drop;
        const fit_result r = fit(ctx, test::rows_of(x, dimensions), o);
        ASSERT_EQ(r.events.size(), 1);
        EXPECT_EQ(r.events[0].what, event::kind::singular);
        EXPECT_EQ(r.model.components(), 1);
        for (const iteration_record& record : r.trace)
            EXPECT_TRUE(std::isfinite(record.log_likelihood) && std::isfinite(record.elbo_after_m_step));
    }
}

TEST(GmmGradientStep, NamesWhatIsWrong) {
    const std::vector<double> x = some_rows();
    for (const context& ctx : test::contexts()) {
        const auto message = [&](gradient_steps steps) {
            return test::message_of<error>(
                [&] { fit(ctx, test::rows_of(x, dimensions), with_gradient(family::full, steps)); });
        };
        EXPECT_THAT(message({.steps = 0}), HasSubstr("gradient.steps = 0: expected at least 1"));
        EXPECT_THAT(message({.rate = 0}), HasSubstr("gradient.rate = 0: expected a finite number above 0"));
        EXPECT_THAT(message({.rate = std::nan("")}), HasSubstr("gradient.rate = nan"));
        EXPECT_THAT(message({.rate = 1e6, .backtracking = false}), HasSubstr("rate 1000000"));
        fit_options with_prior = with_gradient(family::full, {});
        with_prior.prior = parameter_prior{};
        EXPECT_THAT(test::message_of([&] { fit(ctx, test::rows_of(x, dimensions), with_prior); }),
                    HasSubstr("m_step = gradient with a prior: expected closed_form"));
    }
}

} // namespace
} // namespace elbo::gmm
