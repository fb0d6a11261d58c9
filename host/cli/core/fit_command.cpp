#include "host/cli/core/fit_command.hpp"

#include "host/gmm/fields.hpp"

#include <filesystem>

namespace elbo::cli {
namespace {

std::string stopping_text(gmm::stop_reason stopped, std::int64_t iterations) {
    switch (stopped) {
    case gmm::stop_reason::converged:
        return fmt::format("converged after {} iterations", iterations);
    case gmm::stop_reason::max_iterations:
        return fmt::format("stopped at the limit of {} iterations", iterations);
    case gmm::stop_reason::interrupted:
        return fmt::format("interrupted after {} iterations", iterations);
    }
    return {};
}

// "row 301, column 0 (x): 99999 is 5.1e+04 robust deviations from the median; 2 such rows".
std::string far_values_text(const gmm::far_values& far, const std::vector<std::string>& column_names) {
    const std::string name = column_names.empty() ? "" : fmt::format(" ({})", column_names[far.column]);
    const std::string more = far.rows > 1 ? fmt::format("; {} such rows", far.rows) : "";
    return fmt::format("row {}, column {}{}: {:.6g} is {:.3g} robust deviations from the median{}", far.row, far.column,
                       name, far.value, far.robust_z, more);
}

} // namespace

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
    app.add_option(model_output_option, model_path);
    add_output_options(app, output);
    app.add_option(report_option, output.report);
}

void fit_inputs::add_checkpoints(parser& app) {
    const auto add = [&](const char* name, auto member, const char* type) {
        add_field(app, name, checkpoint, member, type, "Checkpoints");
    };
    add("--checkpoint", &checkpoint_options::path, "FILE");
    add("--checkpoint-every", &checkpoint_options::every_seconds, "SECONDS");
    add("--checkpoint-iterations", &checkpoint_options::every_iterations, "N");
    app.add_option("--resume", resume, std::string(of_fits::resume<gmm::fit_options>.help), "FILE", "Checkpoints");
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

input_data fit_inputs::open(const model_columns& start) const {
    input_data input = open_data(data, start);
    tell(output, input);
    return input;
}

void fit_inputs::announce(const context& ctx, const input_data& input, const std::string& more) const {
    note(output, fmt::format("{}: {} rows, {} columns; {}{}", input.data.description(), input.data.rows(),
                             input.data.cols(), ctx.name(), more));
}

void add_stopping(findings& found, gmm::stop_reason stopped, std::int64_t iterations) {
    found.add("iterations", iterations);
    found.add("stopped", to_string(stopped));
    found.tell("fit", stopping_text(stopped, iterations));
}

void add_start(findings& found, std::optional<std::string_view> kind, std::int64_t restart, bool for_people) {
    found.add("start", kind ? json(*kind) : json());
    found.add("best_restart", restart);
    const std::string name(kind.value_or("a model"));
    if (for_people)
        found.tell("start", restart == 0 ? name : fmt::format("{}, restart {} from 0", name, restart));
}

void add_seconds(findings& found, const gmm::fit_seconds& s) {
    found.add("seconds", io::json_of(s));
    found.tell("time", fmt::format("{} (load {}, start {}, iterations {})", duration_text(s.total),
                                   duration_text(s.load), duration_text(s.start), duration_text(s.iterations)));
}

json far_values_json(const gmm::far_values& far) {
    json event{{"event", to_string(gmm::event::kind::far_value)}};
    event.update(io::json_of(far));
    return event;
}

void tell_far_values(findings& found, const std::vector<gmm::far_values>& far,
                     const std::vector<std::string>& column_names) {
    constexpr std::size_t most = 10;
    for (std::size_t i = 0; i < std::min(most, far.size()); ++i)
        found.tell("far value", far_values_text(far[i], column_names));
    if (far.size() > most)
        found.tell("far values", fmt::format("in {} more columns", far.size() - most));
}

void add_negligible(findings& found, const output_options& output, const gmm::negligible_weights& rows) {
    if (rows.rows == 0)
        return;
    found.add("negligible_weights", {{"rows", rows.rows}, {"first_row", rows.first}});
    note(output, fmt::format("{}, the first is {}, with weights below 2e-22 of the sum of all: taken as 0",
                             plural(rows.rows, "row"), rows.first));
}

void note_identical(const output_options& output, const std::vector<gmm::event>& events) {
    const auto is_identical = [](const gmm::event& e) { return e.what == gmm::event::kind::identical; };
    const std::int64_t count = std::ranges::count_if(events, is_identical);
    if (count == 0)
        return;
    note(output, fmt::format("the start model has {}, the first is {}, the same as one before: EM cannot separate "
                             "them; give them means of their own",
                             plural(count, "component"), std::ranges::find_if(events, is_identical)->component));
}

std::string fit_text(const std::string& subject, const std::string& model, const std::string& samples,
                     const context& ctx, const fact_list& facts, const std::string& more) {
    return fmt::format("{}: {}, {}, on {}\n\n{}\n{}", subject, model, samples, ctx.name(), text_list(facts), more);
}

} // namespace elbo::cli
