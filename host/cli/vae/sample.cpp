#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/vae/apply.hpp"
#include "host/cli/vae/pictures.hpp"

#include "elbo/vae/infer.hpp"
#include "elbo/version.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct sample_command {
    std::string model_path;
    std::int64_t count = 0;
    vae::sample_options sample;
    device_options device;
    output_options output;
    row_options rows;
};

json summary(const sample_command& command, const std::string& command_line, const context& ctx, const vae::model& m) {
    return {{"command", command_line},     {"version", version},           {"device", ctx.name()},
            {"model", command.model_path}, {"samples", command.count},     {"dimensions", m.architecture().dimensions},
            {"seed", command.sample.seed}, {"means", command.sample.means}};
}

exit_status run(const sample_command& command, const std::string& command_line) {
    if (command.count < 1)
        throw invalid_argument(fmt::format("-n {}: expected at least one sample", command.count));
    const std::string destination = command.rows.destination();
    check_row_output(destination, command.output);
    check_files({.inputs = {command.model_path},
                 .outputs = {command.rows.pictures.png, command.output.json},
                 .rows = {destination}});
    const io::output_type type = output_type_from_string(command.rows.type);
    const interrupt_guard guard;
    const vae::model model = vae::model::load(command.model_path);
    const std::int64_t d = model.architecture().dimensions;
    const auto size = image_size_of(command.rows.pictures, d);
    const context ctx = make_context(command.device);
    std::optional<row_output> rows;
    if (!destination.empty())
        rows.emplace(destination, command.count, column_names_of(model.architecture()), type);
    std::vector<float> images; // of the picture
    vae::sample(ctx, model, command.count, command.sample, [&](std::int64_t, matrix_view<const float> part) {
        if (rows)
            rows->append(part);
        throw_if_interrupted();
        if (command.rows.pictures.png.empty())
            return;
        for (std::int64_t i = 0; i < part.rows && std::ssize(images) < largest_tile_count * d; ++i)
            images.insert(images.end(), part.row(i), part.row(i) + d);
    });
    if (rows)
        rows->close();
    if (!command.rows.pictures.png.empty())
        write_png(command.rows.pictures.png, images, *size);
    write_json(command.output, summary(command, command_line, ctx, model));
    if (destination != "-")
        print_results(command.output, fmt::format("{}: {} samples of {} ({})\n", command.rows.written(), command.count,
                                                  command.model_path, describe(model.architecture())));
    return exit_status::success;
}

} // namespace

void add_vae_sample(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("sample", "Draw z from the prior, then x from p(x|z)");
    const auto command = std::make_shared<sample_command>();
    add_model_argument(*app, command->model_path);
    app->add_option("-n,--samples", command->count, "Number of samples")->required()->type_name("N");
    add_seed_option(*app, command->sample.seed);
    app->add_flag("--means", command->sample.means, "Means of p(x|z) instead of draws of x");
    add_device_options(*app, command->device);
    add_output_options(*app, command->output);
    add_row_options(*app, command->rows, "the first samples");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
