// Criteria for choosing a model, with W, the sum of the weights, as the number of samples.
#pragma once

#include "elbo/latent/factors.hpp"

#include <cmath>

namespace elbo::latent {

inline double bic(const factor_model& m, double total_log_likelihood, double total_weight) {
    return -2 * total_log_likelihood + static_cast<double>(m.parameters()) * std::log(total_weight);
}

inline double aic(const factor_model& m, double total_log_likelihood) {
    return -2 * total_log_likelihood + 2 * static_cast<double>(m.parameters());
}

} // namespace elbo::latent
