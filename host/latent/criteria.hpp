// Criteria for choosing a model with continuous latent variables; W, the sum of the weights, stands for the number of
// samples.
#pragma once

#include <cmath>

namespace elbo::latent {

template <class Model>
double bic(const Model& m, double total_log_likelihood, double total_weight) {
    return -2 * total_log_likelihood + static_cast<double>(m.parameters()) * std::log(total_weight);
}

template <class Model>
double aic(const Model& m, double total_log_likelihood) {
    return -2 * total_log_likelihood + 2 * static_cast<double>(m.parameters());
}

} // namespace elbo::latent
