// Between the units of the data and the normalised frame of the engines (docs/kernels.md section 4), λ in that frame,
// and how large sums in it can be.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/rows/row_feed.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm {

/// The frame of the data (docs/kernels.md section 4): centre = weighted mean, scale = standard deviation rounded to a
/// power of two; one common scale for the spherical families, 1 where the deviation is 0.
kernels::frame make_frame(family f, const std::vector<double>& mean, const std::vector<double>& variance);

/// x rounded to the nearest power of two; 1 for 0.
double nearest_power_of_two(double x);

/// Largest |x̃| that the summary allows.
double largest_normalized(const data_summary& s, const kernels::frame& f);

/// Parameters of a model in a frame, and back. Components that were dropped are left out on the way back.
kernels::gmm_parameters to_frame(const model& m, const kernels::frame& f);
model from_frame(family shape, const kernels::gmm_parameters& p, const kernels::frame& f);

/// Σ_j ln scale_j: log p(x) = log p(x̃) − log_scale.
double log_scale(const kernels::frame& f);

/// A frame that suits a model rather than data: its total mean and variances.
kernels::frame frame_of(const model& m);

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
