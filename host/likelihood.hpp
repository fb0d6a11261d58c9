// What the results of fits and scores say of a likelihood.
#pragma once

#include "elbo/fit.hpp"

#include <cmath>
#include <cstdint>

namespace elbo {

/// The mean log-likelihood of `samples` samples of this weight under a model, what it comes to in all, and the criteria
/// but for icl; W, the sum of the weights, stands for the number of samples.
template <class Result, class Model>
void set_likelihood(Result& r, const Model& m, double log_likelihood, double weight, std::int64_t samples,
                    const negligible_weights& negligible) {
    const auto parameters = static_cast<double>(m.parameters());
    r.log_likelihood = log_likelihood;
    r.total_log_likelihood = log_likelihood * weight;
    r.total_weight = weight;
    r.samples = samples;
    r.negligible = negligible;
    r.bic = -2 * r.total_log_likelihood + parameters * std::log(weight);
    r.aic = -2 * r.total_log_likelihood + 2 * parameters;
}

} // namespace elbo
