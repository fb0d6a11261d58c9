// Numbers that a fit and the statistics object derive from data in the same way.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "kernels/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm {

/// Throws invalid_argument unless both are finite and at least 0.
void check_regularization(double regularization, double relative_regularization);

/// λ of each dimension in the normalised frame: (regularization + relative_regularization · variance_j) / scale_j². A
/// column without variance counts as one of unit variance in the frame, so that it stays finite too.
std::vector<double> normalized_lambda(const fit_options& o, const std::vector<double>& variance,
                                      const kernels::frame& f);

/// No sum of a component statistic exceeds this: Σ w r |z_i z_j| ≤ W (2 max|x̃|)², times d for sums over dimensions.
double component_sum_bound(double total_weight, double largest_normalized, std::int64_t dimensions);

/// No sum of w log p(x̃) does: 2⁷⁰ nats a sample, far beyond what float32 data can be from a component.
double scalar_sum_bound(double total_weight);

/// Sums for the scatter matrix of a tied family (empty for others), and their values.
kernels::fixed_sums empty_scatter(const kernels::gmm_shape& s, double component_bound);
std::vector<double> scatter_values(const kernels::fixed_sums& scatter);

} // namespace elbo::gmm
