#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/progress_line.hpp"
#include "host/cli/core/report_page.hpp"
#include "host/cli/vae/apply.hpp"
#include "host/cli/vae/options.hpp"
#include "host/cli/vae/pictures.hpp"
#include "host/cli/vae/summary.hpp"
#include "host/io/split.hpp"
#include "host/vae/train/options.hpp"

#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct train_command {
    data_options data;
    std::string validation_path;
    double validation_fraction = 0;
    architecture_options architecture;
    training_options training;
    device_options device;
    output_options output;
    picture_options pictures;
    std::string model_path;
};

/// What is trained on and what is held out.
struct train_data {
    labelled_data all;
    data_source training;
    std::optional<data_source> validation;
    double seconds = 0;
    /// Rows that pictures are made of, and their name.
    const data_source& shown() const { return validation ? *validation : training; }
    std::string shown_name() const { return validation ? "validation data" : "training data"; }
};

/// The columns of the model or checkpoint to begin with.
model_columns start_columns(const train_command& command) {
    const std::string& resumed = command.training.library.resume;
    const std::string& path = resumed.empty() ? command.training.start : resumed;
    if (path.empty())
        return {};
    return {vae::model::load(path).architecture().column_names, path};
}

train_data open_train_data(const train_command& command, const model_columns& columns) {
    const auto began = std::chrono::steady_clock::now();
    if (!command.validation_path.empty() && command.validation_fraction != 0)
        throw invalid_argument("--validation and --validation-fraction: expected one of them");
    labelled_data all = open_scaled_data(command.data, columns);
    tell(command.output, all.data, all.notes);
    train_data data{all, all.data, std::nullopt};
    if (!command.validation_path.empty()) {
        data.validation =
            open_alike(command.data, command.validation_path, {all.data.column_names(), all.data.description()});
    } else if (command.validation_fraction != 0) {
        io::data_parts parts = io::split(all.data, command.validation_fraction, command.training.library.seed);
        data.training = std::move(parts.training);
        data.validation = std::move(parts.validation);
    }
    data.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return data;
}

void announce(const train_command& command, const context& ctx, const train_data& data, const vae::architecture& a) {
    const vae::train_options& t = command.training.library;
    const std::int64_t bytes = a.training_bytes(vae::batch_of(t, data.training.rows()), t.samples);
    note(command.output,
         fmt::format("{}, {} columns; {}; {} parameters, {:.3g} MB a step", describe(data.all), data.all.data.cols(),
                     ctx.name(), a.parameters(), 1e-6 * static_cast<double>(bytes)));
}

vae::train_result train_with_progress(const train_command& command, const context& ctx, const vae::architecture& a,
                                      const train_data& data, vae::train_options options) {
    const interrupt_guard guard;
    training_line progress(command.output.quiet);
    options.callback = [&](const vae::train_progress& now) {
        progress.show(now);
        return !interrupt_requested();
    };
    return vae::train(ctx, a, data.training, options, data.validation);
}

void write_report(const train_command& command, const vae::train_result& result, const context& ctx,
                  const train_data& data, const train_setting& setting) {
    const std::uint64_t seed = command.training.library.seed;
    report::vae_page page = make_vae_page(ctx, result.model, data.all, data.shown(), command.pictures, seed);
    page.title = fmt::format("Variational autoencoder of {}",
                             std::filesystem::path(data.all.data.description()).filename().string());
    page.facts = train_facts(result, setting);
    page.facts.insert(page.facts.begin(),
                      {{"samples", std::to_string(setting.samples)},
                       {"dimensions", std::to_string(data.all.data.cols())},
                       {"latent units", std::to_string(result.model.architecture().latent)},
                       {"likelihood", std::string(to_string(result.model.architecture().likelihood.family))}});
    page.history = result.history;
    page.rows_name = data.shown_name();
    page.command = setting.command;
    page.made_by = made_by(ctx);
    write_text(command.output.report, report::render(page));
}

void write_results(const train_command& command, const vae::train_result& result, const context& ctx,
                   const train_data& data, const train_setting& setting) {
    if (!command.model_path.empty())
        writing([&] { result.model.save(command.model_path); });
    json summary = train_json(result, setting);
    add_left_out(summary, data.all.notes);
    write_json(command.output, summary);
    if (!command.pictures.png.empty())
        write_png(command.pictures.png, picture_samples(ctx, result.model, command.training.library.seed),
                  *image_size_of(command.pictures, result.model.architecture().dimensions));
    if (!command.output.report.empty())
        write_report(command, result, ctx, data, setting);
    print_results(command.output, train_text(result, setting));
}

exit_status run(const train_command& command, const std::string& command_line) {
    check_model_path(command.model_path);
    const vae::train_options& typed = command.training.library;
    check_files({.inputs = files_of(command.data, {command.validation_path, command.training.start, typed.resume}),
                 .outputs = {typed.checkpoint.path, command.model_path, command.output.json, command.output.report,
                             command.pictures.png},
                 .updated = typed.resume}); // training goes on in its checkpoint
    const vae::train_options options = make_train_options(command.training);
    const context ctx = make_context(command.device);
    const model_columns columns = start_columns(command);
    const train_data data = open_train_data(command, columns);
    vae::architecture a =
        options.start ? options.start->architecture() : make_architecture(command.architecture, data.training.cols());
    if (options.start)
        check_columns(command.training.start, a.dimensions, "dimensions", data.training);
    if (command.data.by_position && std::ssize(columns.names) == a.dimensions)
        a.column_names = columns.names;            // whatever the data calls them
    image_size_of(command.pictures, a.dimensions); // refused before the work
    announce(command, ctx, data, a);
    const vae::train_result result = train_with_progress(command, ctx, a, data, options);
    const train_setting setting{.command = command_line,
                                .device = ctx.name(),
                                .data = data.all.data.description(),
                                .samples = data.training.rows(),
                                .validation_samples = data.validation ? data.validation->rows() : 0,
                                .scale = data.all.scale,
                                .seconds_loading = data.seconds,
                                .options = &options};
    write_results(command, result, ctx, data, setting);
    return result.stopped == vae::train_stop::interrupted ? exit_status::interrupted : exit_status::success;
}

void add_validation_options(parser& app, train_command& command) {
    app.add_option("--validation", command.validation_path, "Data that is evaluated after each epoch; columns as DATA")
        ->type_name("FILE")
        ->group("Data");
    app.add_option("--validation-fraction", command.validation_fraction,
                   "Share of the rows of DATA that is held out for validation")
        ->type_name("F")
        ->group("Data");
}

} // namespace

void add_vae_train(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("train", "Train a variational autoencoder on data");
    const auto command = std::make_shared<train_command>();
    add_data_options(*app, command->data);
    add_by_position_option(*app, command->data);
    add_scale_option(*app, command->data);
    add_labels_option(*app, command->data);
    add_validation_options(*app, *command);
    add_architecture_options(*app, command->architecture);
    add_training_options(*app, command->training);
    add_device_options(*app, command->device);
    add_model_output_option(*app, command->model_path);
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    add_png_option(*app, command->pictures, "samples of the model");
    app->footer("Example: elbo vae train train-images-idx3-ubyte.gz --latent 20 --encoder 400 -o model.safetensors");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
