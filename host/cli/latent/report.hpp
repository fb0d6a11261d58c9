// The page of a fit with continuous latent variables.
#pragma once

#include "host/cli/latent/model.hpp"

#include "elbo/gmm/fit.hpp"

#include <string>
#include <vector>

namespace elbo::cli {

/// The facts, the chain of the bound, and rows of the data at the means of their first two latent variables (one latent
/// variable: its mean against the row; a sphere in two dimensions: the rows with the circle).
std::string latent_page(const context& ctx, const latent_model& model, const std::vector<gmm::iteration_record>& trace,
                        const data_source& data, fact_list facts, const std::string& command_line);

} // namespace elbo::cli
