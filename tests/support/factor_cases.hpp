// Models, rows and laws of linear-Gaussian latent variables for several tests.
#pragma once

#include "elbo/latent/factors.hpp"
#include "tests/support/data.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace elbo::test {

using test::view;

/// A model with K components of moderate size, for data of d columns.
inline latent::factor_model random_model(latent::factor_kind kind, std::int64_t d, std::int64_t L, std::int64_t K,
                                         bool own_noise, std::uint64_t seed, double spread = 2) {
    latent::factor_parameters p{kind, d, L, {}, {}, {}, {}};
    for (std::int64_t k = 0; k < K; ++k)
        p.weights.push_back(0.5 + uniform(seed, k));
    const double sum = std::accumulate(p.weights.begin(), p.weights.end(), 0.0);
    for (double& w : p.weights)
        w /= sum;
    for (std::int64_t i = 0; i < K * d; ++i)
        p.means.push_back(spread * normal(seed + 1, i));
    for (std::int64_t i = 0; i < K * d * L; ++i)
        p.loadings.push_back(normal(seed + 2, i));
    const std::int64_t noise = kind == latent::factor_kind::ppca ? 1 : own_noise ? K * d : d;
    for (std::int64_t i = 0; i < noise; ++i)
        p.noise.push_back(0.1 + 0.4 * uniform(seed + 3, i));
    return latent::factor_model(p);
}

inline std::vector<double> rows_of(const latent::factor_model& m, std::int64_t n, std::uint64_t seed) {
    return latent::sample_rows(m, 0, n, seed).x;
}

/// Of log p under a model: its quadratic form is the difference of terms Σ_j C_jj / ψ_j, of which each is rounded.
inline double rounding_of(const latent::factor_model& m) {
    double sum = 0;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> noise = m.noise_of(k);
        for (std::int64_t j = 0; j < m.dimensions(); ++j) {
            double variance = noise[j];
            for (std::int64_t l = 0; l < m.latent(); ++l)
                variance += std::pow(m.loadings()[(k * m.dimensions() + j) * m.latent() + l], 2);
            sum += m.weights()[k] * variance / noise[j];
        }
    }
    return 0x1p-48 * sum;
}

/// log p(θ_t) ≤ J(q_{t+1}, θ_{t+1}) ≤ log p(θ_{t+1}), but across a collapse. Each number is a sum of about d terms of
/// order d, rounded to 2⁻⁵³: 1e-11 a sample is far above that for d ≤ 64, but for the terms that vanishing noise makes.
inline void expect_chain(const latent::factor_result& r, double tolerance = 1e-11) {
    ASSERT_FALSE(r.trace.empty());
    tolerance += rounding_of(r.model);
    std::vector<bool> collapsed(r.trace.size(), false);
    for (const latent::factor_event& e : r.events)
        if (e.what == latent::factor_event::kind::empty)
            collapsed[e.iteration] = true;
    for (std::size_t t = 0; t < r.trace.size(); ++t) {
        if (collapsed[t])
            continue;
        EXPECT_LE(r.trace[t].log_likelihood, r.trace[t].elbo_after_m_step + tolerance) << "iteration " << t;
        if (t + 1 == r.trace.size())
            break;
        EXPECT_LE(r.trace[t].elbo_after_m_step, r.trace[t + 1].log_likelihood + tolerance) << "iteration " << t;
    }
    EXPECT_EQ(r.log_likelihood, r.trace.back().log_likelihood);
}

} // namespace elbo::test
