#include "host/cli/command.hpp"
#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/progress_line.hpp"
#include "host/cli/core/report_page.hpp"
#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/prior_options.hpp"
#include "host/cli/mixture/summary/fit_summary.hpp"

#include "elbo/gmm/fit.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct fit_command {
    data_options data;
    device_options device;
    output_options output;
    fit_arguments fit;
    prior_arguments prior;
    std::optional<std::int64_t> components;
    std::string family;
    std::string start = "automatic";
    std::string m_step = "closed_form";
    bool no_backtracking = false;
    std::vector<option*> ascent; ///< options of ascent steps
    std::string model_path;
};

gmm::fit_options library_options(const fit_command& command, model_columns& columns) {
    gmm::fit_options options = command.fit.parsed();
    options.prior = command.prior.parsed();
    columns = set_start(command.start, options);
    if (command.components)
        options.components = *command.components;
    else if (!options.start_model)
        throw invalid_argument("the number of components is missing: give -k K, or --start with a model file");
    if (!command.family.empty())
        options.shape = gmm::family_from_string(command.family);
    options.m_step = gmm::m_step_method_from_string(command.m_step);
    if (options.m_step != gmm::m_step_method::gradient)
        refuse_given(command.ascent, "expected --m-step gradient beside it");
    options.gradient.backtracking = !command.no_backtracking;
    return options;
}

void write_report(const fit_command& command, const gmm::fit_result& fit, const context& ctx, const data_source& data,
                  const fit_setting& setting) {
    report::page page = make_page(ctx, fit.model, data, setting.command);
    page.facts = fit_facts(fit, data.column_names());
    page.facts.insert(page.facts.begin(), {{"samples", std::to_string(fit.samples)},
                                           {"dimensions", std::to_string(fit.model.dimensions())},
                                           {"components", std::to_string(fit.model.components())},
                                           {"family", std::string(to_string(fit.model.shape()))}});
    page.fit = &fit;
    write_text(command.output.report, report::render(page));
}

gmm::fit_result fit_with_progress(const fit_command& command, const context& ctx, const data_source& data,
                                  gmm::fit_options options) {
    const interrupt_guard guard;
    progress_line progress(command.output.quiet);
    options.callback = [&](const gmm::progress& now) {
        progress.show(now);
        return !interrupt_requested();
    };
    return gmm::fit(ctx, data, options);
}

void announce(const fit_command& command, const context& ctx, const data_source& data,
              const gmm::fit_options& options) {
    if (!command.output.quiet)
        note(command.output, fmt::format("{}: {} rows, {} columns; {}; memory {}", data.description(), data.rows(),
                                         data.cols(), ctx.name(), gmm::plan_memory(ctx, data, options).to_string()));
}

void write_results(const fit_command& command, const gmm::fit_result& fit, const context& ctx,
                   const weighted_data& input, const std::string& command_line) {
    const data_source& data = input.data;
    fit_setting setting{command_line, ctx.name(), data.description(), data.column_names()};
    if (!input.labels.empty())
        setting.labelled = input.labelled();
    if (!command.model_path.empty())
        writing([&] { gmm::save(fit.model, command.model_path, data.column_names()); });
    json summary = fit_json(fit, setting);
    tell_negligible(command.output, fit.negligible, summary);
    tell_identical(command.output, fit.events);
    add_left_out(summary, input.notes);
    write_json(command.output, summary);
    if (!command.output.report.empty())
        write_report(command, fit, ctx, data, setting);
    print_results(command.output, fit_text(fit, setting));
}

exit_status run(const fit_command& command, const std::string& command_line) {
    check_model_path(command.model_path);
    check_files({.inputs = files_of(command.data, {start_file(command.start)}),
                 .outputs = {command.model_path, command.output.json, command.output.report}});
    model_columns columns; // of a model to begin with
    gmm::fit_options options = library_options(command, columns);
    const context ctx = make_context(command.device);
    const auto opened = std::chrono::steady_clock::now();
    const weighted_data input = open_data(command.data, columns);
    tell(command.output, input.data, input.notes);
    const double opening = std::chrono::duration<double>(std::chrono::steady_clock::now() - opened).count();
    if (options.start_model)
        check_columns(command.start, options.start_model->dimensions(), "dimensions", input.data);
    options.weights = input.view();
    options.labels = input.known();
    announce(command, ctx, input.data, options);
    gmm::fit_result fit = fit_with_progress(command, ctx, input.data, options);
    fit.seconds.load += opening;
    fit.seconds.total += opening;
    write_results(command, fit, ctx, input, command_line);
    return fit.stopped == gmm::stop_reason::interrupted ? exit_status::interrupted : exit_status::success;
}

void add_model_options(parser& app, fit_command& command) {
    app.add_option("-k,--components", command.components, "Number of components")->type_name("K")->group("Model");
    app.add_option("--family", command.family,
                   "Covariances: full, tied, diagonal, spherical, tied_diagonal or tied_spherical (default: full)")
        ->type_name("FAMILY")
        ->group("Model");
    add_regularization_options(app, command.fit.fit);
}

void add_fit_options(parser& app, fit_command& command) {
    add_start_option(app, command.start);
    add_iteration_options(app, command.fit);
    app.add_option("--memory-limit", command.fit.fit.memory_limit,
                   "Largest bytes of data kept in memory; more is read anew in each iteration; 0: what fits")
        ->type_name("BYTES")
        ->capture_default_str()
        ->group("Fit");
}

void add_m_step_options(parser& app, fit_command& command) {
    app.add_option("--m-step", command.m_step, "M-step: closed_form, or gradient for ascent steps instead")
        ->type_name("METHOD")
        ->capture_default_str()
        ->group("Fit");
    app.add_option("--rate", command.fit.fit.gradient.rate, "Rate of ascent steps; the first one tried")
        ->type_name("R")
        ->capture_default_str()
        ->group("Fit");
    app.add_option("--steps", command.fit.fit.gradient.steps, "Ascent steps of one M-step")
        ->type_name("N")
        ->capture_default_str()
        ->group("Fit");
    app.add_flag("--no-backtracking", command.no_backtracking,
                 "Take ascent steps of this rate, even if the bound falls")
        ->group("Fit");
    for (const char* name : {"--rate", "--steps", "--no-backtracking"})
        command.ascent.push_back(app.get_option(name));
}

} // namespace

void add_mixture_fit(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("fit", "Fit a Gaussian mixture to data by EM");
    const auto command = std::make_shared<fit_command>();
    add_data_options(*app, command->data);
    add_by_position_option(*app, command->data);
    add_weights_option(*app, command->data);
    add_known_labels_option(*app, command->data);
    add_model_options(*app, *command);
    add_fit_options(*app, *command);
    add_m_step_options(*app, *command);
    add_prior_options(*app, command->prior);
    add_device_options(*app, command->device);
    add_model_output_option(*app, command->model_path);
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->footer("Example: elbo mixture fit faithful.csv --columns eruptions,waiting -k 2 -o model.safetensors");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
