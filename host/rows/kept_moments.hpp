// Moments of columns without the values that are left out.
#pragma once

#include "host/rows/robust_column.hpp"
#include "host/rows/row_feed.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// A column of which something is left out.
struct kept_column {
    std::int64_t column = 0;
    column_scale scale;
    value_range kept() const { return scale.narrow.value_or(scale.usual); }
};

/// Weighted moments of the values in kept(), and which values lie outside the usual range.
struct kept_moments {
    double weight = 0, mean = 0, m2 = 0; ///< m2 = Σ w (x − mean)²
    double largest = 0;                  ///< max |x|
    std::int64_t far_rows = 0, far_row = -1;
    double far_value = 0; ///< the one farthest from the median, in row far_row
};

/// One pass over the rows on the host. Sums run in the order of the rows within units and in the order of the units, so
/// they have the same bits for any batches and on every back end.
std::vector<kept_moments> moments_of_kept(const row_feed& feed, const std::vector<kept_column>& columns);

} // namespace elbo::gmm
