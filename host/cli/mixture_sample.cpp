#include "host/cli/command.hpp"
#include "host/cli/interrupt.hpp"
#include "host/cli/model_summary.hpp"
#include "host/cli/options.hpp"
#include "host/cli/outputs.hpp"
#include "host/cli/report_page.hpp"
#include "host/gmm/model_file.hpp"

#include "elbo/gmm/infer.hpp"
#include "elbo/version.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <span>

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
    bool rows_to_stdout() const { return row_path == "-"; }
};

// Names of the columns of the data that the model was fitted to, or x0, x1, ...
std::vector<std::string> column_names(const gmm::saved_model& saved) {
    std::vector<std::string> names = saved.column_names;
    for (std::int64_t j = std::ssize(names); j < saved.model.dimensions(); ++j)
        names.push_back(fmt::format("x{}", j));
    return names;
}

void print_rows(std::span<const double> values, const std::vector<std::string>& names) {
    constexpr std::size_t chunk = 1 << 16;
    std::string text = fmt::format("{}\n", fmt::join(names, ","));
    for (; !values.empty(); values = values.subspan(names.size())) {
        text += fmt::format("{}\n", fmt::join(values.first(names.size()), ","));
        if (text.size() >= chunk) {
            throw_if_interrupted();
            print(text);
            text.clear();
        }
    }
    print(text);
}

void write_rows(const sample_command& command, const gmm::sample_result& sample,
                const std::vector<std::string>& names) {
    const auto d = std::ssize(names);
    auto writer =
        io::matrix_writer::open(command.row_path, command.count, d, output_type_from_string(command.type), names);
    writing([&] {
        writer.append(matrix_view<const double>(sample.x.data(), command.count, d));
        writer.close();
    });
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
    if (command.rows_to_stdout() && command.output.json_to_stdout())
        throw invalid_argument("--json -: standard output has the rows already; write them with --output FILE");
    check_writable({command.row_path, command.label_path, command.output.json, command.output.report});
    const interrupt_guard guard;
    const gmm::saved_model saved = gmm::load_saved(command.model_path);
    const gmm::model& model = saved.model;
    const std::vector<std::string> names = column_names(saved);
    const context ctx = make_context(command.device);
    const std::int64_t d = model.dimensions();
    const gmm::sample_result sample = gmm::sample(ctx, model, command.count, command.seed);
    throw_if_interrupted();
    if (command.rows_to_stdout())
        print_rows(sample.x, names);
    else
        write_rows(command, sample, names);
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
    if (!command.rows_to_stdout())
        print_results(command.output, fmt::format("{}: {} samples of {} ({})\n", command.row_path, command.count,
                                                  command.model_path, describe(model)));
    return exit_status::success;
}

} // namespace

void add_mixture_sample(CLI::App& mixture, invocation& call) {
    CLI::App* app = mixture.add_subcommand("sample", "Draw samples of a model");
    const auto command = std::make_shared<sample_command>();
    app->add_option("MODEL", command->model_path, "Model file (.safetensors or .json)")->required();
    app->add_option("-n,--samples", command->count, "Number of samples")->required()->type_name("N");
    app->add_option("--seed", command->seed, "Seed of the random numbers")->type_name("S")->capture_default_str();
    add_device_options(*app, command->device);
    app->add_option("-o,--output", command->row_path, "Write the rows (.csv, .npy, .f32, .f64, .h5); - prints them")
        ->type_name("FILE")
        ->capture_default_str()
        ->group("Output");
    app->add_option("--type", command->type, "Type of the numbers in FILE: float32 or float64")
        ->type_name("TYPE")
        ->capture_default_str()
        ->group("Output");
    app->add_option("--labels", command->label_path, "Write the component that each row was drawn from")
        ->type_name("FILE")
        ->group("Output");
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
