#include "host/cli/mixture/model.hpp"

#include "host/report/chart/charts.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/version.hpp"

namespace elbo::cli {
namespace {

constexpr std::int64_t largest_row_count = 30;
constexpr std::int64_t largest_column_count = 5;

} // namespace

std::string describe(const gmm::model& m) {
    return fmt::format("{}, {}, {}", to_string(m.shape()), plural(m.components(), "component"),
                       plural(m.dimensions(), "dimension"));
}

std::string component_text(const gmm::model& m, const std::vector<std::string>& column_names) {
    const std::int64_t d = m.dimensions();
    const std::int64_t columns = std::min(d, largest_column_count), rows = std::min(m.components(), largest_row_count);
    std::vector<std::vector<std::string>> table{{"component", "weight"}};
    for (std::int64_t j = 0; j < columns; ++j)
        table[0].push_back(report::column_name(column_names, j));
    const report::component_numbers numbers(m, rows, columns);
    for (std::int64_t k = 0; k < rows; ++k) {
        std::vector<std::string> row{std::to_string(k), fmt::format("{:.4f}", m.weights()[k])};
        for (std::int64_t j = 0; j < columns; ++j)
            row.push_back(fmt::format("{} ± {}", numbers.mean(k, j), numbers.deviation(k, j)));
        table.push_back(std::move(row));
    }
    std::string out = text_table(table) + "  (mean ± standard deviation";
    if (columns < d)
        out += fmt::format("; the first {} of {} columns", columns, d);
    if (rows < m.components())
        out += fmt::format("; the first {} of {} components", rows, m.components());
    return out + ")\n";
}

void add_shape(json& summary, const gmm::model& m) {
    summary["dimensions"] = m.dimensions();
    summary["components"] = m.components();
    summary["family"] = to_string(m.shape());
}

void add_parameters(json& summary, const gmm::model& m) {
    summary["weights"] = m.weights();
    summary["means"] = array_or_null(m.means(), std::vector{m.components(), m.dimensions()});
    summary["covariances"] =
        array_or_null(m.covariances(), gmm::covariance_shape(m.shape(), m.components(), m.dimensions()));
}

exit_status deliver(const output_options& output, const std::string& path, findings found, const gmm::model& made,
                    const std::vector<std::string>& names, const std::string& head) {
    write_model(made, path, names);
    add_shape(found.summary, made);
    found.add("column_names", names);
    add_parameters(found.summary, made);
    write_json(output, found.summary);
    print_results(output, fmt::format("{}{}\n\n{}", head, describe(made), component_text(made, names)));
    return exit_status::success;
}

void mixture_kind::add_parameters(json& summary, const saved& s) {
    summary["parameters"] = s.model.parameters();
    summary["column_names"] = s.column_names;
    cli::add_parameters(summary, s.model);
}

std::string mixture_kind::text(const saved& s) {
    return fmt::format(", {} parameters\n\n{}", s.model.parameters(), component_text(s.model, s.column_names));
}

std::string mixture_kind::info_page(const saved& s, const std::string& path, const std::string& command_line) {
    const gmm::model& m = s.model;
    report::mixture_page page;
    page.title = fmt::format("Gaussian mixture {}", path);
    page.facts = {{"family", std::string(to_string(m.shape()))},
                  {"components", std::to_string(m.components())},
                  {"dimensions", std::to_string(m.dimensions())},
                  {"parameters", std::to_string(m.parameters())}};
    page.model = &m;
    page.column_names = s.column_names;
    page.command = command_line;
    page.made_by = fmt::format("elbo {}", version);
    return report::render(page);
}

std::string mixture_kind::page(const applied<mixture_kind>& work, const fact_list& facts) {
    return report::render(report::page_of(work.ctx, work.saved.model, work.data(),
                                          {.facts = facts, .command = work.command_line}, throw_if_interrupted));
}

template class apply_command<mixture_kind>;

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
    app.add_option("--start", start, help_of(&gmm::fit_options::start), "METHOD|FILE", "Fit");
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
    const bool any = std::ranges::any_of(numbers, [](const option& o) { return o.count() > 0; });
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
    app.add_choice("--precision", std::string(name_of(precision)), choose, help_of(&gmm::fit_options::precision),
                   "TYPE", "Fit");
}

void add_iteration_options(parser& app, gmm::fit_options& options) {
    add_loop_options(app, options);
    add_precision_option(app, options.precision);
    add_collapse_option(app, options);
}

} // namespace elbo::cli
