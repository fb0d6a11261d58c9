// The running statistics of stepwise EM (host/gmm/stream/online.cpp) as sums in a frame, and back.
#pragma once

#include "elbo/gmm/online.hpp"
#include "host/gmm/stream/statistics_m_step.hpp"

#include <vector>

namespace elbo::gmm {

/// (1 − rate) times the moments of the state, plus rate times the batch per unit of weight. The batch was summed under
/// the model of the state.
plain_sums blend(const online_state& s, const plain_sums& batch, double rate);

/// Covariances (layout of model::covariances, units of the data) about the means of `next` that sums of weight 1 stand
/// for, without regularisation. Components that `next` has without weight are left out, as from_frame does.
std::vector<double> moments_about(const plain_sums& s, const kernels::gmm_parameters& next);

} // namespace elbo::gmm
