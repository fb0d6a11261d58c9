#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/gmm/statistics.hpp"
#include "host/gmm/stream/statistics_file.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct accumulate_command {
    apply_options apply;
    std::string statistics_path;
};

exit_status run(const accumulate_command& command, const std::string& command_line) {
    const apply_options& options = command.apply;
    gmm::require_safetensors(command.statistics_path, "statistics");
    check_files({.inputs = files_of(options), .outputs = {command.statistics_path, options.output.json}});
    const interrupt_guard guard;
    const auto began = std::chrono::steady_clock::now();
    const applied work = open(options);
    gmm::statistics statistics(work.model);
    statistics.accumulate(work.ctx, work.input.data, work.input.view());
    throw_if_interrupted();
    writing([&] { gmm::save(statistics, command.statistics_path, work.input.data.column_names()); });

    const double log_likelihood = statistics.total_log_likelihood() / statistics.total_weight();
    json summary = summary_head(command_line, options, work);
    summary["total_weight"] = statistics.total_weight();
    summary["log_likelihood"] = log_likelihood;
    summary["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    write_json(options.output, summary);
    print_results(
        options.output,
        fmt::format("{} ({}) on {}\n\n", options.model_path, describe(work.model), work.input.data.description()) +
            text_list({{"samples", std::to_string(statistics.samples())},
                       {"log-likelihood", fmt::format("{:.6f} nats per sample", log_likelihood)}}));
    return exit_status::success;
}

} // namespace

void add_mixture_accumulate(parser& mixture, invocation& call) {
    parser* app =
        mixture.add_subcommand("accumulate", "E-step: the statistics of a part of the data, for elbo mixture maximize");
    const auto command = std::make_shared<accumulate_command>();
    app->add_option("MODEL", command->apply.model_path, "Model file (.safetensors or .json)")->required();
    add_data_options(*app, command->apply.data);
    add_by_position_option(*app, command->apply.data);
    add_weights_option(*app, command->apply.data);
    add_device_options(*app, command->apply.device);
    app->add_option("-o,--output", command->statistics_path, "Write the statistics (.safetensors)")
        ->required()
        ->type_name("PART")
        ->group("Output");
    add_output_options(*app, command->apply.output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
