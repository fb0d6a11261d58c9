// Conjugate prior of a mixture's parameters, for maximum a posteriori (docs/priors.md).
#pragma once

#include "elbo/gmm/model.hpp"

#include <optional>
#include <vector>

namespace elbo::gmm {

/// α ~ Dirichlet(concentration, ..., concentration); μ_k | Σ_k ~ N(mean, Σ_k / mean_precision); and the covariances
/// - full: Σ_k ~ inverse-Wishart(scale [d x d], degrees_of_freedom);
/// - diagonal: each variance σ²_kj ~ inverse-gamma(degrees_of_freedom / 2, scale_j / 2), scale [d];
/// - spherical: σ²_k ~ inverse-gamma(degrees_of_freedom / 2, scale / 2), scale [1];
/// - tied families: the same for the one covariance of all components.
///
/// What is not given follows the data as in mclust's defaultPrior (C. Fraley and A. E. Raftery, "Bayesian
/// regularization for normal mixture estimation and model-based clustering", Journal of Classification 24, 2007):
/// mean = the mean of the data, mean_precision 0.01, degrees_of_freedom d + 2, concentration 1 (flat), and
/// scale = C / k^(2/d) with C the unbiased covariance of the data, for spherical families trace(C) / d. Diagonal
/// families take the diagonal of C, so that the units of the columns do not matter; mclust takes trace(C) / d there,
/// too. A column without variance counts as one of variance 1, and where C is singular its diagonal is taken, as in
/// mclust for n ≤ d. With weights C = Σ w (x − mean)(x − mean)ᵀ / (W − 1), divided by W / 2 where W < 2.
struct parameter_prior {
    double concentration = 1; ///< a from 1 to 1e9: below 1 the density has no mode inside the simplex
    std::optional<std::vector<double>> mean = {};  ///< m₀ [d]
    double mean_precision = 0.01;                  ///< κ₀ from 1e-30 to 1e9, in samples
    std::optional<double> degrees_of_freedom = {}; ///< ν₀ > d − 1 (full, tied), ≥ 1e-30 (others), up to 1e9
    std::optional<std::vector<double>> scale = {}; ///< Ψ₀ [d x d], [d] or [1], in squared units of the data

    bool operator==(const parameter_prior&) const = default;
};

/// log p(θ) of the model's parameters with all constants: the density with respect to the weights (k − 1 of them), the
/// means, and the variances and covariances (one triangle), in nats. Degrees of freedom that are not given are d + 2.
/// −infinity where a weight is 0 and concentration > 1. Throws invalid_argument: mean or scale not given or of the
/// wrong size, concentration, mean_precision or degrees of freedom out of range, scale not symmetric positive
/// definite.
double log_prior(const model& m, const parameter_prior& prior);

} // namespace elbo::gmm
