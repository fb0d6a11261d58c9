// Options that the commands which fit mixtures share.
#pragma once

#include "elbo/gmm/fit.hpp"

#include <CLI/CLI.hpp>
#include <string>

namespace elbo::cli {

/// Options of a fit as they are typed.
struct fit_arguments {
    gmm::fit_options fit;
    std::string on_collapse = "reseed";
    std::string precision = "automatic";

    /// With the names turned into values. Throws invalid_argument.
    gmm::fit_options parsed() const;
};

/// --regularization and --relative-regularization.
void add_regularization_options(CLI::App& command, gmm::fit_options& options);
/// --on-collapse.
void add_collapse_option(CLI::App& command, std::string& policy);
/// --restarts, --max-iterations, --tolerance, --seed, --precision and --on-collapse.
void add_iteration_options(CLI::App& command, fit_arguments& arguments);

} // namespace elbo::cli
