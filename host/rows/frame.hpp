// Between the units of the data and the normalised frame of the engines (docs/kernels.md section 4).
#pragma once

#include "elbo/gmm/model.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm {

struct data_summary;

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

} // namespace elbo::gmm
