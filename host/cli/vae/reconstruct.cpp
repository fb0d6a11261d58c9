#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/vae/apply.hpp"
#include "host/cli/vae/pictures.hpp"

#include "elbo/vae/infer.hpp"

#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct reconstruct_command {
    vae_apply_options apply;
    row_options rows;
};

void write_picture(const reconstruct_command& command, const vae_applied& work, report::image_size size) {
    const std::vector<double> rows = evenly_spaced_rows(work.input.data, largest_tile_count / 2);
    const std::vector<float> originals(rows.begin(), rows.end());
    const matrix_view<const float> view(originals.data(), std::ssize(originals) / size.pixels(), size.pixels());
    write_png(command.rows.pictures.png, originals, vae::reconstruct(work.ctx, work.model, view), size);
}

void write_rows(const reconstruct_command& command, const vae_applied& work, row_output& output) {
    vae::reconstruct(work.ctx, work.model, work.input.data,
                     [&](std::int64_t, matrix_view<const float> part) { output.append(part); });
    output.close();
    if (!output.printed())
        print_results(command.apply.output, fmt::format("{}: {} reconstructed rows of {}\n", command.rows.path,
                                                        work.input.data.rows(), describe(work.input)));
}

exit_status run(const reconstruct_command& command, const std::string& command_line) {
    const output_options& output = command.apply.output;
    const std::string destination = command.rows.destination();
    check_row_output(destination, output);
    check_files({.inputs = files_of(command.apply),
                 .outputs = {command.rows.pictures.png, output.json},
                 .rows = {destination}});
    const io::output_type type = output_type_from_string(command.rows.type);
    const interrupt_guard guard;
    const vae_applied work = open(command.apply);
    const std::int64_t d = work.model.architecture().dimensions;
    const auto size = image_size_of(command.rows.pictures, d);
    if (!destination.empty()) {
        row_output rows(destination, work.input.data.rows(), column_names_of(work.model.architecture()), type);
        write_rows(command, work, rows);
    }
    if (!command.rows.pictures.png.empty())
        write_picture(command, work, *size);
    write_json(output, summary_head(command_line, command.apply, work));
    if (destination.empty())
        print_results(output, fmt::format("{}: rows of {} above their reconstructions\n", command.rows.written(),
                                          describe(work.input)));
    return exit_status::success;
}

} // namespace

void add_vae_reconstruct(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("reconstruct", "Mean of p(x|z) at the mean of q(z|x) for every row");
    const auto command = std::make_shared<reconstruct_command>();
    add_vae_apply_options(*app, command->apply);
    add_row_options(*app, command->rows, "some rows above their reconstructions");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
