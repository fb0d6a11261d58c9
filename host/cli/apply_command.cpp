#include "host/cli/apply_command.hpp"

#include "host/cli/report_page.hpp"
#include "host/gmm/model_file.hpp"

#include "elbo/version.hpp"

#include <algorithm>

namespace elbo::cli {

void add_apply_options(parser& command, apply_options& options) {
    command.add_option("MODEL", options.model_path, "Model file (.safetensors or .json)")->required();
    add_data_options(command, options.data);
    add_device_options(command, options.device);
    add_output_options(command, options.output);
    add_report_option(command, options.output);
}

namespace {

bool has_all(const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
    return !wanted.empty() && std::all_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    });
}

} // namespace

weighted_data open_columns_of(const std::vector<std::string>& column_names, data_options options) {
    weighted_data input = open_data(options);
    if (!options.columns.empty() || input.data.column_names() == column_names ||
        !has_all(input.data.column_names(), column_names))
        return input;
    options.columns = column_names;
    return open_data(options);
}

applied open(const apply_options& options) {
    gmm::saved_model saved = gmm::load_saved(options.model_path);
    context ctx = make_context(options.device);
    weighted_data input = open_columns_of(saved.column_names, options.data);
    check_columns(options.model_path, saved.model.dimensions(), "dimensions", input.data);
    return {std::move(ctx), std::move(saved.model), std::move(input)};
}

json summary_head(const std::string& command_line, const apply_options& options, const applied& work) {
    return {{"command", command_line},
            {"version", version},
            {"device", work.ctx.name()},
            {"model", options.model_path},
            {"samples", work.input.data.rows()},
            {"dimensions", work.model.dimensions()},
            {"components", work.model.components()},
            {"family", to_string(work.model.shape())}};
}

void write_report(const apply_options& options, const applied& work, const std::string& command_line,
                  std::vector<std::pair<std::string, std::string>> facts) {
    if (options.output.report.empty())
        return;
    report::page page = make_page(work.ctx, work.model, work.input.data, command_line);
    page.facts = std::move(facts);
    write_text(options.output.report, report::render(page));
}

} // namespace elbo::cli
