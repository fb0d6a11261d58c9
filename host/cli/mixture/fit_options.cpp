#include "host/cli/mixture/fit_options.hpp"

#include "elbo/error.hpp"
#include "host/gmm/model/model_file.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace elbo::cli {

bool is_model_file(const std::string& start) {
    return start.ends_with(".safetensors") || start.ends_with(".json") || std::filesystem::exists(start);
}

gmm::compute_precision precision_from_string(const std::string& name) {
    if (name == "automatic")
        return gmm::compute_precision::automatic;
    if (name == "float32")
        return gmm::compute_precision::float32;
    if (name == "float64")
        return gmm::compute_precision::float64;
    throw invalid_argument(fmt::format("--precision {}: expected automatic, float32 or float64", name));
}

gmm::fit_options fit_arguments::parsed() const {
    gmm::fit_options options = fit;
    options.on_collapse = gmm::collapse_policy_from_string(on_collapse);
    options.precision = precision_from_string(precision);
    return options;
}

std::string start_file(const std::string& start) {
    return is_model_file(start) ? start : "";
}

template <class Options>
model_columns model_arguments::set(Options& options) const {
    model_columns columns;
    if (is_model_file(start)) {
        gmm::saved_model saved = gmm::load_saved(start);
        options.start_model = std::move(saved.model);
        options.components = options.start_model->components();
        options.shape = options.start_model->shape();
        columns = {std::move(saved.column_names), start};
    } else {
        try {
            options.start = gmm::start_method_from_string(start);
        } catch (const invalid_argument& unknown) {
            throw invalid_argument(fmt::format("--start {}: there is no such file, and {}", start, unknown.what()));
        }
    }
    if (components)
        options.components = *components;
    else if (!options.start_model)
        throw invalid_argument("the number of components is missing: give -k K, or --start with a model file");
    if (!family.empty())
        options.shape = gmm::family_from_string(family);
    return columns;
}

template model_columns model_arguments::set(gmm::fit_options&) const;
template model_columns model_arguments::set(gmm::variational_options&) const;

void model_arguments::add_model_options(parser& command, const std::string& what) {
    command.add_option("-k,--components", components, what)->type_name("K")->group("Model");
    command
        .add_option("--family", family,
                    "Covariances: full, tied, diagonal, spherical, tied_diagonal or tied_spherical (default: full)")
        ->type_name("FAMILY")
        ->group("Model");
}

void model_arguments::add_start_option(parser& command) {
    command.add_option("--start", start, "Start: automatic, kmeans, kmeans++, random, samples, or a model file")
        ->type_name("METHOD|FILE")
        ->capture_default_str()
        ->group("Fit");
}

void refuse_given(const std::vector<option*>& options, std::string_view why) {
    for (const option* o : options)
        if (o->count() > 0)
            throw invalid_argument(fmt::format("{}: {}", o->get_name(), why));
}

void add_regularization_options(parser& command, gmm::fit_options& options) {
    command
        .add_option("--regularization", options.regularization,
                    "Added to the diagonal of each covariance, in squared units of the data (default 0)")
        ->type_name("L")
        ->group("Model");
    command
        .add_option("--relative-regularization", options.relative_regularization,
                    "The same as a share of the variance of each column, far values left out (default 1e-6)")
        ->type_name("L")
        ->group("Model");
}

void add_collapse_option(parser& command, std::string& policy) {
    command.add_option("--on-collapse", policy, "What to do with an empty or singular component: reseed, drop or fail")
        ->type_name("POLICY")
        ->capture_default_str()
        ->group("Fit");
}

void add_precision_option(parser& command, std::string& precision) {
    command.add_option("--precision", precision, "Arithmetic: automatic (that of the data), float32 or float64")
        ->type_name("TYPE")
        ->capture_default_str()
        ->group("Fit");
}

void add_iteration_options(parser& command, fit_arguments& arguments) {
    add_loop_options(command, arguments.fit);
    add_precision_option(command, arguments.precision);
    add_collapse_option(command, arguments.on_collapse);
}

} // namespace elbo::cli
