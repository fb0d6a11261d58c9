#include "host/cli/command.hpp"
#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/report_page.hpp"
#include "host/cli/core/status_line.hpp"
#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/summary/variational_summary.hpp"

#include "elbo/gmm/variational.hpp"
#include "host/report/page/variational_page.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct variational_command {
    data_options data;
    device_options device;
    output_options output;
    gmm::variational_options fit;
    std::optional<std::int64_t> components;
    std::string family;
    std::string weights_model = "dirichlet";
    std::string start = "automatic";
    std::string precision = "automatic";
    std::vector<double> prior_mean, prior_scale;
    double threshold = 1;
    bool drop_empty = false;
    std::string posterior_path, model_path;
};

gmm::weights_model weights_model_of(std::string name) {
    std::ranges::replace(name, '-', '_');
    return gmm::weights_model_from_string(name);
}

gmm::variational_options library_options(const variational_command& command, model_columns& columns) {
    gmm::variational_options options = command.fit;
    gmm::fit_options start;
    columns = set_start(command.start, start);
    options.start = start.start;
    options.start_model = start.start_model;
    options.shape = start.shape;
    options.components = start.components;
    if (command.components)
        options.components = *command.components;
    else if (!options.start_model)
        throw invalid_argument("the number of components is missing: give -k K, or --start with a model file");
    if (!command.family.empty())
        options.shape = gmm::family_from_string(command.family);
    options.weights_prior = weights_model_of(command.weights_model);
    options.precision = precision_from_string(command.precision);
    if (!command.prior_mean.empty())
        options.prior.mean = command.prior_mean;
    if (!command.prior_scale.empty())
        options.prior.scale = command.prior_scale;
    return options;
}

gmm::variational_result fit_with_progress(const variational_command& command, const context& ctx,
                                          const data_source& data, gmm::variational_options options) {
    const interrupt_guard guard;
    status_line line(command.output.quiet);
    options.callback = [&](const gmm::variational_progress& now) {
        if (line.due()) {
            const std::string start =
                now.restarts > 1 ? fmt::format("start {} of {}, ", now.restart + 1, now.restarts) : "";
            line.show(fmt::format("{}iteration {}  bound {:.6f}", start, now.record.iteration, now.record.bound));
        }
        return !interrupt_requested();
    };
    return gmm::fit_variational(ctx, data, options);
}

void write_report(const variational_command& command, const gmm::variational_result& fit, const context& ctx,
                  const data_source& data, const fit_setting& setting) {
    // Components without samples would only be drawn where the prior is.
    const bool some = !fit.posterior.effective_components(command.threshold).empty();
    const gmm::model shown = some ? fit.posterior.without_empty(command.threshold).model() : fit.model;
    report::variational_page page{make_page(ctx, shown, data, setting.command), &fit};
    page.plug_in.title =
        fmt::format("Variational mixture of {}", std::filesystem::path(data.description()).filename().string());
    page.plug_in.facts = variational_facts(fit, command.threshold, data.column_names());
    page.plug_in.facts.insert(page.plug_in.facts.begin(), {{"samples", std::to_string(fit.samples)},
                                                           {"dimensions", std::to_string(fit.model.dimensions())},
                                                           {"family", std::string(to_string(fit.model.shape()))}});
    write_text(command.output.report, report::render(page));
}

exit_status run(const variational_command& command, const std::string& command_line) {
    check_model_path(command.posterior_path);
    check_model_path(command.model_path);
    check_files({.inputs = files_of(command.data, {start_file(command.start)}),
                 .outputs = {command.posterior_path, command.model_path, command.output.json, command.output.report}});
    if (!(command.threshold >= 0 && std::isfinite(command.threshold)))
        throw invalid_argument(
            fmt::format("--threshold {}: expected a finite number of samples, at least 0", command.threshold));
    model_columns columns; // of a model to begin with
    gmm::variational_options options = library_options(command, columns);
    const context ctx = make_context(command.device);
    const weighted_data input = open_data(command.data, columns);
    tell(command.output, input.data, input.notes);
    if (options.start_model)
        check_columns(command.start, options.start_model->dimensions(), "dimensions", input.data);
    options.weights = input.view();
    options.labels = input.known();
    note(command.output, fmt::format("{}: {} rows, {} columns; {}", input.data.description(), input.data.rows(),
                                     input.data.cols(), ctx.name()));
    const gmm::variational_result fit = fit_with_progress(command, ctx, input.data, options);
    const gmm::variational_posterior kept =
        command.drop_empty ? fit.posterior.without_empty(command.threshold) : fit.posterior;
    const gmm::model shown =
        kept.model().with_regularization(fit.model.regularization(), fit.model.regularization_variances());
    const std::vector<std::string>& names = input.data.column_names();
    fit_setting setting{command_line, ctx.name(), input.data.description(), names};
    if (!input.labels.empty())
        setting.labelled = input.labelled();
    if (!command.posterior_path.empty())
        writing([&] { gmm::save(kept, command.posterior_path, names); });
    if (!command.model_path.empty())
        writing([&] { gmm::save(shown, command.model_path, names); });
    json summary = variational_json(fit, command.threshold, setting);
    tell_negligible(command.output, fit.negligible, summary);
    tell_identical(command.output, fit.events);
    add_left_out(summary, input.notes);
    write_json(command.output, summary);
    if (!command.output.report.empty())
        write_report(command, fit, ctx, input.data, setting);
    print_results(command.output, variational_text(fit, shown, command.threshold, setting));
    return fit.stopped == gmm::stop_reason::interrupted ? exit_status::interrupted : exit_status::success;
}

void add_model_options(parser& app, variational_command& command) {
    app.add_option("-k,--components", command.components, "Largest number of components")
        ->type_name("K")
        ->group("Model");
    app.add_option("--family", command.family,
                   "Covariances: full, tied, diagonal, spherical, tied_diagonal or tied_spherical (default: full)")
        ->type_name("FAMILY")
        ->group("Model");
}

void add_prior_options(parser& app, variational_command& command) {
    gmm::variational_prior& prior = command.fit.prior;
    app.add_option("--weights-model", command.weights_model, "Prior of the weights: dirichlet or stick-breaking")
        ->type_name("NAME")
        ->capture_default_str()
        ->group("Prior");
    app.add_option("--prior-concentration,--concentration", prior.concentration,
                   "Of the weights: small numbers leave fewer components (default: 1/K)")
        ->type_name("A")
        ->group("Prior");
    app.add_option("--prior-mean", command.prior_mean, "Centre of the means (default: the mean of the data)")
        ->delimiter(',')
        ->type_name("M,...")
        ->group("Prior");
    app.add_option("--prior-mean-precision", prior.mean_precision, "Samples that the centre counts for")
        ->type_name("B")
        ->capture_default_str()
        ->group("Prior");
    app.add_option("--prior-degrees-of-freedom", prior.degrees_of_freedom,
                   "Of the Wishart or gamma distributions (default: the number of columns)")
        ->type_name("V")
        ->group("Prior");
    app.add_option("--prior-scale", command.prior_scale,
                   "Scale by the family: d x d, d or 1 numbers (default: the covariance of the data)")
        ->delimiter(',')
        ->type_name("S,...")
        ->group("Prior");
}

void add_result_options(parser& app, variational_command& command) {
    app.add_option("--threshold", command.threshold, "Components with more samples than this count as effective")
        ->type_name("N")
        ->capture_default_str()
        ->group("Output");
    app.add_flag("--drop-empty", command.drop_empty, "Write effective components alone")->group("Output");
    app.add_option("-o,--output", command.posterior_path, "Write the posterior (.safetensors or .json)")
        ->type_name("FILE")
        ->group("Output");
    app.add_option("--model-output", command.model_path, "Write the mixture at the posterior means, as of fit")
        ->type_name("MODEL")
        ->group("Output");
}

} // namespace

void add_mixture_variational(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("variational", "Fit a mixture by variational Bayes");
    const auto command = std::make_shared<variational_command>();
    add_data_options(*app, command->data);
    add_by_position_option(*app, command->data);
    add_weights_option(*app, command->data);
    add_known_labels_option(*app, command->data);
    add_model_options(*app, *command);
    add_prior_options(*app, *command);
    add_start_option(*app, command->start);
    add_loop_options(*app, command->fit);
    add_precision_option(*app, command->precision);
    add_device_options(*app, command->device);
    add_result_options(*app, *command);
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->footer(
        "Example: elbo mixture variational faithful.csv --columns eruptions,waiting -k 10 -o posterior.safetensors");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
