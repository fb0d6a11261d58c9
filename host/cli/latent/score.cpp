#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/latent/model.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct latent_score_command {
    latent_apply_options apply;
    std::string density_path;
};

void write_densities(const std::string& path, const latent_applied& work) {
    row_output rows(path, work.input.data.rows(), {"log_density"}, io::output_type::float64);
    std::visit(
        [&](const auto& m) {
            latent::infer(work.ctx, m, work.input.data, [&](const auto& batch) {
                rows.append(matrix_view<const double>(batch.log_density, batch.rows, 1));
            });
        },
        work.saved.model);
    rows.close();
}

exit_status run(const latent_score_command& command, const std::string& command_line) {
    const latent_apply_options& options = command.apply;
    if (!command.density_path.empty())
        check_row_output(command.density_path, options.output);
    check_files({.inputs = files_of(options), .outputs = {options.output.json}, .rows = {command.density_path}});
    const interrupt_guard guard;
    const auto began = std::chrono::steady_clock::now();
    const latent_applied work = open(options);
    const gmm::score_result score =
        std::visit([&](const auto& m) { return latent::score(work.ctx, m, work.input.data, work.input.view()); },
                   work.saved.model);
    throw_if_interrupted();
    if (!command.density_path.empty())
        write_densities(command.density_path, work);
    const std::int64_t parameters = parameters_of(work.saved.model);
    json summary = summary_head(command_line, options, work);
    summary["log_likelihood"] = score.log_likelihood;
    summary["total_log_likelihood"] = score.total_log_likelihood;
    summary["parameters"] = parameters;
    summary["bic"] = score.bic;
    summary["aic"] = score.aic;
    summary["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    tell_negligible(options.output, score.negligible, summary);
    write_json(options.output, summary);
    if (command.density_path != "-")
        print_results(options.output,
                      fmt::format("{} ({}) on {}\n\n", options.model_path, describe(work.saved.model),
                                  work.input.data.description()) +
                          text_list({{"samples", std::to_string(score.samples)},
                                     {"log-likelihood", fmt::format("{:.6f} nats per sample", score.log_likelihood)},
                                     {"total log-likelihood", fmt::format("{:.6f}", score.total_log_likelihood)},
                                     {"parameters", std::to_string(parameters)},
                                     {"BIC", fmt::format("{:.4f}", score.bic)},
                                     {"AIC", fmt::format("{:.4f}", score.aic)}}));
    return exit_status::success;
}

} // namespace

void add_latent_score(parser& latent, invocation& call) {
    parser* app = latent.add_subcommand("score", "Log-likelihood, BIC and AIC of a model on data");
    const auto command = std::make_shared<latent_score_command>();
    add_latent_apply_options(*app, command->apply);
    add_weights_option(*app, command->apply.data);
    app->add_option("-o,--output", command->density_path, "Write log p(x) of every row (.csv, .npy, .f32, .f64, .h5)")
        ->type_name("FILE")
        ->group("Output");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
