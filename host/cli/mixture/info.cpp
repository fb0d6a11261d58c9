#include "host/cli/command.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/report/page/mixture_page.hpp"

#include "elbo/version.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct info_command {
    std::string model_path;
    output_options output;
};

void write_report(const info_command& command, const gmm::saved_model& saved, const std::string& command_line) {
    const gmm::model& model = saved.model;
    report::page page;
    page.title = fmt::format("Gaussian mixture {}", command.model_path);
    page.facts = {{"family", std::string(to_string(model.shape()))},
                  {"components", std::to_string(model.components())},
                  {"dimensions", std::to_string(model.dimensions())},
                  {"parameters", std::to_string(model.parameters())}};
    page.model = &model;
    page.column_names = saved.column_names;
    page.command = command_line;
    page.made_by = fmt::format("elbo {}", version);
    write_text(command.output.report, report::render(page));
}

exit_status run(const info_command& command, const std::string& command_line) {
    check_files({.inputs = {command.model_path}, .outputs = {command.output.json, command.output.report}});
    const gmm::saved_model saved = gmm::load_saved(command.model_path);
    const gmm::model& model = saved.model;
    json summary{{"command", command_line},          {"version", version},
                 {"model", command.model_path},      {"dimensions", model.dimensions()},
                 {"components", model.components()}, {"family", to_string(model.shape())},
                 {"parameters", model.parameters()}, {"column_names", saved.column_names}};
    add_parameters(summary, model);
    write_json(command.output, summary);
    if (!command.output.report.empty())
        write_report(command, saved, command_line);
    print_results(command.output, fmt::format("{}: {}, {} parameters\n\n{}", command.model_path, describe(model),
                                              model.parameters(), component_text(model, saved.column_names)));
    return exit_status::success;
}

} // namespace

void add_mixture_info(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("info", "Print a model");
    const auto command = std::make_shared<info_command>();
    app->add_option("MODEL", command->model_path, "Model file (.safetensors or .json)")->required();
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
