// The M-step of linear-Gaussian models, and longer steps for their noise variances.
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
#include <optional>
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

/// Longer steps for the noise variances.
///
/// Where a noise variance goes to 0 (a Heywood case), EM lowers it like 1 / t: the fit would never converge. SQUAREM
/// (R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any EM
/// algorithm", Scandinavian Journal of Statistics 35, 2008, step length S3) on the logarithms of the variances makes
/// that geometric. Only they are extrapolated: the loadings turn from step to step, and follow the noise within one.
class noise_accelerator {
public:
    /// Takes the variances before the first of a row of EM steps.
    void restart(const std::vector<double>& noise);
    /// Takes the variances after an EM step. After every second step: those to try instead, at least `floor` [d]
    /// (repeated for every component); else nothing.
    std::optional<std::vector<double>> propose(const std::vector<double>& noise, const std::vector<double>& floor);
    /// Whether what was proposed was taken: the steps become longer or shorter.
    void judge(bool taken);

    /// What it keeps, for `count` variances (host/io/model/fit_state.hpp).
    template <class State>
    void describe(State& s, std::size_t count) {
        s.list("noise_before", before_ = before_.empty() ? std::vector<double>(count) : std::move(before_));
        s.list_or_none("noise_between", first_, count);
        s.numbers("noise_steps", longest_, at_bound_);
    }

private:
    std::vector<double> before_, first_; ///< logarithms before two steps and between them
    double longest_ = 4;                 ///< bound on −α
    bool at_bound_ = false;
};

} // namespace elbo::latent
