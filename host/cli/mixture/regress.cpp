#include "host/cli/mixture/regress.hpp"

#include "host/cli/mixture/model.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/io/sources.hpp"
#include "host/joined.hpp"

#include "elbo/gmm/regress.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_set>

namespace elbo::cli {

namespace {

enum class variance_form { none, diagonal, full };

variance_form variances_from_string(const std::string& name) {
    if (name == "none")
        return variance_form::none;
    if (name == "diagonal")
        return variance_form::diagonal;
    if (name == "full")
        return variance_form::full;
    throw invalid_argument(fmt::format("--variances {}: expected none, diagonal or full", name));
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

std::vector<std::string> pick(const std::vector<std::string>& names, const std::vector<std::int64_t>& columns) {
    std::vector<std::string> result;
    for (const std::int64_t j : columns)
        result.push_back(names[j]);
    return result;
}

/// The columns of the model that the data names, in the order of the model.
std::vector<std::int64_t> named_columns(const regression& command, const gmm::saved_model& saved,
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
    data_source data;
    reading_notes notes;
};

/// The known columns of the model and the data with these alone: by name where both have names; else the data has them
/// in the order of --given, or has all columns of the model.
known_rows open_known(const regression& command, const gmm::saved_model& saved) {
    const data_options& options = command.data;
    weighted_data input = open_data(options);
    const std::int64_t d = saved.model.dimensions();
    tell(command.output, input.data, input.notes);
    const bool named = !options.by_position && !saved.column_names.empty() && !input.data.column_names().empty();
    for (const std::string& given : command.given)
        if (given.find('=') != std::string::npos && !has(saved.column_names, given))
            throw invalid_argument(fmt::format("--given {}: expected a column alone, its values are those of {}", given,
                                               input.data.description()));
    const std::vector<std::int64_t> columns =
        command.given.empty() ? named_columns(command, saved, input.data)
                              : io::find_columns(command.given, saved.column_names, d, command.model_path);
    const std::int64_t cols = input.data.cols();
    if (named)
        return {columns, match_columns(input.data, pick(saved.column_names, columns), command.model_path),
                std::move(input.notes)};
    if (cols == std::ssize(columns))
        return {columns, std::move(input.data), std::move(input.notes)};
    if (cols != d)
        throw invalid_argument(
            fmt::format("{} has {} columns: expected {}, those of --given in their order, or {}, all "
                        "of {} (choose some with --columns)",
                        input.data.description(), cols, columns.size(), d, command.model_path));
    // By their places in the data, which are not those in the file where other columns are left out.
    return {columns, data_source(io::select_columns(input.data.shared(), columns)), std::move(input.notes)};
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

} // namespace

exit_status regression::run(const std::string& command_line) const {
    check_row_output(rows.path, output);
    check_files({.inputs = files_of(data, {model_path}),
                 .outputs = {output.json},
                 .rows = {rows.path, density_path, responsibility_path}});
    const variance_form form = variances_from_string(variances);
    const interrupt_guard guard;
    const gmm::saved_model saved = gmm::load_saved(model_path);
    const gmm::model& m = saved.model;
    const context ctx = make_context(device);
    const known_rows known = open_known(*this, saved);
    const std::vector<std::int64_t> others = gmm::other_columns(known.columns, m.dimensions());
    const std::vector<std::string> all = column_names_of(saved), names = pick(all, others);
    const std::int64_t n = known.data.rows();
    row_output results = rows.open(n, result_names(names, form));
    row_output densities(density_path, n, {"log_density"});
    row_output responsibilities(responsibility_path, n, numbered("component ", m.components()));
    std::vector<double> values;
    const auto take = [&](const gmm::regression_batch& batch) {
        interleave(batch, std::ssize(names), form, values);
        results.append(values.data(), batch.rows);
        densities.append(batch.log_density, batch.rows);
        responsibilities.append(batch.responsibilities, batch.rows);
    };
    gmm::regress(ctx, m, known.columns, known.data, take,
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
    add_left_out(found.summary, known.notes);
    write_json(output, found.summary);
    if (!results.printed())
        print_results(output, fmt::format("{}: {} given {} for {} rows of {}\n", rows.path, joined(names, ", "),
                                          joined(pick(all, known.columns), ", "), n, known.data.description()));
    return exit_status::success;
}

} // namespace elbo::cli
