// How good a start is: some EM steps on rows of the sample, and their likelihood.
#pragma once

#include "host/gmm/start/start.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm {

/// Every n-th row of a sample, as few as a trial may look at: none where they would be too few for the components.
start_sample trial_rows(const start_sample& s, const kernels::gmm_shape& shape);

/// EM iterations on a sample, in the reference engine: for samples so small that they cost next to nothing. Components
/// that keep losing their rows are dropped. `lambda` [d] as in update_rule.
kernels::gmm_parameters after_some_steps(const start_sample& s, const kernels::gmm_shape& shape,
                                         const kernels::gmm_parameters& first, const std::vector<double>& lambda,
                                         int steps);

/// So many rows are enough to compare candidates for a start by.
std::int64_t judged_rows(std::int64_t rows, const kernels::gmm_shape& shape);
/// Σ w log p(x̃) of the first judged_rows() of the sample.
double sample_log_likelihood(const start_sample& s, const kernels::gmm_shape& shape, const kernels::gmm_parameters& p);

} // namespace elbo::gmm
