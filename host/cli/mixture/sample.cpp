#include "host/cli/command.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/report_page.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"
#include "host/gmm/model/model_file.hpp"

#include "elbo/gmm/infer.hpp"
#include "elbo/version.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct sample_command {
    std::string model_path;
    std::int64_t count = 0;
    std::uint64_t seed = 0;
    std::string type = "float64";
    device_options device;
    output_options output;
    std::string row_path = "-";
    std::string label_path;
};

// Names of the columns of the data that the model was fitted to, or x0, x1, ...
std::vector<std::string> column_names(const gmm::saved_model& saved) {
    return saved.column_names.empty() ? numbered("x", saved.model.dimensions()) : saved.column_names;
}

void write_labels(const sample_command& command, const gmm::sample_result& sample) {
    auto writer = io::matrix_writer::open(command.label_path, command.count, 1, io::output_type::int32, {"component"});
    writing([&] {
        writer.append(matrix_view<const std::int32_t>(sample.labels.data(), command.count, 1));
        writer.close();
    });
}

void write_report(const sample_command& command, const context& ctx, const gmm::saved_model& saved,
                  const gmm::sample_result& sample, const std::string& command_line) {
    const data_source rows(matrix_view<const double>(sample.x.data(), command.count, saved.model.dimensions()));
    report::page page = make_page(ctx, saved.model, rows, command_line);
    page.column_names = column_names(saved);
    page.title = fmt::format("Samples of {}", command.model_path);
    page.facts = {{"samples", std::to_string(command.count)}, {"seed", std::to_string(command.seed)}};
    write_text(command.output.report, report::render(page));
}

exit_status run(const sample_command& command, const std::string& command_line) {
    if (command.count < 1)
        throw invalid_argument(fmt::format("-n {}: expected at least one sample", command.count));
    check_row_output(command.row_path, command.output);
    check_files({.inputs = {command.model_path},
                 .outputs = {command.output.json, command.output.report},
                 .rows = {command.row_path, command.label_path}});
    const interrupt_guard guard;
    const gmm::saved_model saved = gmm::load_saved(command.model_path);
    const gmm::model& model = saved.model;
    const std::vector<std::string> names = column_names(saved);
    const context ctx = make_context(command.device);
    const std::int64_t d = model.dimensions();
    const gmm::sample_result sample = gmm::sample(ctx, model, command.count, command.seed);
    throw_if_interrupted();
    row_output rows(command.row_path, command.count, names, output_type_from_string(command.type));
    rows.append(matrix_view<const double>(sample.x.data(), command.count, d));
    rows.close();
    if (!command.label_path.empty())
        write_labels(command, sample);
    write_json(command.output, {{"command", command_line},
                                {"version", version},
                                {"device", ctx.name()},
                                {"model", command.model_path},
                                {"samples", command.count},
                                {"dimensions", d},
                                {"seed", command.seed}});
    if (!command.output.report.empty())
        write_report(command, ctx, saved, sample, command_line);
    if (!rows.printed())
        print_results(command.output, fmt::format("{}: {} samples of {} ({})\n", command.row_path, command.count,
                                                  command.model_path, describe(model)));
    return exit_status::success;
}

} // namespace

void add_mixture_sample(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("sample", "Draw samples of a model");
    const auto command = std::make_shared<sample_command>();
    app->add_option("MODEL", command->model_path, "Model file (.safetensors or .json)")->required();
    app->add_option("-n,--samples", command->count, "Number of samples")->required()->type_name("N");
    add_seed_option(*app, command->seed);
    add_device_options(*app, command->device);
    add_rows_option(*app, command->row_path, "the rows");
    add_type_option(*app, command->type);
    app->add_option("--labels", command->label_path, "Write the component that each row was drawn from")
        ->type_name("FILE")
        ->group("Output");
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
