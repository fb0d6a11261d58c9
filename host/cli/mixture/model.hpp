// A mixture for the commands: how it is opened, and what people (a table, a page) and programs (JSON) see of it.
#pragma once

#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/fit_command.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/model/model_file.hpp"

namespace elbo::cli {

/// "full, 2 components, 2 dimensions".
std::string describe(const gmm::model& m);

/// Weight, mean and standard deviation of the components; shortened where there are many or many dimensions.
std::string component_text(const gmm::model& m, const std::vector<std::string>& column_names);

/// Adds "dimensions", "components" and "family".
void add_shape(json& summary, const gmm::model& m);
/// Adds "weights", "means" and "covariances", nested as the shapes of the arrays are. An array of means or covariances
/// of more than 10,000 numbers is null.
void add_parameters(json& summary, const gmm::model& m);

/// What a command that makes a model does at last: writes it and prints it, with a `head` before it; `found` is what
/// the command knows beside it.
exit_status deliver(const output_options& output, const std::string& path, findings found, const gmm::model& made,
                    const std::vector<std::string>& names, const std::string& head = "");

struct mixture_kind {
    using saved = gmm::saved_model;
    static constexpr const char* argument_help = "Model file (.safetensors or .json)";

    static saved load(const std::string& path) { return gmm::load_saved(path); }
    static const std::vector<std::string>& columns(const saved& s) { return s.column_names; }
    static std::int64_t dimensions(const saved& s) { return s.model.dimensions(); }
    static std::string describe(const saved& s) { return cli::describe(s.model); }
    static void add_shape(json& summary, const saved& s) { cli::add_shape(summary, s.model); }
    static void add_parameters(json& summary, const saved& s);
    static std::string text(const saved& s);
    static std::string page(const applied<mixture_kind>& work, const fact_list& facts);
    static std::string info_page(const saved& s, const std::string& path, const std::string& command_line);
};
extern template class apply_command<mixture_kind>;

// Options that the commands which fit mixtures share.

/// -k, --family and --start as they are typed.
struct model_arguments {
    std::optional<std::int64_t> components;
    std::string family;
    std::string start = "automatic";

    template <class Options>
    void add_model_options(parser& app) {
        app.add_option("-k,--components", components, help_of(&Options::components), "K", "Model");
        app.add_option("--family", family, help_of(&Options::shape) + " (default: full)", "FAMILY", "Model");
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
    std::vector<option> numbers;

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
