#include "host/cli/core/inputs.hpp"

#include "host/cli/core/interrupt.hpp"

#include "elbo/error.hpp"
#include "elbo/gmm/algebra.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/input_file.hpp"
#include "host/joined.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace elbo::cli {

namespace {

constexpr std::int64_t rows_per_batch = 1 << 16;

file_options reading(const data_options& options, std::vector<std::string> columns) {
    file_options read = reading_options(options);
    read.columns = std::move(columns);
    return read;
}

data_source open_columns(const data_options& options, std::vector<std::string> columns, double scale) {
    file_options read = reading(options, std::move(columns));
    read.scale = scale;
    return data_source::file(options.path, read);
}

double element(const any_matrix_view& view, std::int64_t i, std::int64_t j) {
    if (view.type == element_type::float32)
        return view.as<float>()(i, j);
    return view.as<double>()(i, j);
}

// Rows r(0) < r(1) < ... < r(count - 1) of the data as float64.
template <class F>
std::vector<double> gather(const data_source& data, std::int64_t count, F&& row_number) {
    const auto reader = data.read(rows_per_batch);
    std::vector<double> values;
    values.reserve(static_cast<std::size_t>(count * data.cols()));
    std::int64_t next = 0, first = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0 && next < count; batch = reader->next()) {
        throw_if_interrupted();
        for (; next < count && row_number(next) < first + batch.rows; ++next)
            for (std::int64_t j = 0; j < batch.cols; ++j)
                values.push_back(element(batch, row_number(next) - first, j));
        first += batch.rows;
    }
    return values;
}

bool is_number(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Names of the columns, or their numbers where they have none.
std::vector<std::string> column_keys(const data_source& data) {
    std::vector<std::string> keys = data.column_names();
    if (keys.empty())
        for (std::int64_t j = 0; j < data.cols(); ++j)
            keys.push_back(std::to_string(j));
    return keys;
}

// What goes with the rows: a column of the data, or a file of its own.
struct side_column {
    const char* option; ///< "--weights"
    const std::string& where;
};

std::vector<double> read_column(const data_source& column, const side_column& side) {
    if (column.cols() != 1)
        throw invalid_argument(fmt::format("{} {}: {} has {} columns, expected one", side.option, side.where,
                                           column.description(), column.cols()));
    return gather(column, column.rows(), [](std::int64_t i) { return i; });
}

// A name is looked for among the columns first; a number only where there is no file of that name.
bool is_column(const std::string& name, const std::vector<std::string>& keys) {
    const bool found = std::find(keys.begin(), keys.end(), name) != keys.end();
    return found && !(is_number(name) && std::filesystem::exists(name));
}

struct data_with_columns {
    data_source data;
    std::vector<std::vector<double>> columns; ///< of each option, empty where it was not given
    reading_notes notes;
};

// A file of its own has a layout of its own, written by the same program.
file_options reading_of_side(const data_options& options) {
    file_options read = reading(options, {});
    read.dataset.clear();
    read.header = header_row::automatic;
    return read;
}

std::vector<double> read_side(const data_options& options, const side_column& side,
                              const std::vector<std::string>& keys) {
    if (is_column(side.where, keys))
        return read_column(data_source::file(options.path, reading(options, {side.where})), side);
    if (side.where == io::standard_input && options.path == io::standard_input)
        throw invalid_argument(fmt::format("{} -: standard input is the data already", side.option));
    if (side.where != io::standard_input && !std::filesystem::exists(io::locate(side.where).path))
        throw invalid_argument(fmt::format("{} {}: neither a column of {} ({}) nor a file", side.option, side.where,
                                           options.path, joined(keys, ", ")));
    return read_column(data_source::file(side.where, reading_of_side(options)), side);
}

bool has_all(const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
    const std::unordered_set<std::string_view> there(names.begin(), names.end());
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& name) { return there.contains(name); });
}

// The columns of the model, some of which may be among those that were left out by themselves.
data_source matched(const data_options& options, const data_source& data, const reading_notes& notes,
                    const model_columns& model, double scale) {
    if (options.by_position || model.names.empty() || data.column_names().empty())
        return data;
    std::vector<std::string> known = data.column_names();
    for (const left_out_column& column : notes.left_out)
        known.push_back(column.name);
    if (options.columns.empty() && !has_all(data.column_names(), model.names) && has_all(known, model.names))
        return open_columns(options, model.names, scale);
    try {
        return match_columns(data, model.names, model.model);
    } catch (const invalid_argument& differs) {
        throw invalid_argument(fmt::format("{}; --by-position takes columns by their order", differs.what()));
    }
}

// What the data has beyond the columns of the model is left out, too. `whole`: all that was taken of the file, of which
// the columns of the data are some in their order.
void note_others(const data_source& whole, const data_source& data, const data_source& kept, reading_notes& notes) {
    const std::unordered_set<std::string_view> used(kept.column_names().begin(), kept.column_names().end());
    std::unordered_set<std::int64_t> gone; // numbers in the file
    for (const left_out_column& column : notes.left_out)
        gone.insert(column.number);
    std::erase_if(notes.left_out, [&](const left_out_column& c) { return used.contains(c.name); });
    auto own = data.column_names().begin();
    std::int64_t number = 0;
    for (const std::string& name : whole.column_names()) {
        while (gone.contains(number))
            ++number;
        if (own != data.column_names().end() && name == *own) {
            if (!used.contains(name))
                notes.left_out.push_back({number, name, "not a column of the model"});
            ++own;
        }
        ++number;
    }
}

data_with_columns open_with(const data_options& options, const std::vector<side_column>& sides, double scale,
                            const model_columns& model) {
    std::vector<std::vector<double>> columns;
    std::vector<std::string> keys, rest;
    std::optional<data_source> all; // held until the end: a pipe can be opened again for as long
    for (const side_column& side : sides) {
        if (side.where.empty()) {
            columns.emplace_back();
            continue;
        }
        if (!all) {
            all = data_source::file(options.path, reading(options, {}));
            rest = keys = column_keys(*all);
        }
        columns.push_back(read_side(options, side, keys));
        if (is_column(side.where, keys))
            std::erase(rest, side.where);
        if (rest.empty())
            throw invalid_argument(fmt::format("{} {}: {} has no other column", side.option, side.where, options.path));
    }
    const bool without = options.columns.empty() && rest.size() < keys.size();
    const data_source data = open_columns(options, without ? rest : options.columns, scale);
    reading_notes notes{without ? all->left_out() : data.left_out(), data.remarks()};
    data_source kept = matched(options, data, notes, model, scale);
    if (!model.names.empty() && !options.by_position)
        note_others(all && options.columns.empty() ? *all : data, data, kept, notes);
    return {std::move(kept), std::move(columns), std::move(notes)};
}

// Row i of `count` evenly spaced ones of n, split so that the product stays below 2^63 for any n.
std::int64_t evenly_spaced_row(std::int64_t i, std::int64_t n, std::int64_t count) {
    return i * (n / count) + i * (n % count) / count;
}

} // namespace

gmm::sample_labels weighted_data::known() const {
    if (labels.empty())
        return {};
    return gmm::sample_labels::from_column(
        matrix_view<const double>(labels.data(), static_cast<std::int64_t>(labels.size()), 1));
}

std::int64_t weighted_data::labelled() const {
    return std::ranges::count_if(labels, [](double label) { return label != -1; });
}

weighted_data open_data(const data_options& options, const model_columns& model) {
    data_with_columns opened =
        open_with(options, {{"--weights", options.weights}, {"--labels", options.labels}}, 1, model);
    return {std::move(opened.data), std::move(opened.notes), std::move(opened.columns[0]),
            std::move(opened.columns[1])};
}

labelled_data open_scaled_data(const data_options& options, const model_columns& model) {
    data_with_columns opened = open_with(options, {{"--labels", options.labels}}, scale_of(options), model);
    const std::vector<double>& labels = opened.columns[0];
    if (!options.labels.empty() && std::ssize(labels) != opened.data.rows())
        throw invalid_argument(fmt::format("--labels {}: has {} rows, expected {}, the rows of {}", options.labels,
                                           labels.size(), opened.data.rows(), options.path));
    return {std::move(opened.data), std::move(opened.notes), std::move(opened.columns[0]), scale_of(options)};
}

data_source open_alike(data_options options, const std::string& path, const model_columns& columns) {
    options.scale = scale_of(options);
    options.path = path;
    return open_with(options, {{"--labels", options.labels}}, *options.scale, columns).data;
}

void tell(const output_options& output, const data_source& data, const reading_notes& notes) {
    constexpr std::size_t shown = 5;
    for (const std::string& remark : notes.remarks)
        note(output, remark);
    for (std::size_t i = 0; i < std::min(notes.left_out.size(), shown); ++i) {
        const left_out_column& column = notes.left_out[i];
        note(output,
             fmt::format("{}: column {}{} is left out: {}", data.description(), column.number + 1,
                         column.name.empty() ? "" : fmt::format(" ({})", io::in_quotes(column.name)), column.reason));
    }
    if (notes.left_out.size() > shown)
        note(output,
             fmt::format("{}: {} more columns are left out", data.description(), notes.left_out.size() - shown));
}

void add_left_out(json& summary, const reading_notes& notes) {
    if (notes.left_out.empty())
        return;
    json list = json::array();
    for (const left_out_column& column : notes.left_out)
        list.push_back({{"column", column.number}, {"name", column.name}, {"reason", column.reason}});
    summary["left_out"] = list;
}

gmm::model load_in_order(const std::string& path, const model_columns& columns, bool by_position) {
    gmm::saved_model saved = gmm::load_saved(path);
    const std::vector<std::string>& names = saved.column_names;
    if (by_position || names.empty() || names.size() != columns.names.size() || names == columns.names)
        return std::move(saved.model); // another number of columns is refused by who takes the model
    std::vector<std::int64_t> order;
    for (const std::string& name : columns.names) {
        const auto found = std::find(names.begin(), names.end(), name);
        if (found == names.end())
            throw invalid_argument(fmt::format("{} has the columns {}: expected those of {}, {}; --by-position takes "
                                               "columns by their order",
                                               path, joined(names, ", "), columns.model, joined(columns.names, ", ")));
        order.push_back(found - names.begin());
    }
    return gmm::marginal(saved.model, order);
}

double scale_of(const data_options& options) {
    const bool grey_values = io::has_ending(options.path, "-ubyte") || io::has_ending(options.path, "-ubyte.gz");
    return options.scale.value_or(grey_values ? 1.0 / 255 : 1.0);
}

void check_columns(const std::string& model_path, std::int64_t wanted, const char* what, const data_source& data) {
    if (wanted != data.cols())
        throw invalid_argument(fmt::format("the model {} has {} {}, but {} has {} columns (choose some with --columns)",
                                           model_path, wanted, what, data.description(), data.cols()));
}

std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit) {
    const std::int64_t n = data.rows(), count = std::min(n, limit);
    return gather(data, count, [&](std::int64_t i) { return evenly_spaced_row(i, n, count); });
}

std::vector<double> evenly_spaced(const std::vector<double>& values, std::int64_t limit) {
    const std::int64_t n = std::ssize(values), count = std::min(n, limit);
    std::vector<double> chosen;
    for (std::int64_t i = 0; i < count; ++i)
        chosen.push_back(values[evenly_spaced_row(i, n, count)]);
    return chosen;
}

std::vector<float> row_of(const data_source& data, std::int64_t number, const char* option) {
    if (number < 0 || number >= data.rows())
        throw invalid_argument(
            fmt::format("{} {}: expected a row of {}, 0 to {}", option, number, data.description(), data.rows() - 1));
    const std::vector<double> row = gather(data, 1, [&](std::int64_t) { return number; });
    return {row.begin(), row.end()};
}

} // namespace elbo::cli
