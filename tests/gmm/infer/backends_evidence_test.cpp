// The evidence lower bound term by term: the two ways to it agree, it is tight for the posterior, and the trace of a
// fit is made of it.
#include "elbo/error.hpp"
#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"

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

constexpr std::int64_t dimensions = 3, components = 3, rows = 300;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// After the log-joint densities all is float64: a row's terms are at most 1e3 nats here and each is the sum of K
/// products with a logarithm, 2 (K + 6) roundings of 2⁻⁵³; the mean adds one for each of the 300 rows of its chain.
constexpr double rounding = 1e3 * (300 + 2 * (components + 6)) * 0x1p-53;
/// Log-joint densities themselves: (d + 2) roundings of quadratic forms and offsets below 50 for the rows that matter,
/// some ten times that for the farthest; engines may leave out 2⁻²⁴ of a sum.
double density_rounding(bool single) {
    return (dimensions + 2) * 500 * (single ? 0x1p-24 : 0x1p-53) + 0x1p-24;
}

data_source view(const std::vector<double>& x, std::int64_t cols = dimensions) {
    return matrix_view<const double>(x.data(), static_cast<std::int64_t>(x.size()) / cols, cols);
}
data_source view(const std::vector<float>& x) {
    return matrix_view<const float>(x.data(), static_cast<std::int64_t>(x.size()) / dimensions, dimensions);
}
any_matrix_view table(const std::vector<double>& q) {
    return matrix_view<const double>(q.data(), static_cast<std::int64_t>(q.size()) / components, components);
}

std::vector<double> some_rows() {
    return test::clustered(rows, dimensions, components, 1.5, 5);
}

model some_model(family f, std::uint64_t seed = 3) {
    const kernels::gmm_parameters p = test::random_parameters({f, dimensions, components}, 1.0, seed);
    std::vector<double> weights;
    for (const double a : p.log_weights)
        weights.push_back(std::exp(a));
    return model::from_precision_cholesky(f, dimensions, weights, p.means, p.precision_cholesky);
}

/// Responsibilities drawn at random, some of them zero.
std::vector<double> random_q() {
    std::vector<double> q(rows * components);
    for (std::int64_t n = 0; n < rows; ++n) {
        double sum = 0;
        for (std::int64_t k = 0; k < components; ++k)
            sum += q[n * components + k] = n % 4 == 0 && k == 1 ? 0 : test::uniform(21, n * components + k);
        for (std::int64_t k = 0; k < components; ++k)
            q[n * components + k] /= sum;
    }
    return q;
}

/// log α_k + log N(x_n; k) from models of one component each.
std::vector<double> joint_by_component(const model& m, const std::vector<double>& x) {
    std::vector<double> joint(rows * components);
    for (std::int64_t k = 0; k < components; ++k) {
        const std::vector<double> mean(&m.means()[k * dimensions], &m.means()[k * dimensions] + dimensions);
        const model one = model::from_covariances(family::full, dimensions, {1.0}, mean, m.covariance(k));
        const std::vector<double> densities = log_density(context::reference(), one, view(x));
        for (std::int64_t n = 0; n < rows; ++n)
            joint[n * components + k] = std::log(m.weights()[k]) + densities[n];
    }
    return joint;
}

void expect_consistent(const evidence_terms& t) {
    EXPECT_NEAR(t.elbo, t.elbo_from_gap, rounding);
    EXPECT_EQ(t.elbo, t.expected_log_joint + t.entropy);
    EXPECT_EQ(t.elbo_from_gap, t.log_likelihood - t.kl);
    EXPECT_GE(t.kl, -rounding);
    EXPECT_GE(t.entropy, 0);
}

TEST(GmmEvidence, IsTightForThePosterior) {
    const std::vector<double> x = some_rows(), w = test::quarter_weights(rows);
    const std::vector<float> x32 = test::as<float>(x);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families)
            for (const bool single : {false, true}) {
                SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)) + (single ? ", float32" : ", float64"));
                const data_source data = single ? view(x32) : view(x);
                const evidence_terms t = evidence(ctx, some_model(f), data, w);
                expect_consistent(t);
                EXPECT_NEAR(t.kl, 0, rounding);
                EXPECT_NEAR(t.elbo, t.log_likelihood, rounding);
                const score_result want = score(context::reference(), some_model(f), view(x), w);
                EXPECT_NEAR(t.log_likelihood, want.log_likelihood, density_rounding(single));
                EXPECT_NEAR(t.entropy, want.entropy, 4 * density_rounding(single)); // r errs by 4 times as much
                EXPECT_EQ(t.total_weight, want.total_weight);
                EXPECT_EQ(t.samples, rows);
            }
}

TEST(GmmEvidence, IsTightForRowsFarFromEveryComponent) {
    const std::vector<double> x = {1e12, 0}; // half-way between two components: log 2 is nothing beside log p(x)
    const model m = model::from_covariances(family::full, 2, {0.5, 0.5}, {0, -1, 0, 1}, {1, 0, 0, 1, 1, 0, 0, 1});
    for (const context& ctx : test::contexts()) {
        const evidence_terms t = evidence(ctx, m, view(x, 2));
        // A handful of roundings, of log p(x) = −5e23 each; another one of the quadratic form in the engine.
        EXPECT_NEAR(t.elbo / t.log_likelihood, 1, 8 * 0x1p-53) << ctx.name();
        EXPECT_NEAR(t.elbo_from_gap / t.log_likelihood, 1, 8 * 0x1p-53) << ctx.name();
    }
}

TEST(GmmEvidence, TakesAnyResponsibilities) {
    const std::vector<double> x = some_rows(), q = random_q();
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)));
            const model m = some_model(f);
            const std::vector<double> joint = joint_by_component(m, x);
            double expected = 0, entropy = 0;
            for (std::size_t i = 0; i < q.size(); ++i)
                if (q[i] > 0) {
                    expected += q[i] * joint[i] / rows;
                    entropy -= q[i] * std::log(q[i]) / rows;
                }
            const evidence_terms t = evidence(ctx, m, view(x), table(q));
            expect_consistent(t);
            EXPECT_NEAR(t.expected_log_joint, expected, density_rounding(false));
            EXPECT_NEAR(t.entropy, entropy, rounding);
            EXPECT_GT(t.kl, 0.01);
            EXPECT_LT(t.elbo, t.log_likelihood);
        }
}

TEST(GmmEvidence, TakesThePosteriorOfAnotherModel) {
    const std::vector<double> x = some_rows(), w = test::quarter_weights(rows);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)));
            // Another family for q: all that counts is the number of components.
            const model m = some_model(f), other = some_model(family::diagonal, 8);
            const evidence_terms t = evidence(ctx, m, view(x), other, w);
            expect_consistent(t);
            const std::vector<double> q = responsibilities(context::reference(), other, view(x));
            const evidence_terms want = evidence(context::reference(), m, view(x), table(q), w);
            // In a term q enters with the error of its logarithm, times log-joints up to 1e3.
            EXPECT_NEAR(t.elbo, want.elbo, 1e3 * density_rounding(false));
            EXPECT_NEAR(t.kl, want.kl, 1e3 * density_rounding(false));
            const evidence_terms own = evidence(ctx, m, view(x), m, w), posterior = evidence(ctx, m, view(x), w);
            EXPECT_EQ(own.elbo, posterior.elbo);
            EXPECT_EQ(own.kl, posterior.kl);
        }
}

/// The chain of a fit, from the models after t and t + 1 iterations: log_likelihood_t = J(q_{t+1}, θ_t) and
/// elbo_after_m_step_t = J(q_{t+1}, θ_{t+1}). float32 engines keep parameters to 2⁻²⁴: their J moves with the square
/// of that around the maximum, so by less than the densities do.
TEST(GmmEvidence, MakesTheTraceOfAFit) {
    const std::vector<double> x = some_rows(), w = test::quarter_weights(rows);
    const std::vector<float> x32 = test::as<float>(x);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families)
            for (const bool single : {false, true}) {
                SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)) + (single ? ", float32" : ", float64"));
                const data_source data = single ? view(x32) : view(x);
                fit_options o{.components = components, .shape = f, .start_model = some_model(f), .tolerance = 0};
                o.relative_regularization = 0;
                o.weights = w;
                const auto after = [&](std::int64_t iterations) {
                    o.max_iterations = iterations;
                    return fit(ctx, data, o);
                };
                const fit_result now = after(2), next = after(3);
                const iteration_record& record = next.trace[1];
                const double tolerance = 2 * density_rounding(single);
                const evidence_terms tight = evidence(ctx, now.model, data, w);
                EXPECT_NEAR(tight.elbo, record.log_likelihood, tolerance);
                EXPECT_NEAR(tight.entropy, record.entropy, 4 * tolerance);
                const evidence_terms raised = evidence(ctx, next.model, data, now.model, w);
                EXPECT_NEAR(raised.elbo, record.elbo_after_m_step, tolerance);
                EXPECT_NEAR(raised.log_likelihood, next.trace[2].log_likelihood, tolerance);
                EXPECT_GT(raised.elbo, tight.elbo);
            }
}

TEST(GmmEvidence, MassWhereTheJointIsZeroIsInfinitelyFar) {
    const std::vector<double> x = some_rows(), q = random_q();
    const model all = some_model(family::full);
    const model without =
        model::from_precision_cholesky(family::full, dimensions, {0.5, 0.5, 0}, all.means(), all.precision_cholesky());
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const evidence_terms t = evidence(ctx, without, view(x), table(q));
        EXPECT_EQ(t.elbo, -infinity);
        EXPECT_EQ(t.elbo_from_gap, -infinity);
        EXPECT_EQ(t.kl, infinity);
        EXPECT_TRUE(std::isfinite(t.log_likelihood) && std::isfinite(t.entropy));
        const evidence_terms tight = evidence(ctx, without, view(x)); // its own posterior has none there
        EXPECT_NEAR(tight.elbo, tight.log_likelihood, rounding);
        const evidence_terms narrower = evidence(ctx, all, view(x), without);
        expect_consistent(narrower);
        EXPECT_TRUE(std::isfinite(narrower.kl));
    }
}

TEST(GmmEvidence, BatchesAndThreadsChangeNoBit) {
    const std::int64_t n = 3 * 4096 + 700;
    const std::vector<double> x = test::clustered(n, dimensions, components, 1.5, 5);
    const matrix_view<const double> whole(x.data(), n, dimensions);
    const auto parts = data_source::chunks({whole.slice(0, 5000), whole.slice(5000, 100), whole.slice(5100, n - 5100)});
    const model m = some_model(family::full), other = some_model(family::full, 8);
    const evidence_terms want = evidence(context::cpu(1), m, whole, other);
    for (const context& ctx : {context::cpu(1), context::cpu(2)}) {
        const evidence_terms got = evidence(ctx, m, parts, other);
        EXPECT_EQ(got.expected_log_joint, want.expected_log_joint);
        EXPECT_EQ(got.entropy, want.entropy);
        EXPECT_EQ(got.kl, want.kl);
        EXPECT_EQ(got.log_likelihood, want.log_likelihood);
    }
}

TEST(GmmEvidence, NamesWhatIsWrong) {
    const std::vector<double> x = some_rows();
    const model m = some_model(family::full);
    const auto message_of = [](const std::function<void()>& call) -> std::string {
        try {
            call();
        } catch (const invalid_argument& e) {
            return e.what();
        }
        return "no exception";
    };
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto with = [&](std::size_t at, double value) {
            std::vector<double> q = random_q();
            q[at] = value;
            return message_of([&] { evidence(ctx, m, view(x), table(q)); });
        };
        EXPECT_THAT(with(7 * components + 1, -0.25), AllOf(HasSubstr("q[7][1] = -0.25"), HasSubstr("at least 0")));
        EXPECT_THAT(with(7 * components + 1, infinity), AllOf(HasSubstr("q[7][1] = inf"), HasSubstr("finite")));
        EXPECT_THAT(with(9 * components + 2, 3), AllOf(HasSubstr("q[9] sums to"), HasSubstr("1e-06")));
        const std::vector<double> few(components, 1.0 / components);
        EXPECT_THAT(message_of([&] { evidence(ctx, m, view(x), table(few)); }),
                    AllOf(HasSubstr("q has 1 x 3"), HasSubstr("300 x 3")));
        const model one = model::from_covariances(family::spherical, dimensions, {1.0}, {0, 0, 0}, {1.0});
        EXPECT_THAT(message_of([&] { evidence(ctx, m, view(x), one); }),
                    AllOf(HasSubstr("other model has 1 components"), HasSubstr("expected 3")));
        EXPECT_THAT(message_of([&] { evidence(ctx, m, view(x, 2)); }), HasSubstr("has 2 columns: expected 3"));
        EXPECT_THAT(message_of([&] { evidence(ctx, m, view(x), std::vector<double>(rows, 0)); }), HasSubstr("weights"));
    }
}

} // namespace
} // namespace elbo::gmm
