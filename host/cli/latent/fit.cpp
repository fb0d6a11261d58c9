#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/progress_line.hpp"
#include "host/cli/latent/model.hpp"
#include "host/cli/latent/report.hpp"
#include "host/cli/latent/summary.hpp"
#include "host/cli/mixture/fit_options.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct latent_fit_command {
    data_options data;
    device_options device;
    output_options output;
    std::string kind = "ppca";
    std::optional<std::int64_t> latent, components;
    std::string method = "em";
    std::string start = "automatic";
    std::optional<double> noise_floor;
    bool own_noise = false, no_acceleration = false;
    latent::factor_options fit; ///< what all kinds have in common
    std::string on_collapse = "reseed";
    std::string model_path;
    std::vector<option*> of_components, of_starts; ///< options without a meaning for some models and methods
};

latent::factor_kind factor_kind_of(const std::string& name) {
    if (name == "ppca")
        return latent::factor_kind::ppca;
    if (name == "factors")
        return latent::factor_kind::factor_analysis;
    if (name == "factor-mixture")
        return latent::factor_kind::factor_mixture;
    throw invalid_argument(fmt::format("--model {}: expected ppca, factors, factor-mixture or sphere", name));
}

latent::factor_options factor_options_of(const latent_fit_command& command) {
    latent::factor_options o = command.fit;
    o.kind = factor_kind_of(command.kind);
    if (command.no_acceleration)
        throw invalid_argument(fmt::format("--no-acceleration: expected --model sphere, not {}", command.kind));
    o.method = latent::factor_method_from_string(command.method);
    if (o.method == latent::factor_method::eigen)
        refuse_given(command.of_starts, "expected --method em beside it; eigenvectors need no start");
    o.on_collapse = gmm::collapse_policy_from_string(command.on_collapse);
    o.own_noise = command.own_noise;
    if (command.noise_floor)
        o.noise_floor = *command.noise_floor;
    if (is_model_file(command.start)) {
        o.start_model = latent::load_factors(command.start);
        o.latent = o.start_model->latent();
        o.components = o.start_model->components();
    } else {
        o.start = latent::factor_start_from_string(command.start);
    }
    if (command.latent)
        o.latent = *command.latent;
    else if (!o.start_model)
        throw invalid_argument("the number of latent variables is missing: give -L L, or --start with a model file");
    o.components = command.components.value_or(o.components);
    return o;
}

latent::sphere_options sphere_options_of(const latent_fit_command& command) {
    const auto without = [](bool given, const char* option) {
        if (given)
            throw invalid_argument(fmt::format("{}: the sphere has no such choice", option));
    };
    without(command.latent.has_value(), "-L");
    without(command.components.has_value(), "-k");
    without(command.own_noise, "--own-noise");
    without(command.method != "em", "--method");
    refuse_given(command.of_components, "the sphere has no such choice");
    latent::sphere_options o;
    o.restarts = command.fit.restarts;
    o.max_iterations = command.fit.max_iterations;
    o.tolerance = command.fit.tolerance;
    o.seed = command.fit.seed;
    o.accelerate = !command.no_acceleration;
    if (command.noise_floor)
        o.noise_floor = *command.noise_floor;
    if (is_model_file(command.start))
        o.start_model = latent::load_sphere(command.start);
    else
        without(command.start != "automatic", "--start");
    return o;
}

/// With progress on standard error and Ctrl-C as the end. Eigenvectors come in one piece, without a model so far: there
/// Ctrl-C ends the program as if nothing had been asked for.
template <class Options>
auto fit_with_progress(const latent_fit_command& command, const context& ctx, const weighted_data& input,
                       Options options) {
    std::optional<interrupt_guard> guard;
    if (command.method != "eigen")
        guard.emplace();
    progress_line progress(command.output.quiet);
    options.weights = input.view();
    options.callback = [&](const gmm::progress& now) {
        progress.show(now);
        return !interrupt_requested();
    };
    return latent::fit(ctx, input.data, options);
}

model_columns start_columns(const latent_fit_command& command) {
    if (!is_model_file(command.start))
        return {};
    return {load_latent_model(command.start).column_names, command.start};
}

template <class Options>
exit_status fit_and_write(const latent_fit_command& command, const std::string& command_line, const Options& options) {
    const context ctx = make_context(command.device);
    const auto opened = std::chrono::steady_clock::now();
    const weighted_data input = open_data(command.data, start_columns(command));
    tell(command.output, input.data, input.notes);
    const double opening = std::chrono::duration<double>(std::chrono::steady_clock::now() - opened).count();
    if (options.start_model)
        check_columns(command.start, options.start_model->dimensions(), "dimensions", input.data);
    note(command.output, fmt::format("{}: {} rows, {} columns; {}", input.data.description(), input.data.rows(),
                                     input.data.cols(), ctx.name()));
    note_slow_blas(command.output, ctx);
    auto fit = fit_with_progress(command, ctx, input, options);
    fit.seconds.load += opening;
    fit.seconds.total += opening;
    const latent_fit_summary summary = summarize(fit);
    const fit_setting setting{command_line, ctx.name(), input.data.description(), input.data.column_names(), {}};
    if (!command.model_path.empty())
        writing([&] { latent::save(fit.model, command.model_path, input.data.column_names()); });
    json all = latent_fit_json(summary, setting);
    tell_negligible(command.output, summary.negligible, all);
    add_left_out(all, input.notes);
    write_json(command.output, all);
    if (!command.output.report.empty())
        write_latent_report(command.output.report, ctx, summary, input.data, command_line);
    print_results(command.output, latent_fit_text(summary, setting));
    return fit.stopped == gmm::stop_reason::interrupted ? exit_status::interrupted : exit_status::success;
}

exit_status run(const latent_fit_command& command, const std::string& command_line) {
    check_model_path(command.model_path);
    check_files({.inputs = files_of(command.data, {start_file(command.start)}),
                 .outputs = {command.model_path, command.output.json, command.output.report}});
    return command.kind == "sphere" ? fit_and_write(command, command_line, sphere_options_of(command))
                                    : fit_and_write(command, command_line, factor_options_of(command));
}

void add_latent_model_options(parser& app, latent_fit_command& command) {
    app.add_option("--model", command.kind, "Kind of model: ppca, factors, factor-mixture or sphere")
        ->type_name("KIND")
        ->capture_default_str()
        ->group("Model");
    app.add_option("-L,--latent", command.latent, "Number of latent variables; not for a sphere")
        ->type_name("L")
        ->group("Model");
    app.add_option("-k,--components", command.components, "Number of components of a factor-mixture")
        ->type_name("K")
        ->group("Model");
    app.add_flag("--own-noise", command.own_noise, "Noise variances of its own for each component of a factor-mixture")
        ->group("Model");
    app.add_option("--noise-floor", command.noise_floor,
                   "Smallest noise variance relative to that of the data (default: 1e-6; sphere: 1e-12)")
        ->type_name("F")
        ->group("Model");
}

void add_latent_fit_options(parser& app, latent_fit_command& command) {
    app.add_option("--method", command.method, "em, or for ppca eigen: from the eigenvectors of the covariance")
        ->type_name("METHOD")
        ->capture_default_str()
        ->group("Fit");
    app.add_option("--start", command.start, "Start: automatic, principal, conditional, random, or a model file")
        ->type_name("METHOD|FILE")
        ->capture_default_str()
        ->group("Fit");
    add_loop_options(app, command.fit);
    add_collapse_option(app, command.on_collapse);
    command.of_starts = {app.get_option("--start"), app.get_option("--restarts")};
    command.of_components = {app.get_option("--on-collapse")};
    app.add_flag("--no-acceleration", command.no_acceleration, "Plain EM steps for a sphere")->group("Fit");
}

} // namespace

void add_latent_fit(parser& latent, invocation& call) {
    parser* app = latent.add_subcommand("fit", "Fit a model with continuous latent variables to data");
    const auto command = std::make_shared<latent_fit_command>();
    add_data_options(*app, command->data);
    add_by_position_option(*app, command->data);
    add_weights_option(*app, command->data);
    add_latent_model_options(*app, *command);
    add_latent_fit_options(*app, *command);
    add_device_options(*app, command->device);
    add_model_output_option(*app, command->model_path);
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->footer("Example: elbo latent fit digits.npy --model factors -L 5 -o model.safetensors");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
