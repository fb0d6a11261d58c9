// The M-step and the scatter matrix of the CPU back end against the reference.
#include "elbo/error.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"
#include "tests/support/gmm/cpu_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <utility>

namespace {

using namespace elbo;
using namespace elbo::kernels;

/// Relative difference of the entries of two vectors, to the largest entry.
double difference(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = 0, apart = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isinf(a[i]) && a[i] == b[i])
            continue;
        largest = std::max(largest, std::abs(a[i]));
        apart = std::max(apart, std::abs(a[i] - b[i]));
    }
    return apart / largest;
}

update_rule rule_for(const problem& p, double lambda) {
    update_rule rule;
    rule.total_weight = static_cast<double>(p.rows);
    rule.lambda.assign(p.shape.dimensions, lambda);
    if (!gmm::is_tied(p.shape.family))
        return rule;
    const std::int64_t d = p.shape.dimensions;
    const bool matrix = p.shape.family == family::tied;
    rule.scatter.assign(matrix ? d * (d + 1) / 2 : p.shape.family == family::tied_diagonal ? d : 1, 0);
    for (std::int64_t n = 0; n < p.rows; ++n)
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < (matrix ? d : i + 1); ++j)
                rule.scatter[matrix                     ? packed_upper(i, j, d)
                             : rule.scatter.size() == 1 ? 0
                                                        : i] += double(p.x[n * d + i]) * p.x[n * d + j];
    return rule;
}

/// The M-step of both engines from the sums of the reference.
void expect_same_update(const problem& p, const update_rule& rule) {
    SCOPED_TRACE(std::string(gmm::to_string(p.shape.family)) + " d = " + std::to_string(p.shape.dimensions));
    const auto reference = loaded(make_gmm_engine(context::reference(), p.shape, element_type::float64), p, false);
    reference->accumulate(0, p.rows);
    const update_outcome expected = reference->update(rule);
    for (const int threads : {1, 3}) {
        const auto cpu = loaded(make_gmm_engine(context::cpu(threads), p.shape, element_type::float64), p, false);
        cpu->set_sums(reference->sums());
        const update_outcome got = cpu->update(rule);
        // Cholesky and inverse of matrices with condition below 1e4, d < 100: d · 1e4 · 2⁻⁵³ = 1e-10
        const double scale = std::abs(expected.log_likelihood) + static_cast<double>(p.rows);
        EXPECT_NEAR(expected.elbo_after, got.elbo_after, 1e-10 * scale);
        EXPECT_NEAR(expected.parameter_change, got.parameter_change, 1e-12);
        ASSERT_EQ(expected.events.size(), got.events.size());
        for (std::size_t i = 0; i < got.events.size(); ++i) {
            EXPECT_EQ(expected.events[i].component, got.events[i].component);
            EXPECT_EQ(expected.events[i].what, got.events[i].what);
            EXPECT_EQ(expected.events[i].action, got.events[i].action);
        }
        EXPECT_EQ(cpu->parameters().means, reference->parameters().means); // not adopted yet
        cpu->adopt();
        const auto adopted = loaded(make_gmm_engine(context::reference(), p.shape, element_type::float64), p, false);
        adopted->set_sums(reference->sums());
        adopted->update(rule);
        adopted->adopt();
        EXPECT_LE(difference(adopted->parameters().means, cpu->parameters().means), 1e-12);
        EXPECT_LE(difference(adopted->parameters().precision_cholesky, cpu->parameters().precision_cholesky), 1e-10);
        EXPECT_LE(difference(adopted->parameters().log_weights, cpu->parameters().log_weights), 1e-12);
    }
}

TEST(CpuEngine, UpdatesEqualThoseOfTheReference) {
    for (const family f : families)
        for (const std::int64_t d : {1, 3, 32, 50})
            for (const double lambda : {0.0, 0.01}) {
                const problem p = make_problem(f, d, 5, 1500);
                expect_same_update(p, rule_for(p, lambda));
            }
}

TEST(CpuEngine, CollapsedComponentsFollowThePolicy) {
    for (const family f : families)
        for (const auto policy :
             {gmm::collapse_policy::reseed, gmm::collapse_policy::drop, gmm::collapse_policy::fail}) {
            problem p = make_problem(f, 40, 3, 900);
            for (std::int64_t j = 0; j < 40; ++j)
                p.parameters.means[40 + j] = 1000; // gets no rows
            for (std::int64_t n = 0; n < p.rows; ++n)
                p.x[n * 40 + 7] = 0.5f; // no variance
            update_rule rule = rule_for(p, 0);
            rule.on_collapse = policy;
            if (f == family::full || f == family::diagonal) {
                rule.lambda[7] = 1e-3;
                expect_same_update(p, rule); // one is empty
                rule.lambda[7] = 0;
            }
            const auto cpu = loaded(make_gmm_engine(context::cpu(2), p.shape, element_type::float64), p, false);
            cpu->accumulate(0, p.rows);
            const update_outcome outcome = cpu->update(rule);
            EXPECT_FALSE(outcome.events.empty());
            cpu->adopt();
            for (double u : cpu->parameters().precision_cholesky)
                EXPECT_TRUE(std::isfinite(u));
        }
}

TEST(CpuEngine, ScatterEqualsTheReference) {
    for (const family f : {family::tied, family::tied_diagonal, family::tied_spherical}) {
        const problem p = make_problem(f, 13, 2, unit_rows + 100);
        const std::int64_t count = scatter_size(p.shape);
        std::vector<double> scatter[2];
        for (int e = 0; e < 2; ++e) {
            const auto engine = loaded(e == 0 ? make_gmm_engine(context::reference(), p.shape, element_type::float64)
                                              : make_gmm_engine(context::cpu(2), p.shape, element_type::float32),
                                       p, true);
            fixed_sums sums(count, bound);
            engine->accumulate_scatter(0, p.rows, sums);
            scatter[e] = sums.values();
        }
        // float64 sums of about 4200 terms of size at most 50 each: 4200 · 50 · 2⁻⁵³ a term of the error
        for (std::int64_t i = 0; i < count; ++i)
            EXPECT_NEAR(scatter[0][i], scatter[1][i], 13 * 4200 * 50 * 0x1p-50);
    }
}

} // namespace
