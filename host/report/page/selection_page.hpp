// One self-contained HTML page about a choice among mixtures: the criteria over the number of components, the table,
// and the model that was chosen. Parts are HTML or SVG, empty where there is nothing to show.
#pragma once

#include "host/report/page/mixture_page.hpp"

#include <string>

namespace elbo::report {

/// A criterion over the number of components, one line a family, the chosen model in a ring if it was chosen by it.
/// Held-out values have error bars of one standard error.
std::string criterion_chart(const gmm::select_result& r, gmm::criterion which);

/// The families with their markers, where there are several.
std::string family_legend(const gmm::select_result& r);

/// All models, the chosen one marked.
std::string selection_table(const gmm::select_result& r);

/// `chosen` as for a page about one model (its title is the page's); `result` must outlive the page.
struct selection_page {
    mixture_page chosen;
    const gmm::select_result* result = nullptr; ///< required
};

/// The page as HTML with inline SVG. Throws as render does for one model.
std::string render(const selection_page& p);

} // namespace elbo::report
