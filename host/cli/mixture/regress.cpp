#include "host/cli/mixture/regress.hpp"

#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/sources.hpp"
#include "host/joined.hpp"

#include "elbo/gmm/regress.hpp"
#include "elbo/version.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
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
std::vector<std::int64_t> named_columns(const regress_command& command, const gmm::saved_model& saved,
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
known_rows open_known(const regress_command& command, const gmm::saved_model& saved) {
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

/// Takes the results of batches to where they go.
class regression_output {
public:
    regression_output(const regress_command& command, const std::vector<std::string>& names, variance_form form,
                      std::int64_t rows, std::int64_t components)
        : a_(std::ssize(names)), components_(components), form_(form),
          rows_(command.row_path, rows, result_names(names, form), output_type_from_string(command.type)) {
        if (!command.density_path.empty())
            densities_.emplace(command.density_path, rows, std::vector<std::string>{"log_density"},
                               io::output_type::float64);
        if (!command.responsibility_path.empty())
            responsibilities_.emplace(command.responsibility_path, rows, numbered("component ", components),
                                      io::output_type::float64);
    }

    void take(const gmm::regression_batch& batch) {
        const double* spread = form_ == variance_form::full ? batch.covariances : batch.variances;
        const std::int64_t of_row = form_ == variance_form::none ? 0 : form_ == variance_form::diagonal ? a_ : a_ * a_;
        values_.clear();
        for (std::int64_t n = 0; n < batch.rows; ++n) {
            values_.insert(values_.end(), batch.means + n * a_, batch.means + (n + 1) * a_);
            values_.insert(values_.end(), spread + n * of_row, spread + (n + 1) * of_row);
        }
        rows_.append(matrix_view<const double>(values_.data(), batch.rows, a_ + of_row));
        if (densities_)
            densities_->append(matrix_view<const double>(batch.log_density, batch.rows, 1));
        if (responsibilities_)
            responsibilities_->append(matrix_view<const double>(batch.responsibilities, batch.rows, components_));
    }

    void close() {
        rows_.close();
        if (densities_)
            densities_->close();
        if (responsibilities_)
            responsibilities_->close();
    }
    bool printed() const { return rows_.printed(); }

private:
    std::int64_t a_, components_;
    variance_form form_;
    row_output rows_;
    std::optional<row_output> densities_, responsibilities_;
    std::vector<double> values_;
};

json summary_of(const regress_command& command, const std::string& command_line, const context& ctx,
                const gmm::model& m, const known_rows& known, const std::vector<std::string>& names) {
    json summary{{"command", command_line},        {"version", version},
                 {"device", ctx.name()},           {"model", command.model_path},
                 {"samples", known.data.rows()},   {"dimensions", m.dimensions()},
                 {"components", m.components()},   {"family", to_string(m.shape())},
                 {"given_columns", known.columns}, {"columns", gmm::other_columns(known.columns, m.dimensions())},
                 {"column_names", names}};
    add_left_out(summary, known.notes);
    return summary;
}

} // namespace

exit_status regress_rows(const regress_command& command, const std::string& command_line) {
    check_row_output(command.row_path, command.output);
    check_files({.inputs = files_of(command.data, {command.model_path}),
                 .outputs = {command.output.json},
                 .rows = {command.row_path, command.density_path, command.responsibility_path}});
    const variance_form form = variances_from_string(command.variances);
    const interrupt_guard guard;
    const gmm::saved_model saved = gmm::load_saved(command.model_path);
    const gmm::model& m = saved.model;
    const context ctx = make_context(command.device);
    const known_rows known = open_known(command, saved);
    const std::vector<std::string> all =
        saved.column_names.empty() ? numbered("x", m.dimensions()) : saved.column_names;
    const std::vector<std::string> names = pick(all, gmm::other_columns(known.columns, m.dimensions()));
    regression_output output(command, names, form, known.data.rows(), m.components());
    gmm::regress(
        ctx, m, known.columns, known.data, [&](const gmm::regression_batch& batch) { output.take(batch); },
        {.covariances = form == variance_form::full, .responsibilities = !command.responsibility_path.empty()});
    output.close();
    write_json(command.output, summary_of(command, command_line, ctx, m, known, names));
    if (!output.printed())
        print_results(command.output,
                      fmt::format("{}: {} given {} for {} rows of {}\n", command.row_path, joined(names, ", "),
                                  joined(pick(all, known.columns), ", "), known.data.rows(), known.data.description()));
    return exit_status::success;
}

} // namespace elbo::cli
