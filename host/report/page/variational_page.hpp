// One self-contained HTML page about a variational fit: the bound and its terms, the weights, the mixture at the
// posterior means.
#pragma once

#include "host/report/page/mixture_page.hpp"

#include <string>

namespace elbo::report {

/// `plug_in` as for a page about one model; `result` must outlive the page.
struct variational_page {
    mixture_page plug_in;
    const gmm::variational_result* result = nullptr; ///< required
};

/// The page as HTML with inline SVG. Throws as render does for one model.
std::string render(const variational_page& p);

} // namespace elbo::report
