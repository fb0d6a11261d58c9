// Options that the commands which fit mixtures share.
#pragma once

#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/gmm/variational/fields.hpp"

#include <optional>
#include <string>
#include <vector>

namespace elbo::cli {

/// -k, --family and --start as they are typed.
struct model_arguments {
    std::optional<std::int64_t> components;
    std::string family;
    std::string start = "automatic";

    template <class Options>
    void add_model_options(parser& app) {
        app.add_option("-k,--components", components, std::string(field_of(&Options::components).help), "K", "Model");
        app.add_option("--family", family, std::string(field_of(&Options::shape).help) + " (default: full)", "FAMILY",
                       "Model");
    }
    void add_start_option(parser& app);
    /// Sets components, shape, start and start_model. A model says how many components of which family there are, and
    /// returned are the names of its columns. Throws invalid_argument and file_error.
    template <class Options>
    model_columns set(Options& options) const;
};
extern template model_columns model_arguments::set(gmm::fit_options&) const;
extern template model_columns model_arguments::set(gmm::variational_options&) const;

/// --prior and its numbers as they are typed.
struct prior_arguments {
    std::string name;
    gmm::parameter_prior typed;
    std::vector<option*> numbers;

    void add_options(parser& app);
    /// None without any of the options. Throws invalid_argument.
    std::optional<gmm::parameter_prior> parsed() const;
};

/// --precision.
void add_precision_option(parser& app, gmm::compute_precision& precision);

/// --regularization and --relative-regularization.
template <class Options>
void add_regularization_options(parser& app, Options& options) {
    add_field(app, "--regularization", options, &Options::regularization, "L", "Model");
    add_field(app, "--relative-regularization", options, &Options::relative_regularization, "L", "Model");
}

/// --on-collapse.
template <class Options>
void add_collapse_option(parser& app, Options& options) {
    add_field(app, "--on-collapse", options, &Options::on_collapse, "POLICY", "Fit");
}

/// Of the iterations of a fit, with those two.
void add_iteration_options(parser& app, gmm::fit_options& options);

} // namespace elbo::cli
