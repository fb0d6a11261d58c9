// One self-contained HTML page about a mixture: what was fitted to what, in pictures and a table.
#pragma once

#include "elbo/report.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace elbo::report {

/// Rows of the data and the component each belongs to.
struct point_set {
    std::vector<double> rows;         ///< [n x d]
    std::vector<std::int32_t> labels; ///< [n]
    std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct mixture_page : heading {
    const gmm::model* model = nullptr; ///< required
    std::vector<std::string> column_names;
    point_set points;
    std::int64_t samples = 0;             ///< rows of which `points` shows some
    const gmm::fit_result* fit = nullptr; ///< trace and events
};

/// The page about a mixture and some of these rows; `m` must outlive it. `between` is called before each batch.
mixture_page page_of(const context& ctx, const gmm::model& m, const data_source& data, heading about,
                     const std::function<void()>& between = {});

/// Throws invalid_argument if the points have another dimension than the model or their labels are not its components.
void check(const mixture_page& p);
/// The density over the points with its legend and what it shows, under a heading; HTML.
std::string density_section(const mixture_page& p);
/// The page as HTML with inline SVG: nothing is loaded from elsewhere. Throws as check().
std::string render(const mixture_page& p);

} // namespace elbo::report
