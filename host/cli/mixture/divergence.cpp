#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/gmm/algebra.hpp"
#include "elbo/version.hpp"
#include "host/gmm/model/model_file.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct divergence_command {
    std::string from, to;
    gmm::divergence_options options;
    bool by_position = false;
    device_options device;
    output_options output;
};

exit_status run(const divergence_command& command, const std::string& command_line) {
    check_files({.inputs = {command.from, command.to}, .outputs = {command.output.json}});
    const gmm::saved_model from = gmm::load_saved(command.from);
    const gmm::model& p = from.model;
    const gmm::model q = load_in_order(command.to, {from.column_names, command.from}, command.by_position);
    if (p.dimensions() != q.dimensions())
        throw invalid_argument(fmt::format("{} has {} dimensions: expected {}, those of {}", command.to, q.dimensions(),
                                           p.dimensions(), command.from));
    const context ctx = make_context(command.device);
    const gmm::divergence_result estimate = gmm::kl_divergence(ctx, p, q, command.options);
    const gmm::variational_divergence variational = gmm::kl_variational(p, q);
    write_json(command.output, {{"command", command_line},
                                {"version", version},
                                {"device", ctx.name()},
                                {"from", command.from},
                                {"to", command.to},
                                {"samples", estimate.samples},
                                {"seed", command.options.seed},
                                {"divergence", estimate.value},
                                {"standard_error", estimate.standard_error},
                                {"variational_approximation", variational.approximation},
                                {"variational_upper_bound", variational.upper_bound}});
    print_results(
        command.output,
        fmt::format("D(p‖q) from {} ({}) to {} ({})\n\n", command.from, describe(p), command.to, describe(q)) +
            text_list({{"estimate", fmt::format("{:.6f} ± {:.6f} nats ({} samples)", estimate.value,
                                                estimate.standard_error, estimate.samples)},
                       {"variational approximation", fmt::format("{:.6f} nats", variational.approximation)},
                       {"variational upper bound", fmt::format("{:.6f} nats", variational.upper_bound)}}));
    return exit_status::success;
}

} // namespace

void add_mixture_divergence(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("divergence", "Kullback-Leibler divergence of one model from another");
    const auto command = std::make_shared<divergence_command>();
    app->add_option("P", command->from, "Model whose samples are drawn (.safetensors or .json)")->required();
    app->add_option("Q", command->to, "Model that it is compared with")->required();
    app->add_option("-n,--samples", command->options.samples, "Number of samples")
        ->type_name("N")
        ->capture_default_str();
    app->add_flag("--by-position", command->by_position, "Take the columns of Q by their order, not by their names");
    add_seed_option(*app, command->options.seed);
    add_device_options(*app, command->device);
    add_output_options(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
