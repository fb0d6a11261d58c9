// The commands that make a mixture from another one: marginal and condition.
#include "host/cli/mixture/model.hpp"
#include "host/cli/mixture/regress.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/io/sources.hpp"

#include "elbo/gmm/algebra.hpp"

#include <charconv>

namespace elbo::cli {

namespace {

struct algebra_options {
    std::string model_path;
    std::vector<std::string> columns; ///< for condition "COLUMN=VALUE"
    std::string output_path;
    output_options output;
};

gmm::saved_model load_checked(const algebra_options& options) {
    check_model_path(options.output_path);
    check_files({.inputs = {options.model_path}, .outputs = {options.output_path, options.output.json}});
    return gmm::load_saved(options.model_path);
}

std::vector<std::int64_t> columns_of(const algebra_options& command, const gmm::saved_model& saved,
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

// Writes and prints the new model; `found` is what the command knows beside it.
exit_status deliver(const algebra_options& command, findings found, const gmm::model& made,
                    const std::vector<std::string>& names) {
    if (!command.output_path.empty())
        writing([&] { gmm::save(made, command.output_path, names); });
    add_shape(found.summary, made);
    found.add("column_names", names);
    add_parameters(found.summary, made);
    write_json(command.output, found.summary);
    print_results(command.output, fmt::format("{}\n\n{}", describe(made), component_text(made, names)));
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

exit_status condition_on_values(const algebra_options& command, const std::string& command_line) {
    if (command.columns.empty())
        throw invalid_argument("--given A=1.5,B=2,... is missing: expected the known columns, or DATA with their "
                               "values");
    const gmm::saved_model saved = load_checked(command);
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
    findings found(command_line);
    found.summary.update({{"model", command.model_path},
                          {"given_columns", known},
                          {"given_values", values},
                          {"columns", rest},
                          {"mean", gmm::moments(made).mean}});
    return deliver(command, std::move(found), made, names_of(saved, rest));
}

struct marginal_command : algebra_options {
    void add_options(parser& app) {
        app.add_option("MODEL", model_path, mixture_kind::argument_help)->required();
        app.add_option("-o,--output", output_path, "Write the new model (.safetensors or .json)", "MODEL", "Output");
        add_output_options(app, output);
        app.add_option("--columns", columns, "Columns to keep, by name or by number from 0, in this order")
            ->required()
            ->delimiter(',')
            ->type_name("A,B,...");
    }

    exit_status run(const std::string& command_line) const {
        const gmm::saved_model saved = load_checked(*this);
        const std::vector<std::int64_t> kept = columns_of(*this, saved, columns);
        findings found(command_line);
        found.add("model", model_path);
        found.add("columns", kept);
        return deliver(*this, std::move(found), gmm::marginal(saved.model, kept), names_of(saved, kept));
    }
};

/// Without DATA a new model, with it rows.
struct condition_command {
    regression rows;
    std::string output_path;

    void add_options(parser& app) {
        app.add_option("MODEL", rows.model_path, mixture_kind::argument_help)->required();
        add_optional_data_options(app, rows.data);
        add_by_position_option(app, rows.data);
        app.add_option("--given", rows.given,
                       "Known columns, by name or by number from 0, and their values; with DATA columns alone "
                       "(default: those that DATA names)")
            ->delimiter(',')
            ->type_name("A=1.5,B=2,...");
        add_device_options(app, rows.device);
        app.add_option("-o,--output", output_path,
                       "Write the new model (.safetensors or .json); with DATA the rows (.csv, .npy, .f32, .f64, .h5; "
                       "default: print them)",
                       "FILE", "Output");
        app.add_option("--variances", rows.variances, "With DATA: none, diagonal or full, beside the means", "NAME",
                       "Output")
            ->capture_default_str();
        add_type_option(app, rows.rows.type);
        app.add_option("--log-density", rows.density_path, "With DATA: write log p of the known columns", "FILE",
                       "Output");
        app.add_option("--responsibilities", rows.responsibility_path,
                       "With DATA: write p(component | known columns), one column each", "FILE", "Output");
        add_output_options(app, rows.output);
    }

    exit_status run(const std::string& command_line) const {
        for (const auto& [option, path] :
             {std::pair{"--log-density", rows.density_path}, {"--responsibilities", rows.responsibility_path}})
            if (rows.data.path.empty() && !path.empty())
                throw invalid_argument(fmt::format("{} {}: expected DATA, whose rows it is about", option, path));
        if (rows.data.path.empty())
            return condition_on_values({rows.model_path, rows.given, output_path, rows.output}, command_line);
        regression regression = rows;
        if (!output_path.empty())
            regression.rows.path = output_path;
        return regression.run(command_line);
    }
};

} // namespace

void add_mixture_marginal(parser& mixture, invocation& call) {
    add_command<marginal_command>(mixture, call, "marginal", "The model of some of the columns");
}

void add_mixture_condition(parser& mixture, invocation& call) {
    add_command<condition_command>(
        mixture, call, "condition",
        "The model of all other columns, given values of some; with DATA their means for every row");
}

} // namespace elbo::cli
