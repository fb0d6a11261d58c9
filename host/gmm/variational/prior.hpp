// The prior of variational Bayes: checked, filled in from the data, in the units of the data or in the frame.
#pragma once

#include "elbo/gmm/variational.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm::variational {

/// Throws invalid_argument for what is given and breaks a rule; `name` begins the messages ("prior").
void check_prior(const variational_prior& prior, family f, std::int64_t dimensions, const char* name);

/// What is given, in the frame.
variational_prior to_frame(variational_prior prior, family f, const kernels::frame& frame);
/// Fills in what is not given. All in the frame, whose centre is the data's mean: `covariance` of the data by
/// structure, `lambda` [d] is added to its diagonal.
variational_prior complete_prior(variational_prior prior, const kernels::gmm_shape& shape,
                                 const std::vector<double>& covariance, const std::vector<double>& lambda);

/// A posterior in the frame, with its prior, to the units of the data. What `given` has stands as it was given.
variational_posterior::parameters from_frame(variational_posterior::parameters q, const kernels::frame& frame,
                                             const variational_prior& given);

} // namespace elbo::gmm::variational
