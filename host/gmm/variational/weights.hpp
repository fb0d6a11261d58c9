// q(α): one Dirichlet distribution, or one of two parameters (a Beta distribution) for each stick.
#pragma once

#include "elbo/gmm/variational.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm::variational {

/// The posterior's parameters from N_k: α₀ + N_k, or (1 + N_k, γ + Σ_{j>k} N_j).
std::vector<double> weights_update(weights_model m, double concentration, const std::vector<double>& counts);
/// E[ln α_k].
std::vector<double> expected_log_weights(weights_model m, const std::vector<double>& concentrations);
std::vector<double> expected_weights(weights_model m, const std::vector<double>& concentrations);
/// KL(q(α) ‖ p(α)).
double weights_divergence(weights_model m, double concentration, const std::vector<double>& concentrations);
/// ln Z(q) − ln Z(p), Z = Π Γ(α_k) / Γ(Σ α_k) of a Dirichlet distribution.
double weights_normalizer_gain(weights_model m, double concentration, const std::vector<double>& concentrations);

} // namespace elbo::gmm::variational
