// One self-contained HTML page about a choice among mixtures: the criteria over the number of components, the table,
// and the model that was chosen.
#pragma once

#include "host/report/page/mixture_page.hpp"

#include <string>

namespace elbo::report {

/// `chosen` as for a page about one model (its title is the page's); `result` must outlive the page.
struct selection_page {
    mixture_page chosen;
    const gmm::select_result* result = nullptr; ///< required
};

/// The page as HTML with inline SVG. Throws as render does for one model.
std::string render(const selection_page& p);

} // namespace elbo::report
