#include "host/cli/latent/model.hpp"

#include "elbo/version.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct latent_info_command {
    std::string model_path;
    output_options output;
};

exit_status run(const latent_info_command& command, const std::string& command_line) {
    check_files({.inputs = {command.model_path}, .outputs = {command.output.json}});
    const saved_latent_model saved = load_latent_model(command.model_path);
    json summary{{"command", command_line}, {"version", version}, {"model", command.model_path}};
    add_shape(summary, saved.model);
    summary["parameters"] = parameters_of(saved.model);
    summary["column_names"] = saved.column_names;
    add_parameters(summary, saved.model);
    write_json(command.output, summary);
    print_results(command.output,
                  fmt::format("{}: {}, {} parameters\n\n{}", command.model_path, describe(saved.model),
                              parameters_of(saved.model), parameter_text(saved.model, saved.column_names)));
    return exit_status::success;
}

} // namespace

void add_latent_info(parser& latent, invocation& call) {
    parser* app = latent.add_subcommand("info", "Print a model");
    const auto command = std::make_shared<latent_info_command>();
    app->add_option("MODEL", command->model_path, "Model file (.safetensors or .json)")->required();
    add_output_options(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
