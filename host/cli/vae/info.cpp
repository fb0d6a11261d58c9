#include "host/cli/vae/apply.hpp"
#include "host/cli/vae/summary.hpp"

#include "elbo/version.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct info_command {
    std::string model_path;
    output_options output;
};

exit_status run(const info_command& command, const std::string& command_line) {
    check_files({.inputs = {command.model_path}, .outputs = {command.output.json}});
    const vae::model model = vae::model::load(command.model_path);
    const vae::architecture& a = model.architecture();
    json summary{{"command", command_line}, {"version", version}, {"model", command.model_path}};
    add_architecture(summary, a);
    summary["sigma"] = model.sigma();
    summary["training_flops_per_sample"] = a.training_flops_per_sample();
    write_json(command.output, summary);
    const std::string sigma = sigma_text(model);
    print_results(command.output, fmt::format("{}: {}\n\n{}{}", command.model_path, describe(a), a.summary(),
                                              sigma.empty() ? "" : fmt::format("sigma {}\n", sigma)));
    return exit_status::success;
}

} // namespace

void add_vae_info(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("info", "Print a model: layers, sizes, cost");
    const auto command = std::make_shared<info_command>();
    add_model_argument(*app, command->model_path);
    add_output_options(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
