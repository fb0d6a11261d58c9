// From the prior that a user states to the one that an M-step takes.
#pragma once

#include "elbo/gmm/prior.hpp"
#include "host/gmm/fit/fit_setup.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm {

/// What the defaults of a prior follow, in units of the data.
struct prior_moments {
    double weight = 0;        ///< W
    std::vector<double> mean; ///< [d]
    /// About the mean, divided by W: [d x d] where the prior takes a matrix from the data, else variances [d].
    std::vector<double> covariance;
};

/// Throws invalid_argument where Σ w is too far from 1 for sums of samples and of a prior, which counts in samples.
void check_weight_beside_prior(double total_weight);

/// Throws invalid_argument that names the field, unless everything that is given is as parameter_prior says.
void check_prior(const parameter_prior& p, family f, std::int64_t dimensions);

/// Whether the defaults need the data's covariance matrix.
bool takes_covariance(const parameter_prior& p, family f);

/// Σ w (x − mean)(x − mean)ᵀ / W [d x d] in units of the data; one pass. Where the
/// summary leaves something out: its variances, with the correlations of the rows that have no far values.
std::vector<double> data_covariance(const fit_setup& setup, const data_summary& summary);

/// The prior with everything given.
parameter_prior complete_prior(const parameter_prior& p, const kernels::gmm_shape& shape, const prior_moments& data);

/// A complete prior for samples in a frame whose weights are multiplied by weight_scale.
kernels::conjugate_prior to_frame(const parameter_prior& complete, const kernels::gmm_shape& shape,
                                  const kernels::frame& f, double weight_scale);

} // namespace elbo::gmm
