// The components of a mixture in a table and in a line; HTML.
#pragma once

#include "elbo/gmm/model.hpp"

#include <string>
#include <vector>

namespace elbo::report {

/// Weights, means and standard deviations.
std::string component_table(const gmm::model& m, const std::vector<std::string>& column_names);
/// Legend entry (marker and weight) of the components, shortened where there are many.
std::string component_legend(const gmm::model& m);

} // namespace elbo::report
