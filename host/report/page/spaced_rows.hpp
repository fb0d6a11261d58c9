// Some rows of data, evenly spaced: the same for every way the data is stored.
#pragma once

#include "elbo/data_source.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace elbo::report {

/// At most this many points are drawn: a picture of more is no clearer, and the page stays small.
inline constexpr std::int64_t largest_point_count = 5000;
/// The same for points of so many dimensions, whose numbers (float64) take at most 128 MB.
constexpr std::int64_t shown_points(std::int64_t dimensions) {
    return std::clamp<std::int64_t>((std::int64_t(1) << 24) / dimensions, 1, largest_point_count);
}

/// Rows r(0) < r(1) < ... < r(count - 1) of the data as float64, row-major; `between` is called before each batch.
std::vector<double> gather_rows(const data_source& data, std::int64_t count,
                                const std::function<std::int64_t(std::int64_t)>& r,
                                const std::function<void()>& between = {});
/// At most `limit` rows, evenly spaced.
std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit,
                                       const std::function<void()>& between = {});
/// Elements of `values` [n] at the rows that evenly_spaced_rows takes of n.
std::vector<double> evenly_spaced(const std::vector<double>& values, std::int64_t limit);

} // namespace elbo::report
