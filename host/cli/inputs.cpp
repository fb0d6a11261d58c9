#include "host/cli/inputs.hpp"

#include "host/cli/interrupt.hpp"

#include "elbo/error.hpp"

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

std::vector<double> read_weights(const data_source& column) {
    if (column.cols() != 1)
        throw invalid_argument(
            fmt::format("weights: {} has {} columns, expected one", column.description(), column.cols()));
    return gather(column, column.rows(), [](std::int64_t i) { return i; });
}

// A name is looked for among the columns first; a number only where there is no file of that name.
bool is_column(const std::string& weights, const std::vector<std::string>& keys) {
    const bool found = std::find(keys.begin(), keys.end(), weights) != keys.end();
    return found && !(is_number(weights) && std::filesystem::exists(weights));
}

} // namespace

weighted_data open_data(const data_options& options) {
    if (options.weights.empty())
        return {data_source::file(options.path, reading(options, options.columns)), {}};
    const data_source whole = data_source::file(options.path, reading(options, {}));
    std::vector<std::string> keys = column_keys(whole);
    if (is_column(options.weights, keys)) {
        const data_source column = data_source::file(options.path, reading(options, {options.weights}));
        std::erase(keys, options.weights);
        if (keys.empty())
            throw invalid_argument(fmt::format("--weights {}: {} has no other column", options.weights, options.path));
        const auto& wanted = options.columns.empty() ? keys : options.columns;
        return {data_source::file(options.path, reading(options, wanted)), read_weights(column)};
    }
    const std::string file = options.weights.substr(0, options.weights.find(":/"));
    if (!std::filesystem::exists(file))
        throw invalid_argument(fmt::format("--weights {}: neither a column of {} ({}) nor a file", options.weights,
                                           options.path, fmt::join(keys, ", ")));
    return {data_source::file(options.path, reading(options, options.columns)),
            read_weights(data_source::file(options.weights))};
}

void check_dimensions(const gmm::model& model, const std::string& model_path, const data_source& data) {
    if (model.dimensions() != data.cols())
        throw invalid_argument(fmt::format("the model {} has {} dimensions, but {} has {} columns (choose some with "
                                           "--columns)",
                                           model_path, model.dimensions(), data.description(), data.cols()));
}

std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit) {
    const std::int64_t n = data.rows(), count = std::min(n, limit);
    // Split so that the product stays below 2^63 for any n.
    const auto row_number = [&](std::int64_t i) { return i * (n / count) + i * (n % count) / count; };
    return count == 0 ? std::vector<double>() : gather(data, count, row_number);
}

} // namespace elbo::cli
