// One self-contained HTML page about a mixture: what was fitted to what, in pictures and a table.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace elbo::report {

/// At most this many points are drawn: a picture of more is no clearer, and the page stays small.
inline constexpr std::int64_t largest_point_count = 5000;
/// The same for points of so many dimensions, whose numbers (float64) take at most 128 MB.
constexpr std::int64_t shown_points(std::int64_t dimensions) {
    return std::clamp<std::int64_t>((std::int64_t(1) << 24) / dimensions, 1, largest_point_count);
}

/// Rows of the data and the component each belongs to.
struct point_set {
    std::vector<double> rows;         ///< [n x d]
    std::vector<std::int32_t> labels; ///< [n]
    std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct page {
    std::string title;                                      ///< "Gaussian mixture of faithful.csv"
    std::vector<std::pair<std::string, std::string>> facts; ///< the summary: name, value
    const gmm::model* model = nullptr;                      ///< required
    std::vector<std::string> column_names;
    point_set points;
    std::int64_t samples = 0;             ///< rows of which `points` shows some
    const gmm::fit_result* fit = nullptr; ///< trace and events
    std::string command;                  ///< that makes this page again
    std::string made_by;                  ///< "elbo 0.1.0 on CPU, 2 threads"
};

/// The page as HTML with inline SVG: nothing is loaded from elsewhere. Throws invalid_argument if the points have
/// another dimension than the model or their labels are not its components.
std::string render(const page& p);

} // namespace elbo::report
