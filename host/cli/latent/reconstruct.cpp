#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/latent/model.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct latent_reconstruct_command {
    latent_apply_options apply;
    std::string row_path = "-";
    std::string type = "float64";
};

exit_status run(const latent_reconstruct_command& command, const std::string& command_line) {
    const latent_apply_options& options = command.apply;
    check_row_output(command.row_path, options.output);
    check_files({.inputs = files_of(options), .outputs = {options.output.json}, .rows = {command.row_path}});
    const io::output_type type = output_type_from_string(command.type);
    const interrupt_guard guard;
    const latent_applied work = open(options);
    const std::int64_t n = work.input.data.rows(), d = dimensions_of(work.saved.model);
    const std::vector<double> rows =
        std::visit([&](const auto& m) { return latent::reconstruct(work.ctx, m, work.input.data); }, work.saved.model);
    row_output output(command.row_path, n, column_names_of(work.saved), type);
    output.append(matrix_view<const double>(rows.data(), n, d));
    output.close();
    write_json(options.output, summary_head(command_line, options, work));
    if (!output.printed())
        print_results(options.output, fmt::format("{}: {} rows without their noise under {} ({})\n", command.row_path,
                                                  n, options.model_path, describe(work.saved.model)));
    return exit_status::success;
}

} // namespace

void add_latent_reconstruct(parser& latent, invocation& call) {
    parser* app = latent.add_subcommand("reconstruct", "Rows without their noise: means of what the model explains");
    const auto command = std::make_shared<latent_reconstruct_command>();
    add_latent_apply_options(*app, command->apply);
    add_rows_option(*app, command->row_path, "the rows");
    add_type_option(*app, command->type);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
