// A model for people (a table) and for programs (JSON).
#pragma once

#include "elbo/gmm/model.hpp"
#include "host/io/model/json.hpp"

#include <string>
#include <vector>

namespace elbo::cli {

/// "full, 2 components, 2 dimensions".
std::string describe(const gmm::model& m);

/// Weight, mean and standard deviation of the components; shortened where there are many or many dimensions.
std::string component_text(const gmm::model& m, const std::vector<std::string>& column_names);

/// Adds "weights", "means" and "covariances" to a summary, nested as the shapes of the arrays are. An array of means or
/// covariances of more than 10,000 numbers is null.
void add_parameters(io::json& summary, const gmm::model& m);

} // namespace elbo::cli
