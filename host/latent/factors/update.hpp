// The M-step of linear-Gaussian models.
//
// With the sums of a pass under θ_t, of component k (all divided by N_k): δ̄, S_jj = Var δ_j, Y = Cov(δ, c) [d x L], and
// c = Wᵀδ. The prior of z is given a mean and a covariance of its own for the moment (PX-EM, Liu, Rubin and Wu 1998):
// the regression of x on z then passes through the means, and turning z back to N(0, I) leaves
//
//     T Tᵀ = I + Wᵀ Y,   A ← Y T⁻ᵀ,   μ ← μ + δ̄,   v_j = S_jj − Σ_l A_jl²,   Ψ from v,
//
// which needs neither M nor Σ e eᵀ. (Cov e + Cov[z|x] = R⁻ᵀ (I + Wᵀ Y) R⁻¹ and Cov(δ, e) = Y R⁻¹; with the factor
// R⁻ᵀ T of the former the loadings times it are Y T⁻ᵀ.) The bound after the step is that of the turned posterior,
//
//     J = Σ_k N_k (log α_k − ½ Σ_j (log 2πψ_kj + v_kj / ψ_kj) − log |T_k|) + H(r).
#pragma once

#include "host/latent/factors/values.hpp"

#include <cstdint>
#include <vector>

namespace elbo::latent {

/// What the M-step needs beside the sums.
struct factor_rule {
    double total_weight = 0;         ///< W = Σ w_n in the units of the sums
    std::vector<double> noise_floor; ///< [d] smallest ψ, in the frame; ppca takes its mean
    gmm::collapse_policy on_collapse = gmm::collapse_policy::reseed;
    int reseeds_each = 3; ///< times that one component is re-seeded before it is dropped
};

/// What goes with each component from one iteration to the next.
struct factor_history {
    std::vector<std::int64_t> index; ///< [K] of the component before any removal
    std::vector<int> reseeds;        ///< [K]
    std::vector<bool> floored;       ///< [K x d] noise variances whose floor was reported
};

/// Totals over the samples, in the frame.
struct factor_outcome {
    double log_likelihood = 0;
    double entropy = 0;          ///< of k and z given x
    double elbo_after = 0;       ///< equals log_likelihood in an iteration in which a component collapsed
    double parameter_change = 0; ///< max |Δμ̃|
    double rounding = 0;         ///< log p may be wrong by about as much: what differs by less is equal
    bool collapsed = false;
    std::vector<factor_event> events; ///< iteration is filled in by the caller
};

/// Of δ = x̃ − μ̃_k and c of component k.
struct component_moments {
    std::vector<double> mean, variance; ///< [d] of δ
    std::vector<double> products;       ///< [d x L] Cov(δ, c)
};
/// From the sums of that component.
component_moments moments_of(const double* sums, const kernels::latent_parameters& p, std::int64_t k);

/// The floors of the noise variances [d] as this kind of model has them: one for all columns of ppca.
std::vector<double> noise_floors(factor_kind kind, const factor_rule& rule);

/// Replaces `values` with the next parameters. Under the policy fail and with a collapsed component nothing is changed
/// but the outcome.
factor_outcome update(const std::vector<double>& sums, const factor_operators& under, const factor_rule& rule,
                      factor_history& history, factor_values& values);

} // namespace elbo::latent
