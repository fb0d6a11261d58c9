#include "host/cli/core/apply_command.hpp"

#include "host/cli/core/report_page.hpp"
#include "host/gmm/model/model_file.hpp"

#include "elbo/version.hpp"

namespace elbo::cli {

void add_apply_options(parser& command, apply_options& options) {
    command.add_option("MODEL", options.model_path, "Model file (.safetensors or .json)")->required();
    add_data_options(command, options.data);
    add_by_position_option(command, options.data);
    add_device_options(command, options.device);
    add_output_options(command, options.output);
    add_report_option(command, options.output);
}

std::vector<std::string> files_of(const apply_options& options, std::vector<std::string> others) {
    others.push_back(options.model_path);
    return files_of(options.data, std::move(others));
}

applied open(const apply_options& options) {
    gmm::saved_model saved = gmm::load_saved(options.model_path);
    context ctx = make_context(options.device);
    model_columns columns{std::move(saved.column_names), options.model_path};
    weighted_data input = open_data(options.data, columns);
    tell(options.output, input.data, input.notes);
    check_columns(options.model_path, saved.model.dimensions(), "dimensions", input.data);
    return {std::move(ctx), std::move(saved.model), std::move(columns), std::move(input)};
}

json summary_head(const std::string& command_line, const apply_options& options, const applied& work) {
    json summary{{"command", command_line},
                 {"version", version},
                 {"device", work.ctx.name()},
                 {"model", options.model_path},
                 {"samples", work.input.data.rows()},
                 {"dimensions", work.model.dimensions()},
                 {"components", work.model.components()},
                 {"family", to_string(work.model.shape())}};
    add_left_out(summary, work.input.notes);
    return summary;
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
