#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/vae/apply.hpp"

#include "elbo/vae/infer.hpp"

#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct encode_command {
    vae_apply_options apply;
    std::string mean_path = "-";
    std::string log_variance_path;
    std::string type = "float32";
};

exit_status run(const encode_command& command, const std::string& command_line) {
    const output_options& output = command.apply.output;
    check_row_output(command.mean_path, output);
    check_files({.inputs = files_of(command.apply),
                 .outputs = {output.json},
                 .rows = {command.mean_path, command.log_variance_path}});
    const io::output_type type = output_type_from_string(command.type);
    const interrupt_guard guard;
    const vae_applied work = open(command.apply);
    const std::int64_t n = work.input.data.rows(), latent = work.model.architecture().latent;
    row_output means(command.mean_path, n, numbered("mean", latent), type);
    std::optional<row_output> log_variances;
    if (!command.log_variance_path.empty())
        log_variances.emplace(command.log_variance_path, n, numbered("log_variance", latent), type);
    vae::encode(work.ctx, work.model, work.input.data, [&](std::int64_t, matrix_view<const float> rows) {
        const auto half = [&](std::int64_t first) {
            return matrix_view<const float>(rows.data + first, rows.rows, latent, rows.stride, rows.space);
        };
        means.append(half(0));
        if (log_variances)
            log_variances->append(half(latent));
    });
    means.close();
    if (log_variances)
        log_variances->close();
    write_json(output, summary_head(command_line, command.apply, work));
    if (!means.printed())
        print_results(output, fmt::format("{}: {} latent means of {}\n", command.mean_path, n, describe(work.input)));
    return exit_status::success;
}

} // namespace

void add_vae_encode(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("encode", "Mean and log-variance of q(z|x) for every row");
    const auto command = std::make_shared<encode_command>();
    add_vae_apply_options(*app, command->apply);
    add_rows_option(*app, command->mean_path, "the means");
    app->add_option("--log-variances", command->log_variance_path, "Write the log-variances")
        ->type_name("FILE")
        ->group("Output");
    add_type_option(*app, command->type);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
