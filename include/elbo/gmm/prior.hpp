// Conjugate priors of a mixture's parameters, for maximum a posteriori and for variational Bayes.
#pragma once

#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::gmm {

/// α ~ Dirichlet(concentration, ..., concentration); μ_k | Σ_k ~ N(mean, Σ_k / mean_precision);
/// Σ_k ~ inverse-Wishart(scale, degrees_of_freedom), by family: full and tied the inverse Wishart with scale matrix
/// [d x d], diagonal the product of inverse gammas with shape degrees_of_freedom / 2 and scale_j / 2 for every
/// variance, spherical one of them. What is not given follows the data by the convention of Fraley and Raftery
/// (Bayesian regularization for normal mixture estimation and model-based clustering, Journal of Classification 24,
/// 2007), as in mclust: mean = the mean of the data, mean_precision 0.01, degrees_of_freedom = d + 2, scale = the
/// data's covariance / k^(2/d) (its diagonal, or its trace / d), concentration 1 (flat).
struct parameter_prior {
    double concentration = 1;                      ///< ≥ 1 for a mode inside the simplex
    std::optional<std::vector<double>> mean = {};  ///< [d]
    double mean_precision = 0.01;                  ///< κ₀ > 0: in samples
    std::optional<double> degrees_of_freedom = {}; ///< ν₀ > d − 1 (full, tied), > 0 otherwise
    std::optional<std::vector<double>> scale = {}; ///< [d x d], [d] or [1], in squared units of the data
};

} // namespace elbo::gmm
