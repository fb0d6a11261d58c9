// What variational Bayes computes from q(θ) alone, and q(θ) from the sums of an E-step. Everything holds in the units
// of the data as well as in the normalised frame; a posterior is in one of them together with its prior.
//
// One form for all families: Λ_k consists of `blocks` independent Wishart matrices of `dimension` with common degrees
// of freedom, each of which stands for `copies` equal blocks of the [d x d] precision: full 1 of d, diagonal d of 1,
// spherical 1 of 1 that counts d times, so that a sample adds `copies` degrees of freedom. A gamma distribution with
// shape ν/2 and rate s/2 is the Wishart distribution of dimension 1. Tied families have one Λ and K means given it:
// q(μ_1 ... μ_K, Λ) = q(Λ) Π_k N(μ_k; m_k, (β_k Λ)⁻¹), with ν = ν₀ + copies·W.
#pragma once

#include "elbo/gmm/variational.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm::variational {

using parameters = variational_posterior::parameters;

inline double as_double(std::int64_t n) {
    return static_cast<double>(n);
}

struct wishart_form {
    std::int64_t blocks, dimension, copies;
};
wishart_form form_of(family f, std::int64_t dimensions);

// The prior: checked, filled in from the data, in the units of the data or in the frame.

/// Throws invalid_argument for what is given of a prior and breaks a rule.
void check_prior(const variational_prior& prior, family f, std::int64_t dimensions);

/// What is given of it, in the frame.
variational_prior to_frame(variational_prior prior, family f, const kernels::frame& frame);
/// Fills in what is not given. All in the frame, whose centre is the data's mean: `covariance` of the data by
/// structure, `lambda` [d] is added to its diagonal.
variational_prior complete_prior(variational_prior prior, const kernels::gmm_shape& shape,
                                 const std::vector<double>& covariance, const std::vector<double>& lambda);

/// A posterior in the frame, with its prior, to the units of the data. What `given` has stands as it was given.
variational_posterior::parameters from_frame(variational_posterior::parameters q, const kernels::frame& frame,
                                             const variational_prior& given);

// q(α): one Dirichlet distribution, or one of two parameters (a Beta distribution) for each stick.

/// The posterior's parameters from N_k: α₀ + N_k, or (1 + N_k, γ + Σ_{j>k} N_j).
std::vector<double> weights_update(weights_model m, double concentration, const std::vector<double>& counts);
/// E[ln α_k].
std::vector<double> expected_log_weights(weights_model m, const std::vector<double>& concentrations);
std::vector<double> expected_weights(weights_model m, const std::vector<double>& concentrations);
/// KL(q(α) ‖ p(α)).
double weights_divergence(weights_model m, double concentration, const std::vector<double>& concentrations);
/// ln Z(q) − ln Z(p), Z = Π Γ(α_k) / Γ(Σ α_k) of a Dirichlet distribution.
double weights_normalizer_gain(weights_model m, double concentration, const std::vector<double>& concentrations);

// q(θ)

/// Sums of an E-step about centres c_k, with weights as they were given.
struct moments {
    double weight = 0; ///< Σ w = Σ_k N_k
    double expected_log_likelihood = 0, entropy = 0;
    double log_factors = 0;      ///< Σ w r log π of labels
    std::vector<double> counts;  ///< N_k [k]
    std::vector<double> centres; ///< c_k [k x d]
    std::vector<double> first;   ///< Σ w r (x − c_k) [k x d]
    /// Σ w r (x − c_k)(x − c_k)ᵀ by structure: [k x d x d], [k x d] or [k]; tied families Σ w x xᵀ: [d x d], [d] or
    /// [1].
    std::vector<double> second;
};
/// From the sums of an engine. `scatter` holds the values of tied families' scatter matrix, `centres` the means that
/// the sums were taken about; both are multiplied back by `weight_scale`.
moments read_moments(const kernels::gmm_shape& shape, const kernels::fixed_sums& sums, std::vector<double> scatter,
                     std::vector<double> centres, double weight_scale);

/// `m` with the components in the order in which the sticks of a stick-breaking posterior fit best. For γ < 1
/// that is by descending N_k: of two neighbours a and b behind which there are t samples, ln B(1 + N_a, γ + N_b + t) +
/// ln B(1 + N_b, γ + t) is larger by ln (γ + N_a + t) − ln (γ + N_b + t) than with b first (Kurihara, Welling and Teh,
/// IJCAI 2007). Where that order is no gain, the components stay.
moments in_stick_order(moments m, const kernels::gmm_shape& shape, double concentration);

/// The maximum of the bound over q(θ) with q(z) fixed.
parameters update(const kernels::gmm_shape& shape, weights_model weights, const variational_prior& prior,
                  const moments& m);

/// Parameters with which the E-step of EM is that of variational Bayes: log-weights E[ln α_k] + ½ E[ln |Λ_k|] −
/// d/(2β_k) − Σ_i ln U_ii and factors U of E[Λ_k], since E[(x − μ)ᵀ Λ (x − μ)] = ‖Uᵀ(x − m)‖² + d/β.
kernels::gmm_parameters e_step_parameters(const parameters& q);

struct divergences {
    double weights = 0, components = 0;
};
/// KL(q(α) ‖ p(α)) and Σ_k KL(q(μ_k, Λ_k) ‖ p(μ_k, Λ_k)).
divergences divergences_from_prior(const parameters& q);

/// ln Z(q) − ln Z(p) of the normalisers of q(θ) and of the prior. After update() the bound is this + H(q(z)) + Σ w r
/// log π − W d/2 ln 2π: the likelihood's sums have become the posterior's parameters.
double log_normalizer_gain(const parameters& q);

} // namespace elbo::gmm::variational
