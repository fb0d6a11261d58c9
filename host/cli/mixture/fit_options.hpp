// Options that the commands which fit mixtures share.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/variational.hpp"
#include "host/cli/core/command_line.hpp"
#include "host/cli/core/inputs.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::cli {

/// Options of a fit as they are typed.
struct fit_arguments {
    gmm::fit_options fit;
    std::string on_collapse = "reseed";
    std::string precision = "automatic";

    /// With the names turned into values. Throws invalid_argument.
    gmm::fit_options parsed() const;
};

/// Throws invalid_argument that names the first of these options that was given, and why it cannot be.
void refuse_given(const std::vector<option*>& options, std::string_view why);

/// -k, --family and --start as they are typed.
struct model_arguments {
    std::optional<std::int64_t> components;
    std::string family;
    std::string start = "automatic";

    void add_model_options(parser& command, const std::string& what);
    void add_start_option(parser& command);
    /// Sets components, shape, start and start_model. A model says how many components of which family there are, and
    /// returned are the names of its columns. Throws invalid_argument and file_error.
    template <class Options>
    model_columns set(Options& options) const;
};
extern template model_columns model_arguments::set(gmm::fit_options&) const;
extern template model_columns model_arguments::set(gmm::variational_options&) const;

/// Whether what was typed for --start is meant as a file.
bool is_model_file(const std::string& start);
/// What was typed there where it is a file, else nothing: for check_files.
std::string start_file(const std::string& start);
/// --regularization and --relative-regularization.
void add_regularization_options(parser& command, gmm::fit_options& options);
/// --on-collapse.
void add_collapse_option(parser& command, std::string& policy);
/// --restarts, --max-iterations, --tolerance and --seed, into the members of these names.
template <class Options>
void add_loop_options(parser& command, Options& options) {
    command.add_option("--restarts", options.restarts, "Starts, of which the best is kept")
        ->type_name("R")
        ->capture_default_str()
        ->group("Fit");
    command.add_option("--max-iterations", options.max_iterations, "Limit of the iterations of one start")
        ->type_name("N")
        ->capture_default_str()
        ->group("Fit");
    command.add_option("--tolerance", options.tolerance, "Stop below this gain, in nats per sample")
        ->type_name("T")
        ->capture_default_str()
        ->group("Fit");
    command.add_option("--seed", options.seed, "Seed of the random numbers")
        ->type_name("S")
        ->capture_default_str()
        ->group("Fit");
}
/// --precision, and what was typed there as a value. Throws invalid_argument.
void add_precision_option(parser& command, std::string& precision);
gmm::compute_precision precision_from_string(const std::string& name);
/// All of them and --on-collapse.
void add_iteration_options(parser& command, fit_arguments& arguments);

} // namespace elbo::cli
