// What a fit derives from the columns of its data before it begins: docs/regularization.md.
#pragma once

#include "host/rows/row_feed.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>

namespace elbo::gmm {

/// The pass of row_feed::summarize(), with the mean and variance of each column without the rows that are left out, the
/// variance that λ is a share of, and an event for each column with far values. Where a column is in doubt the data are
/// read once more, and where something is left out twice. Throws as summarize() does, and invalid_argument for a
/// column whose deviation is not from 1e-150 to 1e150.
data_summary summarize_columns(row_feed& feed, kernels::gmm_engine& engine);

/// Bytes of host memory that the pass takes beside the engine, for rows that leave no column in doubt.
std::int64_t summary_bytes(std::int64_t rows, std::int64_t dimensions);

} // namespace elbo::gmm
