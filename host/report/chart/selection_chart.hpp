// The pictures and the table of a choice among mixtures; HTML or SVG, empty where there is nothing to show.
#pragma once

#include "elbo/gmm/select.hpp"

#include <string>

namespace elbo::report {

/// A criterion over the number of components, one line a family, the chosen model in a ring if it was chosen by it.
/// Held-out values have error bars of one standard error.
std::string criterion_chart(const gmm::select_result& r, gmm::criterion which);

/// The families with their markers, where there are several.
std::string family_legend(const gmm::select_result& r);

/// All models, the chosen one marked.
std::string selection_table(const gmm::select_result& r);

} // namespace elbo::report
