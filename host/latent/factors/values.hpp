// Parameters of a factor_model in the normalised frame (kernels/contract/gmm_engine.hpp), and what follows from them.
#pragma once

#include "elbo/latent/factors.hpp"
#include "kernels/contract/latent_engine.hpp"

#include <vector>

namespace elbo::latent {

/// As factor_parameters, but in the frame and with the noise variances of every component, [K x d], written out.
struct factor_values {
    factor_kind kind = factor_kind::ppca;
    bool own_noise = false;
    kernels::latent_shape shape;
    std::vector<double> weights, means, loadings, noise;
};

/// Throws invalid_argument unless such a model exists (factor_parameters::latent, one component but for mixtures).
void check_factor_sizes(factor_kind kind, std::int64_t dimensions, std::int64_t latent, std::int64_t components);

/// The frame of data for a kind of model: one scale for ppca, whose noise has one variance.
kernels::frame factor_frame(factor_kind kind, const std::vector<double>& mean, const std::vector<double>& variance);
/// A frame that suits a model rather than data: its mean and variances.
kernels::frame frame_of(const factor_model& m);

factor_values to_frame(const factor_model& m, const kernels::frame& f);
/// Back to the units of the data, with the loadings turned as factor_parameters::loadings says.
factor_model from_frame(const factor_values& v, const kernels::frame& f);

/// The parameters of a pass, and for each component the lower triangular R [L x L], M = I + Aᵀ Ψ⁻¹ A = R Rᵀ.
struct factor_operators {
    kernels::latent_parameters pass;
    std::vector<double> posterior_factors; ///< [K x L x L]
};
/// Throws elbo::error where M is not positive definite in float64: loadings beyond about 10⁸ noise deviations.
factor_operators operators_of(const factor_values& v);

/// Σ_l log R_ll of component k: half of log |M_k|.
double log_posterior_factor(const factor_operators& o, std::int64_t k);

} // namespace elbo::latent
