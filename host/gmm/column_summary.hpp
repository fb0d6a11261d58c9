// What a fit derives from the columns of its data before it begins: docs/regularization.md.
#pragma once

#include "host/gmm/row_feed.hpp"
#include "kernels/gmm_engine.hpp"

#include <vector>

namespace elbo::gmm {

/// The pass of row_feed::summarize(), with the mean and variance of each column without the rows that are left out, the
/// variance that λ is a share of, and an event for each column with far values. Where a column is in doubt the data are
/// read once more, and where something is left out twice. Throws as summarize() does, and invalid_argument for a
/// column whose deviation is not from 1e-150 to 1e150.
data_summary summarize_columns(row_feed& feed, kernels::gmm_engine& engine);

} // namespace elbo::gmm
