#include "host/cli/core/fit_command.hpp"

#include "host/gmm/fit/fields.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace elbo::cli {

bool is_model_file(const std::string& start) {
    return start.ends_with(".safetensors") || start.ends_with(".json") || std::filesystem::exists(start);
}

std::string start_file(const std::string& start) {
    return is_model_file(start) ? start : "";
}

void fit_inputs::add_inputs(parser& app) {
    add_data_options(app, data);
    add_by_position_option(app, data);
}

void fit_inputs::add_outputs(parser& app) {
    add_device_options(app, device);
    add_model_output_option(app, model_path);
    add_output_options(app, output);
    add_report_option(app, output);
}

void fit_inputs::add_checkpoints(parser& app) {
    const auto add = [&](const char* name, auto member, const char* type) {
        add_field(app, name, checkpoint, member, type, "Checkpoints");
    };
    add("--checkpoint", &checkpoint_options::path, "FILE");
    add("--checkpoint-every", &checkpoint_options::every_seconds, "SECONDS");
    add("--checkpoint-iterations", &checkpoint_options::every_iterations, "N");
    app.add_option("--resume", resume, std::string(of_fits::resume<gmm::fit_options>.help))
        ->type_name("FILE")
        ->group("Checkpoints");
}

command_files fit_inputs::files_with(std::vector<std::string> inputs, std::vector<std::string> outputs) const {
    check_model_path(model_path);
    if (!checkpoint.path.empty())
        outputs.insert(outputs.begin(), checkpoint.path);
    outputs.insert(outputs.end(), {model_path, output.json, output.report});
    inputs.push_back(resume);
    return {.inputs = files_of(data, std::move(inputs)),
            .outputs = std::move(outputs),
            .updated = checkpoint.path.empty() ? "" : resume}; // a fit goes on in its checkpoint
}

weighted_data fit_inputs::open(const model_columns& start) const {
    weighted_data input = open_data(data, start);
    tell(output, input.data, input.notes);
    return input;
}

void fit_inputs::announce(const context& ctx, const weighted_data& input, const std::string& more) const {
    note(output, fmt::format("{}: {} rows, {} columns; {}{}", input.data.description(), input.data.rows(),
                             input.data.cols(), ctx.name(), more));
}

} // namespace elbo::cli
