// Maximum a posteriori: the modes against closed forms and published software, the steps against laws.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/statistics.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/map_cases.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace elbo::gmm {
namespace {

using test::view;

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

} // namespace
} // namespace elbo::gmm
