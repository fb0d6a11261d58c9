// Criteria for choosing a model. W, the sum of the weights, stands for the number of samples, so that an integer weight
// means what a repeated row does.
#include "elbo/gmm/infer.hpp"

#include <cmath>

namespace elbo::gmm {

double bic(const model& m, double total_log_likelihood, double total_weight) {
    return -2 * total_log_likelihood + static_cast<double>(m.parameters()) * std::log(total_weight);
}

double aic(const model& m, double total_log_likelihood) {
    return -2 * total_log_likelihood + 2 * static_cast<double>(m.parameters());
}

double icl(const model& m, double total_log_likelihood, double total_entropy, double total_weight) {
    return bic(m, total_log_likelihood, total_weight) + 2 * total_entropy;
}

} // namespace elbo::gmm
