// The M-step of the sphere model and its start: from the sums of a pass to the next parameters.
#pragma once

#include "kernels/contract/radial_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::latent {

/// What one E-step and M-step came to: means per sample, in the frame.
struct sphere_step {
    kernels::sphere_values next;
    double log_likelihood = 0;
    double entropy = 0;    ///< −KL(q(u) ‖ uniform)
    double elbo_after = 0; ///< J(q, next)
    bool noise_floored = false;
    bool one_sided = false; ///< the radius was kept, since 1 − ‖⟨ū⟩‖² is 0 to rounding
};

/// The maximum of J(q, ·) with q the posterior under `current` that the sums are of; noise at least least_noise.
sphere_step maximize(const kernels::sphere_values& current, const std::vector<double>& sums, double least_noise);

/// A pass with these parameters takes each sample's own direction for u and measures its distance from `centre`.
kernels::sphere_values distance_probe(std::vector<double> centre, double mean_variance);
/// Radius and noise about the centre of the probe from its sums, by the method of moments.
kernels::sphere_values start_from_distances(const kernels::sphere_values& probe, const std::vector<double>& sums,
                                            double least_noise);

/// Largest change of the centre's coordinates and the radius.
double largest_change(const kernels::sphere_values& a, const kernels::sphere_values& b);

} // namespace elbo::latent
