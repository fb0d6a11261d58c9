#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/latent/model.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct latent_posterior_command {
    latent_apply_options apply;
    std::string row_path = "-";
    std::string type = "float64";
};

/// One component: z0 ... Several: the probabilities p0 ... of the components, then E[z | x, k] of each.
std::vector<std::string> columns_of(const latent::factor_model& m) {
    if (m.components() == 1)
        return numbered("z", m.latent());
    std::vector<std::string> names = numbered("p", m.components());
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (const std::string& name : numbered(fmt::format("k{}_z", k), m.latent()))
            names.push_back(name);
    return names;
}

/// The mean direction u0 ..., then the concentration.
std::vector<std::string> columns_of(const latent::sphere_model& m) {
    std::vector<std::string> names = numbered("u", m.dimensions());
    names.push_back("concentration");
    return names;
}

void copy_row(const latent::factor_model& m, const latent::factor_batch& batch, std::int64_t i, double* out) {
    const std::int64_t K = m.components(), numbers = K * m.latent();
    if (K > 1)
        out = std::copy_n(batch.responsibilities + i * K, K, out);
    std::copy_n(batch.means + i * numbers, numbers, out);
}

void copy_row(const latent::sphere_model& m, const latent::sphere_batch& batch, std::int64_t i, double* out) {
    *std::copy_n(batch.means + i * m.dimensions(), m.dimensions(), out) = batch.concentrations[i];
}

template <class Model>
bool write_rows(const latent_posterior_command& command, const latent_applied& work, const Model& m,
                io::output_type type) {
    const std::vector<std::string> columns = columns_of(m);
    const std::int64_t width = std::ssize(columns);
    row_output output(command.row_path, work.input.data.rows(), columns, type);
    std::vector<double> rows;
    latent::infer(work.ctx, m, work.input.data, [&](const auto& batch) {
        rows.resize(batch.rows * width);
        for (std::int64_t i = 0; i < batch.rows; ++i)
            copy_row(m, batch, i, &rows[i * width]);
        output.append(matrix_view<const double>(rows.data(), batch.rows, width));
    });
    output.close();
    return output.printed();
}

exit_status run(const latent_posterior_command& command, const std::string& command_line) {
    const latent_apply_options& options = command.apply;
    check_row_output(command.row_path, options.output);
    check_files({.inputs = files_of(options), .outputs = {options.output.json}, .rows = {command.row_path}});
    const io::output_type type = output_type_from_string(command.type);
    const interrupt_guard guard;
    const latent_applied work = open(options);
    const bool printed =
        std::visit([&](const auto& m) { return write_rows(command, work, m, type); }, work.saved.model);
    write_json(options.output, summary_head(command_line, options, work));
    if (!printed)
        print_results(options.output,
                      fmt::format("{}: posteriors of {} rows under {} ({})\n", command.row_path, work.input.data.rows(),
                                  options.model_path, describe(work.saved.model)));
    return exit_status::success;
}

} // namespace

void add_latent_posterior(parser& latent, invocation& call) {
    parser* app = latent.add_subcommand("posterior", "Means of the latent variables given each row");
    const auto command = std::make_shared<latent_posterior_command>();
    add_latent_apply_options(*app, command->apply);
    add_rows_option(*app, command->row_path, "the means");
    add_type_option(*app, command->type);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
