#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/io/write/matrix.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct score_command {
    apply_options apply;
    std::string density_path;
};

std::vector<std::pair<std::string, std::string>> facts(const gmm::score_result& score, const gmm::model& m) {
    return {{"samples", std::to_string(score.samples)},
            {"log-likelihood", fmt::format("{:.6f} nats per sample", score.log_likelihood)},
            {"total log-likelihood", fmt::format("{:.6f}", score.total_log_likelihood)},
            {"parameters", std::to_string(m.parameters())},
            {"BIC", fmt::format("{:.4f}", score.bic)},
            {"AIC", fmt::format("{:.4f}", score.aic)},
            {"ICL", fmt::format("{:.4f}", score.icl)},
            {"entropy of q", fmt::format("{:.6f} nats per sample", score.entropy)}};
}

void write_densities(const std::string& path, const applied& work) {
    auto writer = io::matrix_writer::open(path, work.input.data.rows(), 1, io::output_type::float64, {"log_density"});
    const auto append = [&](const gmm::inference_batch& batch) {
        throw_if_interrupted();
        writing([&] { writer.append(matrix_view<const double>(batch.log_density, batch.rows, 1)); });
    };
    gmm::infer(work.ctx, work.model, work.input.data, false, append, work.input.known());
    writing([&] { writer.close(); });
}

exit_status run(const score_command& command, const std::string& command_line) {
    const apply_options& options = command.apply;
    check_files({.inputs = files_of(options),
                 .outputs = {options.output.json, options.output.report},
                 .rows = {command.density_path}});
    const interrupt_guard guard;
    const auto began = std::chrono::steady_clock::now();
    const applied work = open(options);
    const gmm::score_result score =
        gmm::score(work.ctx, work.model, work.input.data, work.input.view(), work.input.known());
    throw_if_interrupted();
    if (!command.density_path.empty())
        write_densities(command.density_path, work);
    json summary = summary_head(command_line, options, work);
    summary["log_likelihood"] = score.log_likelihood;
    summary["total_log_likelihood"] = score.total_log_likelihood;
    summary["parameters"] = work.model.parameters();
    summary["bic"] = score.bic;
    summary["aic"] = score.aic;
    summary["icl"] = score.icl;
    summary["entropy"] = score.entropy;
    summary["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    tell_negligible(options.output, score.negligible, summary);
    write_json(options.output, summary);
    write_report(options, work, command_line, facts(score, work.model));
    print_results(options.output, fmt::format("{} ({}) on {}\n\n", options.model_path, describe(work.model),
                                              work.input.data.description()) +
                                      text_list(facts(score, work.model)));
    return exit_status::success;
}

} // namespace

void add_mixture_score(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("score", "Log-likelihood, BIC, AIC and ICL of a model on data");
    const auto command = std::make_shared<score_command>();
    add_apply_options(*app, command->apply);
    add_weights_option(*app, command->apply.data);
    add_known_labels_option(*app, command->apply.data);
    app->add_option("-o,--output", command->density_path, "Write log p(x) of every row (.csv, .npy, .f32, .f64, .h5)")
        ->type_name("FILE")
        ->group("Output");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
