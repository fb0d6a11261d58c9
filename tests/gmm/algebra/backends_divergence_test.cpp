// Divergences between mixtures: closed forms, what bounds what, and the same samples everywhere.
#include "elbo/error.hpp"
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace elbo::gmm {
namespace {

using testing::HasSubstr;

model random_model(family f, std::int64_t d, std::int64_t k, std::uint64_t seed) {
    kernels::gmm_parameters p = test::random_parameters({f, d, k}, 1.5, seed);
    for (double& w : p.log_weights)
        w = std::exp(w);
    return model::from_precision_cholesky(f, d, p.log_weights, p.means, p.precision_cholesky);
}

divergence_options some_samples() {
    return {.samples = test::slow_device() ? 600 : 20000, .seed = 3};
}

TEST(GmmDivergence, ClosedFormByHand) {
    const model p = model::from_covariances(family::full, 1, {1}, {0}, {1});
    const model q = model::from_covariances(family::diagonal, 1, {1}, {1}, {4});
    const double want = 0.5 * (0.25 + 0.25 - 1 + std::log(4.0));
    EXPECT_NEAR(kl_variational(p, q).approximation, want, 1e-15);
    EXPECT_NEAR(kl_variational(p, q).upper_bound, want, 1e-15);
    // ½ (tr(Σ_q⁻¹ Σ_p) + 0 − 2 + log det Σ_q / det Σ_p) with Σ_p = I, Σ_q = (2, 1; 1, 2): ½ (4/3 − 2 + log 3)
    const model two = model::from_covariances(family::spherical, 2, {1}, {0, 0}, {1});
    const model full = model::from_covariances(family::tied, 2, {1}, {0, 0}, {2, 1, 1, 2});
    EXPECT_NEAR(kl_variational(two, full).upper_bound, 0.5 * (4.0 / 3 - 2 + std::log(3.0)), 1e-15);
    // The other way: ½ (4 − 2 − log 3)
    EXPECT_NEAR(kl_variational(full, two).approximation, 0.5 * (2 - std::log(3.0)), 1e-15);
}

TEST(GmmDivergence, EstimateAgreesWithTheClosedForm) {
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::diagonal, family::spherical}) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)));
            const model p = random_model(f, 3, 1, 1), q = random_model(f, 3, 1, 2);
            const divergence_result estimate = kl_divergence(ctx, p, q, some_samples());
            const double exact = kl_variational(p, q).upper_bound;
            EXPECT_GT(exact, 0.1);
            EXPECT_LT(estimate.standard_error, 0.5 * exact);
            EXPECT_NEAR(estimate.value, exact, 5 * estimate.standard_error);
        }
}

TEST(GmmDivergence, BoundsOfMixtures) {
    for (const context& ctx : test::contexts())
        for (family f : {family::full, family::tied, family::diagonal}) {
            SCOPED_TRACE(ctx.name() + ", " + std::string(to_string(f)));
            const model p = random_model(f, 2, 3, 5), q = random_model(f, 2, 4, 6);
            const divergence_result estimate = kl_divergence(ctx, p, q, some_samples());
            const variational_divergence v = kl_variational(p, q);
            EXPECT_GT(estimate.value, -5 * estimate.standard_error);
            EXPECT_GE(v.upper_bound, estimate.value - 5 * estimate.standard_error);
            EXPECT_GT(v.iterations, 1);
        }
}

TEST(GmmDivergence, OfAModelFromItselfIsZero) {
    const model p = random_model(family::full, 2, 3, 5);
    for (const context& ctx : test::contexts()) {
        const divergence_result r = kl_divergence(ctx, p, p, {.samples = 500});
        EXPECT_EQ(r.value, 0);
        EXPECT_EQ(r.standard_error, 0);
    }
    EXPECT_EQ(kl_variational(p, p).approximation, 0);
    EXPECT_NEAR(kl_variational(p, p).upper_bound, 0, 1e-9);
}

TEST(GmmDivergence, OfASplitComponentIsZero) {
    // One Gaussian written as two equal halves, and with a component that was dropped.
    const model one = model::from_covariances(family::spherical, 1, {1}, {2}, {3});
    const model halves = model::from_covariances(family::spherical, 1, {0.25, 0, 0.75}, {2, 9, 2}, {3, 1, 3});
    for (const auto& [p, q] : {std::pair(one, halves), std::pair(halves, one), std::pair(halves, halves)}) {
        EXPECT_NEAR(kl_variational(p, q).approximation, 0, 1e-15);
        EXPECT_NEAR(kl_variational(p, q).upper_bound, 0, 1e-15);
        for (const context& ctx : test::contexts()) // sums of two terms, each rounded a few times
            EXPECT_NEAR(kl_divergence(ctx, p, q, {.samples = 500}).value, 0, 1e-14);
    }
}

TEST(GmmDivergence, SameOnEveryBackEndAndForEverySplit) {
    // 300 columns: the batches have 13 · 256 rows, so 3500 samples are drawn in two parts.
    const std::int64_t d = test::slow_device() ? 3 : 300, n = test::slow_device() ? 600 : 3500;
    const model p = random_model(family::diagonal, d, 2, 7), q = random_model(family::diagonal, d, 2, 8);
    const context reference = context::reference();
    const sample_result drawn = sample(reference, p, n, 3);
    const data_source data(matrix_view<const double>(drawn.x.data(), n, d));
    const std::vector<double> log_p = log_density(reference, p, data), log_q = log_density(reference, q, data);
    double mean = 0, squares = 0;
    for (std::int64_t i = 0; i < n; ++i)
        mean += (log_p[i] - log_q[i]) / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i)
        squares += (log_p[i] - log_q[i] - mean) * (log_p[i] - log_q[i] - mean);
    const double error = std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n));
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const divergence_result r = kl_divergence(ctx, p, q, {.samples = n, .seed = 3});
        EXPECT_EQ(r.samples, n);
        // A log-density is a sum of d terms: relative errors of d ε, and means of n of them of n ε at most.
        const double bound = static_cast<double>(d + n) * 0x1p-52;
        EXPECT_NEAR(r.value / mean, 1, bound);
        EXPECT_NEAR(r.standard_error / error, 1, 10 * bound);
    }
}

TEST(GmmDivergence, FarApart) {
    const model p = model::from_covariances(family::spherical, 1, {0.5, 0.5}, {0, 1}, {1, 1});
    const model q = model::from_covariances(family::spherical, 1, {1}, {1e6}, {1});
    for (const context& ctx : test::contexts()) {
        const divergence_result r = kl_divergence(ctx, p, q, {.samples = 500});
        EXPECT_NEAR(r.value / 5e11, 1, 1e-5); // means 0 and 1 against 1e6: a relative 1e-6
    }
    EXPECT_NEAR(kl_variational(p, q).upper_bound / 5e11, 1, 1e-5);
    const model beyond = model::from_covariances(family::spherical, 1, {1}, {1e200}, {1});
    EXPECT_EQ(kl_variational(p, beyond).upper_bound, std::numeric_limits<double>::infinity());
    EXPECT_EQ(kl_variational(p, beyond).approximation, std::numeric_limits<double>::infinity());
}

TEST(GmmDivergence, BadInput) {
    const model p = random_model(family::full, 2, 1, 1), q = random_model(family::full, 3, 1, 1);
    const auto message = [](const std::function<void()>& call) {
        try {
            call();
        } catch (const invalid_argument& e) {
            return std::string(e.what());
        }
        return std::string("no exception");
    };
    const context ctx = context::reference();
    EXPECT_THAT(message([&] { kl_divergence(ctx, p, q); }), HasSubstr("q has 3 dimensions: expected 2"));
    EXPECT_THAT(message([&] { kl_variational(p, q); }), HasSubstr("q has 3 dimensions: expected 2"));
    EXPECT_THAT(message([&] { kl_divergence(ctx, p, p, {.samples = 1}); }), HasSubstr("samples = 1"));
}

} // namespace
} // namespace elbo::gmm
