// Where the bulk of one column lies, from its values alone (docs/regularization.md).
#pragma once

#include <optional>
#include <vector>

namespace elbo::gmm {

/// Values further than this from the median, in robust deviations, are left out.
constexpr double most_robust_z = 1e4;
/// 1.4826 MAD is the standard deviation of a normal column.
constexpr double normal_mad = 1.4826;
/// No value that many rows share counts for more than this share of the weight: it has no width of its own.
constexpr double most_of_one_value = 1.0 / 20;
/// A column is as wide as the shortest interval with this share of its weight ...
constexpr double share_of_interval = 1.0 / 10;
/// ... where that is so much narrower than its deviation.
constexpr double narrow_interval = 0x1p-20;

struct weighted_value {
    double value = 0, weight = 0;
};

struct value_range {
    double lower = 0, upper = 0;
    bool holds(double x) const { return x >= lower && x <= upper; }
};

/// What the values of a column say about its scale.
struct column_scale {
    double median = 0, spread = 0; ///< weighted, spread = 1.4826 MAD; 0 where all values are equal
    /// The values within 1e4 spreads of the median, ends included.
    value_range usual;
    /// The shortest interval with a tenth of their weight, where it is narrower than 2⁻²⁰ of their deviation.
    std::optional<value_range> narrow;
};

/// From the values of some rows with their weights > 0, in any order; sorts them. Needs values whose squared
/// differences are finite, and at least one.
column_scale scale_of_column(std::vector<weighted_value>& values);

} // namespace elbo::gmm
