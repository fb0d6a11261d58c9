// The commands that make a mixture from another one: marginal and condition.
#include "host/cli/command.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/mixture/regress.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/sources.hpp"

#include "elbo/gmm/algebra.hpp"
#include "elbo/version.hpp"

#include <charconv>
#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct algebra_command {
    std::string model_path;
    std::vector<std::string> columns; ///< for condition "COLUMN=VALUE"
    std::string output_path;
    output_options output;
};

void check_outputs(const algebra_command& command) {
    check_model_path(command.output_path);
    check_files({.inputs = {command.model_path}, .outputs = {command.output_path, command.output.json}});
}

std::vector<std::int64_t> columns_of(const algebra_command& command, const gmm::saved_model& saved,
                                     const std::vector<std::string>& columns) {
    return io::find_columns(columns, saved.column_names, saved.model.dimensions(), command.model_path);
}

// Names of some columns; none where the model knows none.
std::vector<std::string> names_of(const gmm::saved_model& saved, const std::vector<std::int64_t>& columns) {
    std::vector<std::string> names;
    if (!saved.column_names.empty())
        for (const std::int64_t j : columns)
            names.push_back(saved.column_names[j]);
    return names;
}

// Writes and prints the new model; `summary` is what the command adds to that.
void deliver(const algebra_command& command, const std::string& command_line, const gmm::model& made,
             const std::vector<std::string>& names, const json& summary) {
    if (!command.output_path.empty())
        writing([&] { gmm::save(made, command.output_path, names); });
    json all{{"command", command_line}, {"version", version}, {"model", command.model_path}};
    all.update(summary);
    all.update({{"dimensions", made.dimensions()},
                {"components", made.components()},
                {"family", to_string(made.shape())},
                {"column_names", names}});
    add_parameters(all, made);
    write_json(command.output, all);
    print_results(command.output, fmt::format("{}\n\n{}", describe(made), component_text(made, names)));
}

exit_status run_marginal(const algebra_command& command, const std::string& command_line) {
    check_outputs(command);
    const gmm::saved_model saved = gmm::load_saved(command.model_path);
    const std::vector<std::int64_t> columns = columns_of(command, saved, command.columns);
    deliver(command, command_line, gmm::marginal(saved.model, columns), names_of(saved, columns),
            {{"columns", columns}});
    return exit_status::success;
}

double given_value(const std::string& given, std::size_t sign) {
    double value = 0;
    const char* end = given.data() + given.size();
    const auto [stopped, problem] = std::from_chars(given.data() + sign + 1, end, value);
    if (problem != std::errc() || stopped != end)
        throw invalid_argument(fmt::format("--given {}: expected a number after the last =", given));
    return value;
}

exit_status run_condition(const algebra_command& command, const std::string& command_line) {
    if (command.columns.empty())
        throw invalid_argument("--given A=1.5,B=2,... is missing: expected the known columns, or DATA with their "
                               "values");
    check_outputs(command);
    const gmm::saved_model saved = gmm::load_saved(command.model_path);
    std::vector<std::string> names;
    std::vector<double> values;
    for (const std::string& given : command.columns) {
        const std::size_t sign = given.rfind('=');
        if (sign == std::string::npos || sign == 0)
            throw invalid_argument(fmt::format("--given {}: expected COLUMN=VALUE", given));
        names.push_back(given.substr(0, sign));
        values.push_back(given_value(given, sign));
    }
    const std::vector<std::int64_t> known = columns_of(command, saved, names);
    const gmm::model made = gmm::conditional(saved.model, known, values);
    const std::vector<std::int64_t> rest = gmm::other_columns(known, saved.model.dimensions());
    const gmm::moments_result moments = gmm::moments(made);
    deliver(command, command_line, made, names_of(saved, rest),
            {{"given_columns", known}, {"given_values", values}, {"columns", rest}, {"mean", moments.mean}});
    return exit_status::success;
}

void add_common_options(parser& app, algebra_command& command) {
    app.add_option("MODEL", command.model_path, "Model file (.safetensors or .json)")->required();
    app.add_option("-o,--output", command.output_path, "Write the new model (.safetensors or .json)")
        ->type_name("MODEL")
        ->group("Output");
    add_output_options(app, command.output);
}

} // namespace

void add_mixture_marginal(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("marginal", "The model of some of the columns");
    const auto command = std::make_shared<algebra_command>();
    add_common_options(*app, *command);
    app->add_option("--columns", command->columns, "Columns to keep, by name or by number from 0, in this order")
        ->required()
        ->delimiter(',')
        ->type_name("A,B,...");
    app->callback(
        [command, &call] { call.run = [command, &call] { return run_marginal(*command, call.command_line); }; });
}

namespace {

/// Without DATA a new model, with it rows.
struct condition_command {
    regress_command rows;
    std::string output_path;
};

exit_status run_either(const condition_command& command, const std::string& command_line) {
    for (const auto& [option, path] : {std::pair{"--log-density", command.rows.density_path},
                                       {"--responsibilities", command.rows.responsibility_path}})
        if (command.rows.data.path.empty() && !path.empty())
            throw invalid_argument(fmt::format("{} {}: expected DATA, whose rows it is about", option, path));
    if (command.rows.data.path.empty())
        return run_condition({command.rows.model_path, command.rows.given, command.output_path, command.rows.output},
                             command_line);
    regress_command rows = command.rows;
    if (!command.output_path.empty())
        rows.row_path = command.output_path;
    return regress_rows(rows, command_line);
}

} // namespace

void add_mixture_condition(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand(
        "condition", "The model of all other columns, given values of some; with DATA their means for every row");
    const auto command = std::make_shared<condition_command>();
    regress_command& rows = command->rows;
    app->add_option("MODEL", rows.model_path, "Model file (.safetensors or .json)")->required();
    add_optional_data_options(*app, rows.data);
    add_by_position_option(*app, rows.data);
    app->add_option("--given", rows.given,
                    "Known columns, by name or by number from 0, and their values; with DATA columns alone (default: "
                    "those that DATA names)")
        ->delimiter(',')
        ->type_name("A=1.5,B=2,...");
    add_device_options(*app, rows.device);
    app->add_option("-o,--output", command->output_path,
                    "Write the new model (.safetensors or .json); with DATA the rows (.csv, .npy, .f32, .f64, .h5; "
                    "default: print them)")
        ->type_name("FILE")
        ->group("Output");
    app->add_option("--variances", rows.variances, "With DATA: none, diagonal or full, beside the means")
        ->type_name("NAME")
        ->capture_default_str()
        ->group("Output");
    add_type_option(*app, rows.type);
    app->add_option("--log-density", rows.density_path, "With DATA: write log p of the known columns")
        ->type_name("FILE")
        ->group("Output");
    app->add_option("--responsibilities", rows.responsibility_path,
                    "With DATA: write p(component | known columns), one column each")
        ->type_name("FILE")
        ->group("Output");
    add_output_options(*app, rows.output);
    app->callback(
        [command, &call] { call.run = [command, &call] { return run_either(*command, call.command_line); }; });
}

} // namespace elbo::cli
