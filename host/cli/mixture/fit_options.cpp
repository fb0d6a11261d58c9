#include "host/cli/mixture/fit_options.hpp"

#include "elbo/error.hpp"
#include "host/cli/core/fit_command.hpp"
#include "host/gmm/model/model_file.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::cli {

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

void model_arguments::add_start_option(parser& app) {
    app.add_option("--start", start, std::string(field_of(&gmm::fit_options::start).help), "METHOD|FILE", "Fit")
        ->capture_default_str();
}

void prior_arguments::add_options(parser& app) {
    using s = gmm::parameter_prior;
    app.add_option("--prior", name, "Maximum a posteriori: mclust, what is not given below follows the data; or none",
                   "NAME", "Prior");
    numbers = {add_field(app, "--prior-concentration", typed, &s::concentration, "A", "Prior"),
               add_field(app, "--prior-mean", typed, &s::mean, "M,...", "Prior"),
               add_field(app, "--prior-mean-precision", typed, &s::mean_precision, "K", "Prior"),
               add_field(app, "--prior-degrees-of-freedom", typed, &s::degrees_of_freedom, "NU", "Prior"),
               add_field(app, "--prior-scale", typed, &s::scale, "S,...", "Prior")};
}

std::optional<gmm::parameter_prior> prior_arguments::parsed() const {
    const bool any = std::ranges::any_of(numbers, [](const option* o) { return o->count() > 0; });
    if (!name.empty())
        place_of("--prior", name, {"mclust", "none"});
    if (name == "none" && any)
        throw invalid_argument("--prior none: expected no other option of a prior beside it");
    return name == "none" || (name.empty() && !any) ? std::nullopt : std::optional(typed);
}

void add_precision_option(parser& app, gmm::compute_precision& precision) {
    const auto choose = [&precision](const std::string& name) {
        precision =
            static_cast<gmm::compute_precision>(place_of("--precision", name, {"automatic", "float32", "float64"}));
    };
    app.add_choice("--precision", std::string(name_of(precision)), choose,
                   std::string(field_of(&gmm::fit_options::precision).help))
        ->type_name("TYPE")
        ->group("Fit");
}

void add_iteration_options(parser& app, gmm::fit_options& options) {
    add_loop_options(app, options);
    add_precision_option(app, options.precision);
    add_collapse_option(app, options);
}

} // namespace elbo::cli
