// Rows on their way through a sphere engine.
#pragma once

#include "elbo/latent/sphere.hpp"
#include "host/rows/resident_rows.hpp"
#include "kernels/contract/radial_engine.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::latent {

/// Data with weights in an engine, in a frame with one scale.
class sphere_rows {
public:
    /// Checks the data and weights. Throws invalid_argument.
    sphere_rows(const context& ctx, const data_source& data, const gmm::sample_weights& weights,
                std::int64_t memory_limit);

    const gmm::data_summary& summary() const { return summary_; }
    const gmm::negligible_weights& negligible() const { return rows_.feed().negligible(); }
    const kernels::frame& frame() const { return rows_.frame(); }
    /// Σ_j variance_j / d, in the frame.
    double mean_variance() const;
    /// The sums of one pass, [sum_count(shape)], in the frame.
    std::vector<double> sums(const kernels::sphere_values& p);

private:
    resident_rows<kernels::sphere_engine> rows_;
    gmm::data_summary summary_;
    double reach_ = 1; ///< max ‖x̃‖ or more
};

/// Parameters in a frame, and back.
kernels::sphere_values to_frame(const sphere_model& m, const kernels::frame& f);
sphere_model from_frame(const kernels::sphere_values& p, const kernels::frame& f);

} // namespace elbo::latent
