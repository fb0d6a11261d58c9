#include "host/cli/inputs.hpp"

#include "host/cli/interrupt.hpp"

#include "elbo/error.hpp"
#include "host/io/format.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>

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

struct data_with_column {
    data_source data;
    std::vector<double> column;
};

data_with_column open_with(const data_options& options, const side_column& side, double scale) {
    if (side.where.empty())
        return {open_columns(options, options.columns, scale), {}};
    const data_source whole = data_source::file(options.path, reading(options, {}));
    std::vector<std::string> keys = column_keys(whole);
    if (is_column(side.where, keys)) {
        const data_source column = data_source::file(options.path, reading(options, {side.where}));
        std::erase(keys, side.where);
        if (keys.empty())
            throw invalid_argument(fmt::format("{} {}: {} has no other column", side.option, side.where, options.path));
        const auto& wanted = options.columns.empty() ? keys : options.columns;
        return {open_columns(options, wanted, scale), read_column(column, side)};
    }
    const std::string file = side.where.substr(0, side.where.find(":/"));
    if (!std::filesystem::exists(file))
        throw invalid_argument(fmt::format("{} {}: neither a column of {} ({}) nor a file", side.option, side.where,
                                           options.path, fmt::join(keys, ", ")));
    return {open_columns(options, options.columns, scale), read_column(data_source::file(side.where), side)};
}

// Row i of `count` evenly spaced ones of n, split so that the product stays below 2^63 for any n.
std::int64_t evenly_spaced_row(std::int64_t i, std::int64_t n, std::int64_t count) {
    return i * (n / count) + i * (n % count) / count;
}

} // namespace

weighted_data open_data(const data_options& options) {
    data_with_column opened = open_with(options, {"--weights", options.weights}, 1);
    return {std::move(opened.data), std::move(opened.column)};
}

labelled_data open_scaled_data(const data_options& options) {
    data_with_column opened = open_with(options, {"--labels", options.labels}, scale_of(options));
    if (!options.labels.empty() && std::ssize(opened.column) != opened.data.rows())
        throw invalid_argument(fmt::format("--labels {}: has {} rows, expected {}, the rows of {}", options.labels,
                                           opened.column.size(), opened.data.rows(), options.path));
    return {std::move(opened.data), std::move(opened.column), scale_of(options)};
}

data_source open_alike(data_options options, const std::string& path) {
    options.scale = scale_of(options);
    options.path = path;
    return open_with(options, {"--labels", options.labels}, *options.scale).data;
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
