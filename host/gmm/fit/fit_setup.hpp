// What EM, variational Bayes and the plan of memory have in common: options, rows, where a fit begins, a pass.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/gmm/start/start.hpp"
#include "host/rows/resident_rows.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::gmm {

/// Checked options, the way to the data, and an engine without rows yet.
struct fit_setup {
    /// Throws invalid_argument.
    fit_setup(const context& c, const data_source& data, const fit_options& o);

    const context& ctx;
    const fit_options& options;
    resident_rows<kernels::gmm_engine> rows;

    const row_feed& feed() const { return rows.feed(); }
    kernels::gmm_engine& engine() const { return rows.engine(); }
    const kernels::gmm_shape& shape() const { return engine().shape; }
    /// Bytes of the device (the host's memory for cpu and reference) that a start takes at most, for as long as it
    /// lasts.
    std::int64_t start_bytes() const;

private:
    /// Rows, in whole units, that the engine can hold in so many bytes.
    std::int64_t rows_within(std::int64_t bytes) const;
};

/// The data of a fit by EM or variational Bayes: its moments and frame, where restarts begin, and passes over the rows.
/// Parameters are in the frame.
class mixture_rows : public fit_setup {
public:
    /// Reads the data once (summarize_columns). The mean of a prior, where there is one, is where means are drawn to.
    /// Throws invalid_argument for what fit_setup and summarize_columns() find, and for fewer distinct rows than
    /// components.
    mixture_rows(const context& ctx, const data_source& data, const fit_options& options,
                 const std::optional<std::vector<double>>& prior_mean);

    const data_summary& summary() const { return summary_; }
    const kernels::frame& frame() const { return frame_; }
    double log_scale() const { return log_scale_; }
    /// W in the units of the sums, and the scales of these (gmm_engine::clear_sums).
    double total_weight() const { return summary_.weight * feed().weight_scale(); }
    double component_bound() const { return component_bound_; }
    double scalar_bound() const { return scalar_bound_; }
    /// [d] as in update_rule.
    const std::vector<double>& lambda() const { return lambda_; }
    /// update_rule::scatter, once the rows are loaded.
    const std::vector<double>& scatter() const { return scatter_; }

    /// Parameters that restart number `restart` begins with; then the rows are loaded.
    kernels::gmm_parameters start(std::int64_t restart, fit_seconds& spent);
    /// Memory for the rows, and the rows, where they stay.
    void load(fit_seconds& spent);
    /// One E-step over all rows: the engine's sums, from zero.
    void pass();
    /// What is to be said about the start: components of the start model that are the same as one before them, where no
    /// label tells them apart.
    std::vector<event> start_events() const;

private:
    kernels::gmm_parameters first_parameters(std::int64_t restart);
    /// Largest |x̃| of the rows, and of means that need not lie among them: the start model's, and that of a prior,
    /// which draws others to it. Throws invalid_argument where one is too far from the rows for the sums.
    double reach(const std::optional<std::vector<double>>& prior_mean) const;

    data_summary summary_;
    kernels::frame frame_;
    double log_scale_ = 0, component_bound_ = 0, scalar_bound_ = 0;
    std::vector<double> lambda_, scatter_;
    start_sample sample_; ///< drawn by the first start that needs it
    bool loaded_ = false;
};

} // namespace elbo::gmm
