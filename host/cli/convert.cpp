#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/model/model_archive.hpp"
#include "host/vae/model/model_file.hpp"

#include "elbo/version.hpp"
#include "host/io/write/matrix.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct convert_command {
    data_options data;
    std::string to;
    std::string type;
    output_options output;
};

constexpr std::int64_t rows_per_batch = 1 << 16;

bool is_model(const std::string& path) {
    return path.ends_with(".safetensors") || path.ends_with(".json");
}

json convert_model(const convert_command& command) {
    check_model_path(command.to);
    if (io::declared_format(command.data.path) == vae::network_format.name) {
        const vae::model model = vae::model::load(command.data.path);
        writing([&] { model.save(command.to); });
        return {{"parameters", model.architecture().parameters()}, {"dimensions", model.architecture().dimensions}};
    }
    const gmm::saved_model saved = gmm::load_saved(command.data.path);
    writing([&] { gmm::save(saved.model, command.to, saved.column_names); });
    return {{"components", saved.model.components()}, {"dimensions", saved.model.dimensions()}};
}

json convert_data(const convert_command& command) {
    const weighted_data input = open_data(command.data);
    const data_source& data = input.data;
    tell(command.output, data, input.notes);
    const io::output_type type =
        command.type.empty() ? io::output_type_of(data.type()) : output_type_from_string(command.type);
    auto writer = io::matrix_writer::open(command.to, data.rows(), data.cols(), type, data.column_names());
    const auto reader = data.read(rows_per_batch);
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        throw_if_interrupted();
        writing([&] { writer.append(batch); });
    }
    writing([&] { writer.close(); });
    json sizes{{"samples", data.rows()}, {"dimensions", data.cols()}};
    add_left_out(sizes, input.notes);
    return sizes;
}

exit_status run(const convert_command& command, const std::string& command_line) {
    const bool model = is_model(command.data.path);
    check_files({.inputs = files_of(command.data),
                 .outputs = {model ? command.to : "", command.output.json},
                 .rows = {model ? "" : command.to}});
    const interrupt_guard guard;
    const json sizes = model ? convert_model(command) : convert_data(command);
    json summary{{"command", command_line}, {"version", version}, {"from", command.data.path}, {"to", command.to}};
    summary.update(sizes);
    write_json(command.output, summary);
    const io::json::member& first = sizes.items().front();
    print_results(command.output,
                  fmt::format("{} -> {}: {} {}, {} dimensions\n", command.data.path, command.to,
                              io::json_text(first.value), first.key, io::json_text(sizes["dimensions"])));
    return exit_status::success;
}

} // namespace

void add_convert(parser& app, invocation& call) {
    parser* subcommand = app.add_subcommand("convert", "Convert a data file, or a model file, to another format");
    const auto command = std::make_shared<convert_command>();
    add_data_options(*subcommand, command->data);
    subcommand->add_option("TO", command->to, "Output; its ending says the format (.csv, .npy, .f32, .f64, .h5)")
        ->required();
    subcommand->add_option("--type", command->type, "Type of the numbers: float32 or float64 (default: that of DATA)")
        ->type_name("TYPE")
        ->group("Data");
    add_output_options(*subcommand, command->output);
    subcommand->footer("Example: elbo convert faithful.csv faithful.npy --type float32");
    subcommand->callback(
        [command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
