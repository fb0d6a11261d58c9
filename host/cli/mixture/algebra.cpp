// The commands that make a mixture from another one, or compare two: marginal, condition and divergence.
#include "host/cli/mixture/model.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/fields.hpp"
#include "host/io/sources.hpp"
#include "host/joined.hpp"

#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/regress.hpp"

#include <unordered_set>

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

std::vector<std::string> names_of(const std::vector<std::string>& all, const std::vector<std::int64_t>& columns) {
    std::vector<std::string> names;
    if (!all.empty()) // the model may know none
        for (const std::int64_t j : columns)
            names.push_back(all[j]);
    return names;
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
        const std::optional<double> value = number_of<double>(std::string_view(given).substr(sign + 1));
        if (!value)
            throw invalid_argument(fmt::format("--given {}: expected a number after the last =", given));
        names.push_back(given.substr(0, sign));
        values.push_back(*value);
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
    return deliver(command.output, command.output_path, std::move(found), made, names_of(saved.column_names, rest));
}

struct marginal_command : algebra_options {
    void add_options(parser& app) {
        app.add_option("MODEL", model_path, mixture_kind::argument_help).required();
        app.add_option("-o,--output", output_path, "Write the new model (.safetensors or .json)", "MODEL", "Output");
        add_output_options(app, output);
        app.add_option("--columns", columns, "Columns to keep, by name or by number from 0, in this order", "A,B,...")
            .required();
    }

    exit_status run(const std::string& command_line) const {
        const gmm::saved_model saved = load_checked(*this);
        const std::vector<std::int64_t> kept = columns_of(*this, saved, columns);
        findings found(command_line);
        found.add("model", model_path);
        found.add("columns", kept);
        return deliver(output, output_path, std::move(found), gmm::marginal(saved.model, kept),
                       names_of(saved.column_names, kept));
    }
};

/// Without DATA a new model, with it rows: what a mixture expects of the other columns.
struct condition_command {
    std::string model_path;
    std::vector<std::string> given; ///< the known columns; empty: those that DATA names
    data_options data;
    device_options device;
    output_options output;
    row_options rows{.path = ""};       ///< the path may be that of a model
    std::string variances = "diagonal"; ///< none, diagonal or full
    std::string density_path, responsibility_path;

    void add_options(parser& app);
    exit_status run(const std::string& command_line) const;
    exit_status run_rows(const std::string& command_line) const;
};

enum class variance_form { none, diagonal, full };

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

/// The columns of the model that the data names, in the order of the model.
std::vector<std::int64_t> named_columns(const condition_command& command, const gmm::saved_model& saved,
                                        const data_source& data) {
    const std::unordered_set<std::string> there(data.column_names().begin(), data.column_names().end());
    std::vector<std::int64_t> known;
    for (std::size_t j = 0; j < saved.column_names.size(); ++j)
        if (there.contains(saved.column_names[j]))
            known.push_back(static_cast<std::int64_t>(j));
    if (known.empty())
        throw invalid_argument(fmt::format("--given A,B,... is missing: {} names no column of {} ({})",
                                           data.description(), command.model_path, joined(saved.column_names, ", ")));
    if (std::ssize(known) == saved.model.dimensions())
        throw invalid_argument(fmt::format("--given A,B,... is missing: {} has all columns of {} ({}), expected which "
                                           "of them are known",
                                           data.description(), command.model_path, joined(saved.column_names, ", ")));
    return known;
}

struct known_rows {
    std::vector<std::int64_t> columns; ///< of the model
    input_data input;
};

/// The known columns of the model and the data with these alone: by name where both have names; else the data has them
/// in the order of --given, or has all columns of the model.
known_rows open_known(const condition_command& command, const gmm::saved_model& saved) {
    const data_options& options = command.data;
    input_data input = open_data(options);
    data_source& data = input.data;
    const std::int64_t d = saved.model.dimensions(), cols = data.cols();
    tell(command.output, input);
    for (const std::string& given : command.given)
        if (given.find('=') != std::string::npos && !has(saved.column_names, given))
            throw invalid_argument(fmt::format("--given {}: expected a column alone, its values are those of {}", given,
                                               data.description()));
    const std::vector<std::int64_t> columns =
        command.given.empty() ? named_columns(command, saved, data)
                              : io::find_columns(command.given, saved.column_names, d, command.model_path);
    if (!options.by_position && !saved.column_names.empty() && !data.column_names().empty()) {
        data = match_columns(data, names_of(saved.column_names, columns), command.model_path);
    } else if (cols != std::ssize(columns)) {
        if (cols != d)
            throw invalid_argument(
                fmt::format("{} has {} columns: expected {}, those of --given in their order, or {}, all "
                            "of {} (choose some with --columns)",
                            data.description(), cols, columns.size(), d, command.model_path));
        // By their places in the data, which are not those in the file where other columns are left out.
        data = data_source(io::select_columns(data.shared(), columns));
    }
    return {columns, std::move(input)};
}

/// "y, z", then their variances, or their covariances row by row.
std::vector<std::string> result_names(const std::vector<std::string>& names, variance_form form) {
    std::vector<std::string> result = names;
    for (const std::string& name : names) {
        if (form == variance_form::diagonal)
            result.push_back(name + "_variance");
        for (const std::string& other : names)
            if (form == variance_form::full)
                result.push_back(fmt::format("{}_{}_covariance", name, other));
    }
    return result;
}

/// Means and variances of the rows of a batch, side by side.
void interleave(const gmm::regression_batch& batch, std::int64_t means, variance_form form, std::vector<double>& out) {
    const double* spread = form == variance_form::full ? batch.covariances : batch.variances;
    const std::int64_t of_row = form == variance_form::none       ? 0
                                : form == variance_form::diagonal ? means
                                                                  : means * means;
    out.clear();
    for (std::int64_t n = 0; n < batch.rows; ++n) {
        out.insert(out.end(), batch.means + n * means, batch.means + (n + 1) * means);
        out.insert(out.end(), spread + n * of_row, spread + (n + 1) * of_row);
    }
}

exit_status condition_command::run_rows(const std::string& command_line) const {
    const std::string path = rows.path.empty() ? "-" : rows.path;
    check_row_output(path, output);
    check_files({.inputs = files_of(data, {model_path}),
                 .outputs = {output.json},
                 .rows = {path, density_path, responsibility_path}});
    const variance_form form =
        static_cast<variance_form>(place_of("--variances", variances, {"none", "diagonal", "full"}));
    const interrupt_guard guard;
    const gmm::saved_model saved = gmm::load_saved(model_path);
    const gmm::model& m = saved.model;
    const context ctx = make_context(device);
    const known_rows known = open_known(*this, saved);
    const std::vector<std::int64_t> others = gmm::other_columns(known.columns, m.dimensions());
    const std::vector<std::string> all = column_names_of<mixture_kind>(saved), names = names_of(all, others);
    const std::int64_t n = known.input.data.rows();
    row_output results = row_options{path, rows.type}.open(n, result_names(names, form));
    row_output densities(density_path, n, {"log_density"});
    row_output responsibilities(responsibility_path, n, numbered("component ", m.components()));
    std::vector<double> values;
    const auto take = [&](const gmm::regression_batch& batch) {
        interleave(batch, std::ssize(names), form, values);
        results.append(values.data(), batch.rows);
        densities.append(batch.log_density, batch.rows);
        responsibilities.append(batch.responsibilities, batch.rows);
    };
    gmm::regress(ctx, m, known.columns, known.input.data, take,
                 {.covariances = form == variance_form::full, .responsibilities = !responsibility_path.empty()});
    for (row_output* const written : {&results, &densities, &responsibilities})
        written->close();
    findings found(command_line, ctx);
    found.add("model", model_path);
    found.add("samples", n);
    add_shape(found.summary, m);
    found.add("given_columns", known.columns);
    found.add("columns", others);
    found.add("column_names", names);
    add_left_out(found.summary, known.input);
    write_json(output, found.summary);
    if (!results.printed())
        print_results(output,
                      fmt::format("{}: {} given {} for {} rows of {}\n", path, joined(names, ", "),
                                  joined(names_of(all, known.columns), ", "), n, known.input.data.description()));
    return exit_status::success;
}

void condition_command::add_options(parser& app) {
    app.add_option("MODEL", model_path, mixture_kind::argument_help).required();
    add_data_options(app, data, true);
    add_by_position_option(app, data);
    app.add_option("--given", given,
                   "Known columns, by name or by number from 0, and their values; with DATA columns alone "
                   "(default: those that DATA names)",
                   "A=1.5,B=2,...");
    add_device_options(app, device);
    app.add_option("-o,--output", rows.path,
                   "Write the new model (.safetensors or .json); with DATA the rows (.csv, .npy, .f32, .f64, .h5; "
                   "default: print them)",
                   "FILE", "Output");
    app.add_option("--variances", variances, "With DATA: none, diagonal or full, beside the means", "NAME", "Output");
    app.add_option(type_option, rows.type);
    app.add_option("--log-density", density_path, "With DATA: write log p of the known columns", "FILE", "Output");
    app.add_option("--responsibilities", responsibility_path,
                   "With DATA: write p(component | known columns), one column each", "FILE", "Output");
    add_output_options(app, output);
}

exit_status condition_command::run(const std::string& command_line) const {
    if (!data.path.empty())
        return run_rows(command_line);
    for (const auto& [option, path] :
         {std::pair{"--log-density", density_path}, {"--responsibilities", responsibility_path}})
        if (!path.empty())
            throw invalid_argument(fmt::format("{} {}: expected DATA, whose rows it is about", option, path));
    return condition_on_values({model_path, given, rows.path, output}, command_line);
}

struct divergence_command {
    std::string from, to;
    gmm::divergence_options options;
    bool by_position = false;
    device_options device;
    output_options output;

    void add_options(parser& app) {
        app.add_option("P", from, "Model whose samples are drawn (.safetensors or .json)").required();
        app.add_option("Q", to, "Model that it is compared with").required();
        add_field(app, "-n,--samples", options, &gmm::divergence_options::samples, "N", "");
        app.add_flag("--by-position", by_position, "Take the columns of Q by their order, not by their names");
        app.add_option(seed_option, options.seed);
        add_device_options(app, device);
        add_output_options(app, output);
    }

    exit_status run(const std::string& command_line) const {
        check_files({.inputs = {from, to}, .outputs = {output.json}});
        const gmm::saved_model saved = gmm::load_saved(from);
        const gmm::model& p = saved.model;
        const gmm::model q = load_in_order(to, {saved.column_names, from}, by_position);
        if (p.dimensions() != q.dimensions())
            throw invalid_argument(fmt::format("{} has {} dimensions: expected {}, those of {}", to, q.dimensions(),
                                               p.dimensions(), from));
        const context ctx = make_context(device);
        const gmm::divergence_result estimate = gmm::kl_divergence(ctx, p, q, options);
        const gmm::variational_divergence variational = gmm::kl_variational(p, q);
        findings found(command_line, ctx);
        using result = gmm::divergence_result;
        found.summary.update({{"from", from}, {"to", to}});
        found.add(options, &gmm::divergence_options::samples, &gmm::divergence_options::seed);
        found.add(estimate, &result::value, &result::standard_error);
        found.tell("estimate", fmt::format("{:.6f} ± {:.6f} nats ({} samples)", estimate.value, estimate.standard_error,
                                           estimate.samples));
        using bounds = gmm::variational_divergence;
        found.add(variational, &bounds::approximation, &bounds::upper_bound);
        write_json(output, found.summary);
        print_results(output, fmt::format("D(p‖q) from {} ({}) to {} ({})\n\n", from, describe(p), to, describe(q)) +
                                  text_list(found.facts));
        return exit_status::success;
    }
};

} // namespace

void add_mixture_algebra(parser& mixture, invocation& call) {
    add_command<marginal_command>(mixture, call, "marginal", "The model of some of the columns");
    add_command<condition_command>(
        mixture, call, "condition",
        "The model of all other columns, given values of some; with DATA their means for every row");
    add_command<divergence_command>(mixture, call, "divergence",
                                    "Kullback-Leibler divergence of one model from another");
}

} // namespace elbo::cli
