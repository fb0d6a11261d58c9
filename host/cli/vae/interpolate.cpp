#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/vae/apply.hpp"
#include "host/cli/vae/pictures.hpp"

#include "elbo/vae/infer.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct interpolate_command {
    vae_apply_options apply;
    row_options rows;
    std::int64_t from = 0, to = 1, steps = 12;
};

exit_status run(const interpolate_command& command, const std::string& command_line) {
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
    const std::vector<float> line =
        vae::interpolate(work.ctx, work.model, row_of(work.input.data, command.from, "--from"),
                         row_of(work.input.data, command.to, "--to"), command.steps);
    if (!destination.empty()) {
        row_output rows(destination, command.steps, column_names_of(work.model.architecture()), type);
        rows.append(matrix_view<const float>(line.data(), command.steps, d));
        rows.close();
    }
    if (!command.rows.pictures.png.empty())
        write_png(command.rows.pictures.png, line, *size);
    json summary = summary_head(command_line, command.apply, work);
    summary["from"] = command.from;
    summary["to"] = command.to;
    summary["steps"] = command.steps;
    write_json(output, summary);
    if (destination != "-")
        print_results(output, fmt::format("{}: {} steps from row {} to row {} of {}\n", command.rows.written(),
                                          command.steps, command.from, command.to, describe(work.input)));
    return exit_status::success;
}

} // namespace

void add_vae_interpolate(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("interpolate", "Decode the straight line between the latents of two rows");
    const auto command = std::make_shared<interpolate_command>();
    add_vae_apply_options(*app, command->apply);
    app->add_option("--from", command->from, "Row of DATA where the line begins, from 0")
        ->type_name("ROW")
        ->capture_default_str();
    app->add_option("--to", command->to, "Row where it ends")->type_name("ROW")->capture_default_str();
    app->add_option("--steps", command->steps, "Points of the line, ends included")
        ->type_name("N")
        ->capture_default_str();
    add_row_options(*app, command->rows, "the points of the line");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
