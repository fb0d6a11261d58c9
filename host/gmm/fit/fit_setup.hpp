// What a fit and its memory plan have in common.
#pragma once

#include "elbo/gmm/fit.hpp"
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
    const kernels::gmm_shape& shape() const { return rows.engine().shape; }
    /// Bytes of the device (the host's memory for cpu and reference) that a start takes at most, for as long as it
    /// lasts.
    std::int64_t start_bytes() const;
    /// Largest |x̃| of the rows, and of means that need not lie among them: the start model's, and that of a prior,
    /// which draws others to it. Throws invalid_argument where one is too far from the rows for the sums.
    double reach(const data_summary& summary, const kernels::frame& f,
                 const std::optional<std::vector<double>>& prior_mean) const;

private:
    /// Rows, in whole units, that the engine can hold in so many bytes.
    std::int64_t rows_within(std::int64_t bytes) const;
};

} // namespace elbo::gmm
