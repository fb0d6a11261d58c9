#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/gmm/online.hpp"
#include "host/gmm/stream/online_file.hpp"
#include "host/gmm/stream/statistics_file.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct update_command {
    apply_options apply;
    std::string state_path;
    gmm::online_options stream;
    fit_arguments fit;            ///< of which a stream takes the regularisation and the policy
    std::vector<option*> options; ///< of a stream, which a state has already
};

gmm::online_options stream_options(const update_command& command) {
    const gmm::fit_options fit = command.fit.parsed();
    gmm::online_options options = command.stream;
    options.regularization = fit.regularization;
    options.relative_regularization = fit.relative_regularization;
    options.on_collapse = fit.on_collapse;
    return options;
}

bool holds_state(const std::string& path) {
    return path.ends_with(".safetensors") && gmm::holds_online_state(io::read_safetensors(path));
}

/// The stream that MODEL begins or STATE goes on with.
gmm::online open_stream(const update_command& command, const gmm::model& model) {
    const std::string& path = command.apply.model_path;
    if (!holds_state(path))
        return gmm::online(model, stream_options(command));
    refuse_given(command.options, path + " goes on with the options its stream began with");
    return gmm::online::load(path);
}

json event_list(const gmm::online_step& step) {
    json events = json::array();
    for (const gmm::event& e : step.events)
        events.push_back({{"component", e.component}, {"event", to_string(e.what)}, {"action", to_string(e.action)}});
    return events;
}

exit_status run(const update_command& command, const std::string& command_line) {
    const apply_options& options = command.apply;
    gmm::require_safetensors(command.state_path, "the state of a stream");
    check_files({.inputs = files_of(options),
                 .outputs = {command.state_path, options.output.json},
                 // A state takes the place of the one before; a model that begins a stream stays.
                 .updated = holds_state(options.model_path) ? options.model_path : ""});
    const interrupt_guard guard;
    const auto began = std::chrono::steady_clock::now();
    const applied work = open(options);
    gmm::online stream = open_stream(command, work.model);
    const gmm::online_step step = stream.partial_fit(work.ctx, work.input.data, work.input.view());
    throw_if_interrupted();
    const std::vector<std::string>& names = work.input.data.column_names();
    writing([&] { stream.save(command.state_path, names); });

    json summary = summary_head(command_line, options, work);
    summary["components"] = stream.model().components();
    summary["step"] = step.step;
    summary["rate"] = step.rate;
    summary["total_weight"] = step.total_weight;
    summary["log_likelihood"] = step.log_likelihood;
    summary["entropy"] = step.entropy;
    summary["samples_so_far"] = stream.state().samples;
    summary["events"] = event_list(step);
    summary["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    write_json(options.output, summary);
    print_results(options.output,
                  fmt::format("step {} at rate {:.6g}: {} samples, log-likelihood of the model before {:.6f} nats per "
                              "sample\n\n{}\n\n{}",
                              step.step, step.rate, step.samples, step.log_likelihood, describe(stream.model()),
                              component_text(stream.model(), names)));
    return exit_status::success;
}

void add_stream_options(parser& app, update_command& command) {
    app.add_option("--t0", command.stream.t0, "Rate of step t: (t + t0)^-kappa; t0 at least 0")
        ->type_name("T")
        ->capture_default_str()
        ->group("Fit");
    app.add_option("--kappa", command.stream.kappa, "The same; above 0.5, at most 1")
        ->type_name("K")
        ->capture_default_str()
        ->group("Fit");
    app.add_option("--rate", command.stream.rate, "Rate of every step instead, for streams that drift")
        ->type_name("R")
        ->group("Fit");
    app.get_option("--rate")->excludes(app.get_option("--t0"))->excludes(app.get_option("--kappa"));
    add_regularization_options(app, command.fit.fit);
    add_collapse_option(app, command.fit.on_collapse);
    for (const char* name :
         {"--t0", "--kappa", "--rate", "--regularization", "--relative-regularization", "--on-collapse"})
        command.options.push_back(app.get_option(name));
}

} // namespace

void add_mixture_update(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("update", "Stepwise EM: one step with the next batch of a stream");
    const auto command = std::make_shared<update_command>();
    app->add_option("MODEL", command->apply.model_path, "Model to begin with, or the state that the last step wrote")
        ->required();
    add_data_options(*app, command->apply.data);
    add_by_position_option(*app, command->apply.data);
    add_weights_option(*app, command->apply.data);
    add_device_options(*app, command->apply.device);
    add_stream_options(*app, *command);
    app->add_option("-o,--output", command->state_path, "Write the state, which is a model file, too (.safetensors)")
        ->required()
        ->type_name("STATE")
        ->group("Output");
    add_output_options(*app, command->apply.output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
