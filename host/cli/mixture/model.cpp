#include "host/cli/mixture/model.hpp"

#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/page/component_numbers.hpp"

#include "elbo/version.hpp"

#include <algorithm>
#include <fmt/format.h>

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

std::vector<std::string> column_names_of(const gmm::saved_model& saved) {
    return saved.column_names.empty() ? numbered("x", saved.model.dimensions()) : saved.column_names;
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

report::mixture_page make_page(const context& ctx, const gmm::model& m, const data_source& data, fact_list facts,
                               const std::string& command_line) {
    return report::page_of(ctx, m, data, {.facts = std::move(facts), .command = command_line}, throw_if_interrupted);
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

answer mixture_command::with_page(const applied<mixture_kind>& work, std::string text, const fact_list& facts) {
    return {std::move(text), [&work, facts] {
                return report::render(make_page(work.ctx, work.saved.model, work.data(), facts, work.command_line));
            }};
}

template class apply_command<mixture_kind>;

void add_mixture_info(parser& mixture, invocation& call) {
    add_command<info_command<mixture_kind>>(mixture, call, "info", "Print a model");
}

} // namespace elbo::cli
