// Numbers that a fit and the statistics object derive from data in the same way.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/rows/row_feed.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <optional>
#include <vector>

namespace elbo::gmm {

/// λ of each dimension in the normalised frame: (regularization + relative_regularization · variance_j) / scale_j². A
/// column without variance counts as one of unit variance in the frame, so that it stays finite too.
std::vector<double> normalized_lambda(const fit_options& o, const std::vector<double>& variance,
                                      const kernels::frame& f);

/// λ that a model keeps, in a frame, where neither option is given; else by the options, relative to the variances that
/// the model keeps, or to `variance` where it has none.
std::vector<double> normalized_lambda(const fit_options& o, const model& kept, const std::vector<double>& variance,
                                      const kernels::frame& f);

/// The model with λ of a frame and the variances that it is a share of, in units of the data.
model keep_regularization(const model& m, const std::vector<double>& normalized_lambda,
                          const std::vector<double>& variance, const kernels::frame& f);

/// No sum of a component statistic exceeds this: Σ w r |z_i z_j| ≤ W (2 max|x̃|)², times d for sums over dimensions.
double component_sum_bound(double total_weight, double largest_normalized, std::int64_t dimensions);

/// No sum of w log p(x̃) does: 2⁷⁰ nats a sample, far beyond what float32 data can be from a component.
double scalar_sum_bound(double total_weight);
/// The same for a fit: more where values lie further from all others than that.
double scalar_sum_bound(double total_weight, const data_summary& summary);

} // namespace elbo::gmm
