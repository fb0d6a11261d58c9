// Maximum a posteriori: the modes against closed forms and published software, the steps against laws.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/statistics.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace elbo::gmm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class T>
data_source view(const std::vector<T>& x, std::int64_t cols) {
    return matrix_view<const T>(x.data(), static_cast<std::int64_t>(x.size()) / cols, cols);
}

bool has_matrix(family f) {
    return f == family::full || f == family::tied;
}
bool is_spherical(family f) {
    return f == family::spherical || f == family::tied_spherical;
}

/// A prior of two columns with everything given.
parameter_prior given(family f) {
    parameter_prior p;
    p.concentration = 1.7;
    p.mean = {0.25, 0.5};
    p.mean_precision = 0.4;
    p.degrees_of_freedom = 5.5;
    p.scale = has_matrix(f)     ? std::vector<double>{1.2, 0.3, 0.3, 2}
              : is_spherical(f) ? std::vector<double>{1.2}
                                : std::vector<double>{1.2, 2};
    return p;
}

fit_options map_options(family f, std::int64_t components, const parameter_prior& prior) {
    fit_options o;
    o.components = components;
    o.shape = f;
    o.relative_regularization = 0;
    o.prior = prior;
    return o;
}

/// log p(θ_t) of data and parameters ≤ J + log p(θ) after the M-step ≤ that of the next iteration, to 1e-7 a sample:
/// the float32 noise of sums of log-densities of size 1.
void expect_chain(const fit_result& r) {
    EXPECT_TRUE(r.events.empty());
    for (std::size_t t = 0; t < r.trace.size(); ++t) {
        const iteration_record& now = r.trace[t];
        const double after = now.elbo_after_m_step + now.log_prior_after;
        EXPECT_LE(now.log_likelihood + now.log_prior, after + 1e-7) << "iteration " << t;
        if (t + 1 < r.trace.size()) {
            EXPECT_LE(after, r.trace[t + 1].log_likelihood + r.trace[t + 1].log_prior + 1e-7) << "iteration " << t;
        }
    }
}

// The values are sums of scipy.stats' dirichlet, multivariate_normal, norm, invwishart and invgamma (version 1.17).
TEST(GmmMap, TheLogPriorIsTheSumOfItsDensities) {
    const std::vector<double> weights{0.3, 0.7}, means{0.5, -1, 2, 0.25};
    const auto check = [&](family f, std::vector<double> covariances, double want) {
        const model m = model::from_covariances(f, 2, weights, means, std::move(covariances));
        EXPECT_NEAR(log_prior(m, given(f)), want, 1e-12 * std::abs(want)) << to_string(f);
    };
    check(family::full, {1.5, 0.4, 0.4, 0.8, 0.6, -0.2, -0.2, 2}, -16.71338278259);
    check(family::tied, {1.5, 0.4, 0.4, 0.8}, -11.2663825120573);
    check(family::diagonal, {1.5, 0.8, 0.6, 2}, -16.3248950635234);
    check(family::tied_diagonal, {1.5, 0.8}, -11.1828644263597);
    check(family::spherical, {1.5, 0.6}, -11.3263533809035);
    check(family::tied_spherical, {1.5}, -10.6532550696288);
}

TEST(GmmMap, OneComponentIsTheModeOfThePosterior) {
    const std::vector<double> x = test::clustered(60, 2, 3, 2, 41);
    std::vector<double> weights;
    double total = 0, mean[2] = {0, 0}, s[2][2] = {};
    for (int n = 0; n < 60; ++n) {
        weights.push_back(n % 4 * 0.75);
        total += weights[n];
        for (int j = 0; j < 2; ++j)
            mean[j] += weights[n] * x[2 * n + j];
    }
    for (double& v : mean)
        v /= total;
    for (int n = 0; n < 60; ++n)
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 2; ++j)
                s[i][j] += weights[n] * (x[2 * n + i] - mean[i]) * (x[2 * n + j] - mean[j]);
    // The second prior draws the mean far from all rows; squares of its distance are 1e9, and so are their roundings.
    for (const double away : {0.0, 3e4})
        for (const context& ctx : test::contexts())
            for (family f : test::all_families) {
                SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)) + " " + std::to_string(away));
                parameter_prior p = given(f);
                if (away > 0)
                    p.mean = {away, -away}, p.mean_precision = 40;
                const double size = std::max(1.0, away);
                const std::vector<double>& m0 = *p.mean;
                const double k0 = p.mean_precision, nu = *p.degrees_of_freedom;
                fit_options o = map_options(f, 1, p);
                o.weights = weights;
                const fit_result r = fit(ctx, view(x, 2), o);
                // Ψ₀ + S + κ₀ W / (κ₀ + W) (x̄ − m₀)(x̄ − m₀)ᵀ
                double c[2][2];
                for (int i = 0; i < 2; ++i)
                    for (int j = 0; j < 2; ++j)
                        c[i][j] = s[i][j] + k0 * total / (k0 + total) * (mean[i] - m0[i]) * (mean[j] - m0[j]);
                std::vector<double> want;
                if (has_matrix(f))
                    for (int e = 0; e < 4; ++e)
                        want.push_back((c[e / 2][e % 2] + (*p.scale)[e]) / (total + nu + 2 + 2));
                else if (is_spherical(f))
                    want.push_back((c[0][0] + c[1][1] + 1.2) / (2 * total + nu + 2 + 2));
                else
                    want = {(c[0][0] + 1.2) / (total + nu + 3), (c[1][1] + 2) / (total + nu + 3)};
                // A few operations on numbers of this size in float64.
                for (int j = 0; j < 2; ++j)
                    EXPECT_NEAR(r.model.means()[j], (total * mean[j] + k0 * m0[j]) / (total + k0), 1e-12 * size);
                for (std::size_t e = 0; e < want.size(); ++e)
                    EXPECT_NEAR(r.model.covariances()[e], want[e], 1e-11 * size * size);
                // The condition of the covariances of 1e9 beside, for the log-determinant.
                EXPECT_NEAR(r.trace.back().log_prior * r.total_weight, log_prior(r.model, p), 1e-10 * size * size);
            }
}

// mclust 6.0.0, Mclust(faithful, G = 2, prior = priorControl(), control = emControl(tol = c(1e-14, 1e-14))). Its tied
// spherical and diagonal models (EII, EEI) end beside the modes of their priors, so those two families have only the
// tests of the closed form and of the stationary point.
TEST(GmmMap, TheDefaultsFindTheModesOfMclust) {
    struct published {
        family shape;
        double log_likelihood, weight, mean,
            variance; ///< total; of the heavier component; mean and variance of a column
        int column;
    };
    const data_source faithful =
        data_source::file(ELBO_TEST_DATA "/faithful.csv", {.columns = {"eruptions", "waiting"}});
    for (const context& ctx : test::contexts())
        for (const published& p :
             {published{family::full, -1130.509263671, 0.6439242705, 4.290051858, 0.165608532038, 0},
              published{family::tied, -1140.260935482, 0.6407572677, 4.295984825, 0.130917053966, 0},
              published{family::diagonal, -1229.215689930, 0.6349197156, 80.18707988, 32.1589003273, 1}}) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(p.shape)));
            fit_options o = map_options(p.shape, 2, {});
            o.tolerance = 1e-14;
            if (p.shape == family::diagonal)
                o.prior->scale = {46.531510, 46.531510}; // trace / d: parameter_prior says why it is not the default
            const fit_result r = fit(ctx, faithful, o);
            const std::size_t large = r.model.weights()[0] > 0.5 ? 0 : 1;
            // Both stop where the gain is 1e-14: √1e-14 of freedom in the parameters and a geometric rest of it.
            const double tolerance = 2e-6;
            EXPECT_NEAR(r.total_log_likelihood, p.log_likelihood, 1e-4);
            EXPECT_NEAR(r.model.weights()[large], p.weight, tolerance * p.weight);
            EXPECT_NEAR(r.model.means()[2 * large + p.column], p.mean, tolerance * p.mean);
            EXPECT_NEAR(r.model.covariance(large)[3 * p.column], p.variance, tolerance * p.variance);
            expect_chain(r);
        }
}

TEST(GmmMap, ThePenalisedObjectiveNeverFalls) {
    const std::int64_t rows = test::slow_device() ? 300 : 3000;
    const std::vector<double> x = test::clustered(rows, 2, 4, 2, 11), weights = test::quarter_weights(rows);
    const std::vector<float> single = test::as<float>(x);
    for (const context& ctx : test::contexts())
        for (family f : test::all_families)
            for (const parameter_prior& prior : {parameter_prior{}, given(f)}) {
                SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
                fit_options o = map_options(f, 5, prior);
                o.max_iterations = test::slow_device() ? 8 : 60;
                expect_chain(fit(ctx, view(x, 2), o));
                o.weights = weights;
                expect_chain(fit(ctx, view(single, 2), o));
            }
}

/// E_q[log p(x, z | θ)] + log p(θ) by definition; responsibilities [n x k].
double expected_log_joint(const model& m, const std::vector<double>& x, const std::vector<double>& r,
                          const parameter_prior& prior) {
    const std::int64_t K = m.components(), rows = static_cast<std::int64_t>(x.size()) / 2;
    double sum = log_prior(m, prior);
    for (std::int64_t k = 0; k < K; ++k) {
        const std::vector<double> c = m.covariance(k);
        const double determinant = c[0] * c[3] - c[1] * c[2];
        for (std::int64_t n = 0; n < rows; ++n) {
            const double a = x[2 * n] - m.means()[2 * k], b = x[2 * n + 1] - m.means()[2 * k + 1];
            const double distance = (c[3] * a * a - 2 * c[1] * a * b + c[0] * b * b) / determinant;
            sum += r[n * K + k] *
                   (std::log(m.weights()[k]) - std::log(2 * M_PI * std::sqrt(determinant)) - 0.5 * distance);
        }
    }
    return sum;
}

/// The model after a step in one of its numbers: the logits of the weights, the means, the covariances.
model moved(const model& m, std::size_t which, double step) {
    std::vector<double> weights = m.weights(), means = m.means(), covariances = m.covariances();
    if (which < weights.size()) {
        weights[which] *= std::exp(step);
        double total = 0;
        for (double w : weights)
            total += w;
        for (double& w : weights)
            w /= total;
    } else if (which < weights.size() + means.size()) {
        means[which - weights.size()] += step;
    } else {
        const std::size_t e = which - weights.size() - means.size();
        covariances[e] += step;
        if (has_matrix(m.shape()) && e % 4 == 1)
            covariances[e + 1] += step; // the entry below the diagonal
    }
    return model::from_covariances(m.shape(), 2, weights, means, covariances);
}

TEST(GmmMap, TheMStepIsAStationaryPointOfBoundAndPrior) {
    const std::vector<double> x = test::clustered(200, 2, 3, 2, 5);
    for (family f : test::all_families) {
        const parameter_prior prior = given(f);
        const std::vector<double> first(static_cast<std::size_t>(covariance_size(f, 3, 2)), 1.0);
        std::vector<double> covariances = first;
        for (std::size_t e = 0; has_matrix(f) && e < covariances.size(); ++e)
            covariances[e] = e % 4 == 0 || e % 4 == 3 ? 1.5 : 0.2;
        const model start = model::from_covariances(f, 2, {0.2, 0.5, 0.3}, {0, 1, -1, 2, 1, -1}, covariances);
        const std::vector<double> r = responsibilities(context::reference(), start, view(x, 2));
        for (const context& ctx : test::contexts()) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            fit_options o = map_options(f, 3, prior);
            o.start_model = start;
            o.max_iterations = 2; // the model returned is that of the second E-step
            const model m = fit(ctx, view(x, 2), o).model;
            const std::size_t numbers = 3 + m.means().size() + m.covariances().size();
            for (std::size_t i = 0; i < numbers; ++i) {
                if (has_matrix(f) && i >= 9 && (i - 9) % 4 == 2)
                    continue; // moves with its mirror image
                // Central differences: rounding 2⁻⁵³·1e3 / h = 1e-8 and h² F''' / 6 ≈ 1e-10·1e4. A denominator that is
                // off by one makes ½.
                const double h = 1e-5;
                const double slope = (expected_log_joint(moved(m, i, h), x, r, prior) -
                                      expected_log_joint(moved(m, i, -h), x, r, prior)) /
                                     (2 * h);
                EXPECT_NEAR(slope, 0, 1e-4) << "number " << i;
            }
        }
    }
}

TEST(GmmMap, WeightsAreRepeatedRows) {
    const std::vector<double> x = test::clustered(90, 2, 3, 4, 17);
    std::vector<double> repeated, weights;
    for (int n = 0; n < 90; ++n) {
        weights.push_back(n % 6);
        for (int i = 0; i < n % 6; ++i)
            repeated.insert(repeated.end(), {x[2 * n], x[2 * n + 1]});
    }
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const model start = fit(context::reference(), view(x, 2), map_options(f, 3, {})).model;
            fit_options o = map_options(f, 3, {});
            o.prior->concentration = 2;
            o.start_model = start;
            o.max_iterations = 5;
            const fit_result many = fit(ctx, view(repeated, 2), o);
            o.weights = weights;
            const fit_result weighted = fit(ctx, view(x, 2), o);
            // Sums of 225 terms in another order, through five steps that do not amplify.
            for (std::size_t e = 0; e < many.model.means().size(); ++e)
                EXPECT_NEAR(weighted.model.means()[e], many.model.means()[e], 1e-10);
            for (std::size_t e = 0; e < many.model.precision_cholesky().size(); ++e)
                EXPECT_NEAR(weighted.model.precision_cholesky()[e], many.model.precision_cholesky()[e], 1e-10);
            for (std::size_t k = 0; k < 3; ++k)
                EXPECT_NEAR(weighted.model.weights()[k], many.model.weights()[k], 1e-11);
            EXPECT_NEAR(weighted.trace.back().log_prior, many.trace.back().log_prior, 1e-11);
        }
}

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

TEST(GmmMap, MaximizeIsTheStepOfTheFit) {
    const std::vector<double> x = test::clustered(150, 2, 3, 3, 47);
    for (family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        fit_options o = map_options(f, 3, {});
        o.start_model = fit(context::reference(), view(x, 2), o).model;
        o.prior->concentration = 3;
        statistics s(*o.start_model);
        s.accumulate(context::reference(), view(x, 2));
        const model step = maximize(s, o);
        o.max_iterations = 2;
        const model fitted = fit(context::reference(), view(x, 2), o).model;
        // The same sums in another frame; the moments that the defaults follow come from them.
        for (std::size_t e = 0; e < fitted.means().size(); ++e)
            EXPECT_NEAR(step.means()[e], fitted.means()[e], 1e-11);
        for (std::size_t e = 0; e < fitted.precision_cholesky().size(); ++e)
            EXPECT_NEAR(step.precision_cholesky()[e], fitted.precision_cholesky()[e], 1e-10);
        for (std::size_t k = 0; k < 3; ++k)
            EXPECT_NEAR(step.weights()[k], fitted.weights()[k], 1e-12);
    }
}

template <class Call>
std::string message_of(const Call& call) {
    try {
        call();
    } catch (const invalid_argument& e) {
        return e.what();
    }
    return "no exception";
}

TEST(GmmMap, WrongPriorsAreNamed) {
    const std::vector<double> x = test::clustered(40, 2, 2, 3, 1);
    const model m = fit(context::reference(), view(x, 2), map_options(family::full, 2, {})).model;
    statistics s(m);
    s.accumulate(context::reference(), view(x, 2));
    const auto message = [&](family f, const std::function<void(parameter_prior&)>& change) {
        parameter_prior p = given(f);
        change(p);
        std::string all;
        for (const context& ctx : test::contexts()) {
            const std::string one = message_of([&] { fit(ctx, view(x, 2), map_options(f, 2, p)); });
            EXPECT_TRUE(all.empty() || all == one);
            all = one;
        }
        if (f == family::full) {
            EXPECT_EQ(message_of([&] { maximize(s, map_options(f, 2, p)); }), all);
            EXPECT_EQ(message_of([&] { log_prior(m, p); }), all);
        }
        return all;
    };
    using prior = parameter_prior;
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
    EXPECT_THAT(message_of([&] { fit(context::reference(), view(x, 2), from_afar); }),
                HasSubstr("start_model.means[0] = 1e+300"));
    EXPECT_THAT(message(family::full, [](prior& p) { p.scale = {1, 1}; }), HasSubstr("prior.scale has 2 numbers"));
    EXPECT_THAT(message(family::spherical, [](prior& p) { p.scale = {1, 1}; }), HasSubstr("prior.scale has 2 numbers"));
    EXPECT_THAT(message(family::full, [](prior& p) { p.scale = {1, 0.5, 0.4, 1}; }), HasSubstr("not symmetric"));
    EXPECT_THAT(message(family::full, [](prior& p) { p.scale = {1, 2, 2, 1}; }), HasSubstr("not positive definite"));
    EXPECT_THAT(message(family::diagonal, [](prior& p) { p.scale = {1, -1}; }), HasSubstr("prior.scale[1] = -1"));
    prior open = given(family::full);
    open.scale.reset();
    EXPECT_THAT(message_of([&] { log_prior(m, open); }), HasSubstr("prior.scale is not given"));
    open = given(family::full);
    open.mean.reset();
    EXPECT_THAT(message_of([&] { log_prior(m, open); }), HasSubstr("prior.mean is not given"));
}

} // namespace
} // namespace elbo::gmm
