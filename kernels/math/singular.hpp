// When a covariance counts as singular, and what is added to it where it must be factored all the same.
//
// Columns are normalised by the deviation of their ordinary values. A component that holds far values, 10⁸ deviations
// away, has a variance of 10¹⁶ in their column: beside it the others would all look singular, though they are healthy.
#pragma once

#include "kernels/contract/gmm_layout.hpp"
#include "kernels/math/macros.hpp"

namespace elbo::kernels {

/// A variance as it counts in the mean diagonal that pivots are compared with: not beyond that of a column, 1.
ELBO_HD constexpr double counted_variance(double variance) {
    return variance > 1 ? 1 : variance;
}

/// A pivot at or below this counts as singular (docs/kernels.md section 5): singular_share of the mean of the counted
/// variances, or of its own variance where that is beyond 1, since the rounding of a pivot is relative to its variance.
ELBO_HD constexpr double largest_singular_pivot(double variance, double mean) {
    return singular_share * (variance > 1 ? variance : mean);
}

/// The floor of a diagonal whose counted variances have this mean.
ELBO_HD constexpr double floor_of_diagonal(double mean) {
    constexpr double share = 0x1p-20, least = 0x1p-60;
    return share * mean > least ? share * mean : least;
}

/// A variance raised by that floor, which is relative to itself where it is beyond 1.
ELBO_HD constexpr double raised_variance(double variance, double floor) {
    return variance > 1 ? variance + floor_of_diagonal(variance) : (variance > 0 ? variance : 0) + floor;
}

} // namespace elbo::kernels
