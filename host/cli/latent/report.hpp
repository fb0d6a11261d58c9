// The page of a fit with continuous latent variables.
#pragma once

#include "host/cli/latent/summary.hpp"

#include <string>

namespace elbo::cli {

/// Writes the page: the summary, the chain of the bound, and rows of the data at the means of their first two latent
/// variables (one latent variable: its mean against the row; a sphere in two dimensions: the rows with the circle).
void write_latent_report(const std::string& path, const context& ctx, const latent_fit_summary& fit,
                         const data_source& data, const std::string& command_line);

} // namespace elbo::cli
