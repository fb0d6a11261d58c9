// Rows on their way through a sphere engine.
#pragma once

#include "elbo/latent/sphere.hpp"
#include "host/latent/rows.hpp"
#include "kernels/contract/radial_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::latent {

/// In a frame with one scale.
class sphere_rows : public latent_rows<kernels::sphere_engine> {
public:
    /// Throws as latent_rows; memory_limit as in sphere_options.
    sphere_rows(const context& ctx, const data_source& data, const sample_weights& weights, std::int64_t memory_limit);
    /// Σ_j variance_j / d, in the frame.
    double mean_variance() const;
    std::vector<double> sums(const kernels::sphere_values& p);
};

/// Parameters in a frame, and back.
kernels::sphere_values to_frame(const sphere_model& m, const kernels::frame& f);
sphere_model from_frame(const kernels::sphere_values& p, const kernels::frame& f);

} // namespace elbo::latent
