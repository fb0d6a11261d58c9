// A conjugate prior in the M-step: it acts as samples that are there before the data (docs/priors.md).
#pragma once

#include "kernels/contract/gmm_engine.hpp"

#include <span>
#include <vector>

namespace elbo::kernels {

/// Adds what the prior stands for to the statistics made under `current`: mean_count samples at the prior's mean and
/// its scale to those of each component, or to the common scatter of a tied family. The N_k stay as they are, so that
/// an M-step divides by N_k + weight_count, N_k + mean_count and N_k + covariance_count.
void add_prior_samples(const gmm_shape& shape, const conjugate_prior& prior, const gmm_parameters& current,
                       std::span<double> sums, std::vector<double>& scatter);

/// Σ_i log U_ii of one factor, ½ log |Λ|.
double log_determinant(const gmm::family_geometry& g, std::int64_t d, const double* u);

/// log p(θ), times weight_scale.
struct log_prior_value {
    double total = 0;
    double quadratic = 0; ///< Σ_k κ₀ ‖U_kᵀ(μ_k − m₀)‖² + Σ tr(Ψ₀ Λ): −½ of it is part of the total
};
log_prior_value log_prior(const gmm_shape& shape, const conjugate_prior& prior, const gmm_parameters& p);

} // namespace elbo::kernels
