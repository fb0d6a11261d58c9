#include "host/cli/command.hpp"
#include "host/cli/core/findings.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/progress.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/model/model_archive.hpp"
#include "host/vae/model/model_file.hpp"

namespace elbo::cli {
namespace {

constexpr std::int64_t rows_per_batch = 1 << 16;

bool is_model(const std::string& path) {
    return path.ends_with(".safetensors") || path.ends_with(".json");
}

struct convert_command {
    data_options data;
    std::string to;
    std::string type;
    output_options output;

    void add_options(parser& app) {
        add_data_options(app, data);
        app.add_option("TO", to, "Output; its ending says the format (.csv, .npy, .f32, .f64, .h5)").required();
        app.add_option("--type", type, "Type of the numbers: float32 or float64 (default: that of DATA)", "TYPE",
                       "Data");
        add_output_options(app, output);
        app.footer("Example: elbo convert faithful.csv faithful.npy --type float32");
    }

    json convert_model() const {
        check_model_path(to);
        if (io::declared_format(data.path) == vae::network_format.name) {
            const vae::model model = vae::model::load(data.path);
            writing([&] { model.save(to); });
            return {{"parameters", model.architecture().parameters()}, {"dimensions", model.architecture().dimensions}};
        }
        const gmm::saved_model saved = gmm::load_saved(data.path);
        writing([&] { gmm::save(saved.model, to, saved.column_names); });
        return {{"components", saved.model.components()}, {"dimensions", saved.model.dimensions()}};
    }

    json convert_data() const {
        const input_data input = open_data(data);
        const data_source& rows = input.data;
        tell(output, input);
        const io::output_type written = !type.empty()                          ? output_type_from_string(type)
                                        : rows.type() == element_type::float32 ? io::output_type::float32
                                                                               : io::output_type::float64;
        auto writer = io::matrix_writer::open(to, rows.rows(), rows.cols(), written, rows.column_names());
        const auto reader = rows.read(rows_per_batch);
        for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
            throw_if_interrupted();
            writing([&] { writer.append(batch); });
        }
        writing([&] { writer.close(); });
        json sizes{{"samples", rows.rows()}, {"dimensions", rows.cols()}};
        add_left_out(sizes, input);
        return sizes;
    }

    exit_status run(const std::string& command_line) const {
        const bool model = is_model(data.path);
        check_files({.inputs = files_of(data), .outputs = {model ? to : "", output.json}, .rows = {model ? "" : to}});
        const interrupt_guard guard;
        const json sizes = model ? convert_model() : convert_data();
        findings found(command_line);
        found.add("from", data.path);
        found.add("to", to);
        found.summary.update(sizes);
        write_json(output, found.summary);
        const auto first = sizes.begin();
        print_results(output,
                      fmt::format("{} -> {}: {} {}, {} dimensions\n", data.path, to, io::json_text(first.value()),
                                  first.key(), io::json_text(sizes["dimensions"])));
        return exit_status::success;
    }
};

} // namespace

void add_convert(parser& app, invocation& call) {
    add_command<convert_command>(app, call, "convert", "Convert a data file, or a model file, to another format");
}

} // namespace elbo::cli
