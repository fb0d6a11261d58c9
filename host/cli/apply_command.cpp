#include "host/cli/apply_command.hpp"

#include "host/cli/report_page.hpp"

#include "elbo/version.hpp"

namespace elbo::cli {

void add_apply_options(CLI::App& command, apply_options& options) {
    command.add_option("MODEL", options.model_path, "Model file (.safetensors or .json)")->required();
    add_data_options(command, options.data);
    add_device_options(command, options.device);
    add_output_options(command, options.output);
    add_report_option(command, options.output);
}

applied open(const apply_options& options) {
    gmm::model model = gmm::load(options.model_path);
    context ctx = make_context(options.device);
    applied work{std::move(ctx), std::move(model), open_data(options.data)};
    check_dimensions(work.model, options.model_path, work.input.data);
    return work;
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
