#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/vae/apply.hpp"

#include "elbo/vae/infer.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct decode_command {
    vae_apply_options apply;
    std::string row_path = "-";
    std::string type = "float32";
};

exit_status run(const decode_command& command, const std::string& command_line) {
    const output_options& output = command.apply.output;
    check_row_output(command.row_path, output);
    check_files({.inputs = files_of(command.apply), .outputs = {output.json}, .rows = {command.row_path}});
    const io::output_type type = output_type_from_string(command.type);
    const interrupt_guard guard;
    const vae_applied work = open(command.apply, row_kind::latents);
    const std::int64_t n = work.input.data.rows();
    row_output rows(command.row_path, n, column_names_of(work.model.architecture()), type);
    vae::decode(work.ctx, work.model, work.input.data,
                [&](std::int64_t, matrix_view<const float> part) { rows.append(part); });
    rows.close();
    write_json(output, summary_head(command_line, command.apply, work));
    if (!rows.printed())
        print_results(output, fmt::format("{}: {} decoded rows of {}\n", command.row_path, n, describe(work.input)));
    return exit_status::success;
}

} // namespace

void add_vae_decode(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("decode", "Mean of p(x|z) for every row z of a file of latents");
    const auto command = std::make_shared<decode_command>();
    add_vae_apply_options(*app, command->apply);
    add_rows_option(*app, command->row_path, "the means");
    add_type_option(*app, command->type);
    app->footer("DATA holds one latent vector a row, as elbo vae encode writes them.");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
