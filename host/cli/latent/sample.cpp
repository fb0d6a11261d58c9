#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/latent/model.hpp"

#include "elbo/version.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct latent_sample_command {
    std::string model_path;
    std::int64_t count = 0;
    std::uint64_t seed = 0;
    std::string type = "float64";
    output_options output;
    std::string row_path = "-";
};

/// In parts, so that memory does not grow with the count.
template <class Model>
void draw(const latent_sample_command& command, const Model& m, row_output& rows) {
    const std::int64_t d = m.dimensions(), part = std::max<std::int64_t>(1, (std::int64_t(1) << 20) / d);
    for (std::int64_t first = 0; first < command.count; first += part) {
        const std::int64_t n = std::min(part, command.count - first);
        const auto sample = latent::sample_rows(m, first, n, command.seed);
        rows.append(matrix_view<const double>(sample.x.data(), n, d));
    }
}

exit_status run(const latent_sample_command& command, const std::string& command_line) {
    if (command.count < 1)
        throw invalid_argument(fmt::format("-n {}: expected at least one sample", command.count));
    check_row_output(command.row_path, command.output);
    check_files({.inputs = {command.model_path}, .outputs = {command.output.json}, .rows = {command.row_path}});
    const interrupt_guard guard;
    const saved_latent_model saved = load_latent_model(command.model_path);
    row_output rows(command.row_path, command.count, column_names_of(saved), output_type_from_string(command.type));
    std::visit([&](const auto& m) { draw(command, m, rows); }, saved.model);
    rows.close();
    json summary{
        {"command", command_line}, {"version", version}, {"model", command.model_path}, {"samples", command.count}};
    add_shape(summary, saved.model);
    summary["seed"] = command.seed;
    write_json(command.output, summary);
    if (!rows.printed())
        print_results(command.output, fmt::format("{}: {} samples of {} ({})\n", command.row_path, command.count,
                                                  command.model_path, describe(saved.model)));
    return exit_status::success;
}

} // namespace

void add_latent_sample(parser& latent, invocation& call) {
    parser* app = latent.add_subcommand("sample", "Draw samples of a model");
    const auto command = std::make_shared<latent_sample_command>();
    app->add_option("MODEL", command->model_path, "Model file (.safetensors or .json)")->required();
    app->add_option("-n,--samples", command->count, "Number of samples")->required()->type_name("N");
    add_seed_option(*app, command->seed);
    add_rows_option(*app, command->row_path, "the rows");
    add_type_option(*app, command->type);
    add_output_options(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
