// Rows on their way through a latent engine.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "host/rows/resident_rows.hpp"
#include "kernels/contract/latent_engine.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace elbo::latent {

/// One pass that checks every value and weight, with what a fit derives from the columns (gmm::summarize_columns).
/// Throws invalid_argument that names row and column.
gmm::data_summary summarize(const context& ctx, gmm::row_feed& feed);

/// Data with weights, an engine, and the frame that maps one to the other.
class factor_rows {
public:
    /// Checks the data and weights. Throws invalid_argument.
    factor_rows(const context& ctx, const data_source& data, const gmm::sample_weights& weights);

    const gmm::data_summary& summary() const { return summary_; }
    gmm::row_feed& feed() { return rows_.feed(); }
    const gmm::row_feed& feed() const { return rows_.feed(); }
    const gmm::negligible_weights& negligible() const { return rows_.feed().negligible(); }
    const kernels::frame& frame() const { return rows_.frame(); }
    /// W in the units of the sums.
    double total_weight() const { return summary_.weight * rows_.feed().weight_scale(); }

    /// Memory for the rows in this frame and passes of up to this shape, and the rows. memory_limit as in the options
    /// of fits.
    void load(const kernels::frame& f, const kernels::latent_shape& largest, std::int64_t memory_limit);
    /// The sums of one pass, [sum_count(p.shape)], in the frame. Counts are in units of total_weight().
    std::vector<double> sums(const kernels::latent_parameters& p);

private:
    const context& ctx_;
    resident_rows<kernels::latent_engine> rows_;
    gmm::data_summary summary_;
    double largest_ = 1; ///< max |x̃|
};

} // namespace elbo::latent
