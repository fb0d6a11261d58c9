// Rows on their way through the engine of a model with continuous latent variables.
#pragma once

#include "host/rows/column_summary.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/resident_rows.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/contract/latent_engine.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace elbo::latent {

/// Data with weights, an engine, and the frame that maps one to the other.
template <class Engine>
class latent_rows {
public:
    /// Checks every value and weight, and finds what a fit derives from the columns. Throws invalid_argument.
    latent_rows(const context& ctx, const data_source& data, const sample_weights& weights,
                std::unique_ptr<Engine> engine)
        : ctx_(ctx), rows_(gmm::row_feed(ctx, data, weights), std::move(engine)),
          summary_(gmm::summarize_columns(rows_.feed(), *gmm::make_moments_engine(ctx, data.cols(), data.type()))) {}

    const gmm::data_summary& summary() const { return summary_; }
    gmm::row_feed& feed() { return rows_.feed(); }
    const gmm::row_feed& feed() const { return rows_.feed(); }
    const negligible_weights& negligible() const { return rows_.feed().negligible(); }
    const kernels::frame& frame() const { return rows_.frame(); }
    /// W in the units of the sums.
    double total_weight() const { return summary_.weight * rows_.feed().weight_scale(); }

    /// Memory for the rows in this frame and passes of up to this shape, and the rows. memory_limit as in the options
    /// of fits.
    void load(const kernels::frame& f, const typename Engine::shape_type& largest_shape, std::int64_t memory_limit) {
        largest_ = gmm::largest_normalized(summary_, f);
        if (rows_.engine().bytes_needed(largest_shape, summary_.rows, rows_.feed().weighted()) >
            available_bytes(ctx_, memory_limit))
            rows_.stream();
        rows_.load(f);
    }

protected:
    /// max |x̃|
    double largest() const { return largest_; }
    /// The sums of one pass, [sum_count(p.shape)], in the frame. Counts are in units of total_weight().
    std::vector<double> sums_of(const typename Engine::parameters& p, const kernels::sum_bounds& bounds) {
        Engine& engine = rows_.engine();
        engine.set_parameters(p);
        engine.clear_sums(bounds);
        rows_.accumulate();
        return engine.sums();
    }

private:
    const context& ctx_;
    resident_rows<Engine> rows_;
    gmm::data_summary summary_;
    double largest_ = 1;
};

class factor_rows : public latent_rows<kernels::latent_engine> {
public:
    factor_rows(const context& ctx, const data_source& data, const sample_weights& weights)
        : latent_rows(ctx, data, weights, kernels::make_latent_engine(ctx, data.cols())) {}
    std::vector<double> sums(const kernels::latent_parameters& p);
};

} // namespace elbo::latent
