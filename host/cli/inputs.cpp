#include "host/cli/inputs.hpp"

#include "host/cli/interrupt.hpp"

#include "elbo/error.hpp"
#include "host/io/format.hpp"
#include "host/joined.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

constexpr std::int64_t rows_per_batch = 1 << 16;

file_options reading(const data_options& options, std::vector<std::string> columns) {
    return {.dataset = options.dataset, .dimensions = options.dimensions, .columns = std::move(columns), .type = {}};
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
};

std::vector<double> read_side(const data_options& options, const side_column& side,
                              const std::vector<std::string>& keys) {
    if (is_column(side.where, keys))
        return read_column(data_source::file(options.path, reading(options, {side.where})), side);
    const std::string file = side.where.substr(0, side.where.find(":/"));
    if (!std::filesystem::exists(file))
        throw invalid_argument(fmt::format("{} {}: neither a column of {} ({}) nor a file", side.option, side.where,
                                           options.path, joined(keys, ", ")));
    return read_column(data_source::file(side.where), side);
}

data_with_columns open_with(const data_options& options, const std::vector<side_column>& sides, double scale) {
    std::vector<std::vector<double>> columns;
    std::vector<std::string> keys, rest;
    for (const side_column& side : sides) {
        if (side.where.empty()) {
            columns.emplace_back();
            continue;
        }
        if (keys.empty())
            rest = keys = column_keys(data_source::file(options.path, reading(options, {})));
        columns.push_back(read_side(options, side, keys));
        if (is_column(side.where, keys))
            std::erase(rest, side.where);
        if (rest.empty())
            throw invalid_argument(fmt::format("{} {}: {} has no other column", side.option, side.where, options.path));
    }
    const bool without = options.columns.empty() && rest.size() < keys.size();
    return {open_columns(options, without ? rest : options.columns, scale), std::move(columns)};
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

weighted_data open_data(const data_options& options) {
    data_with_columns opened = open_with(options, {{"--weights", options.weights}, {"--labels", options.labels}}, 1);
    return {std::move(opened.data), std::move(opened.columns[0]), std::move(opened.columns[1])};
}

labelled_data open_scaled_data(const data_options& options) {
    data_with_columns opened = open_with(options, {{"--labels", options.labels}}, scale_of(options));
    const std::vector<double>& labels = opened.columns[0];
    if (!options.labels.empty() && std::ssize(labels) != opened.data.rows())
        throw invalid_argument(fmt::format("--labels {}: has {} rows, expected {}, the rows of {}", options.labels,
                                           labels.size(), opened.data.rows(), options.path));
    return {std::move(opened.data), std::move(opened.columns[0]), scale_of(options)};
}

data_source open_alike(data_options options, const std::string& path) {
    options.scale = scale_of(options);
    options.path = path;
    return open_with(options, {{"--labels", options.labels}}, *options.scale).data;
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
