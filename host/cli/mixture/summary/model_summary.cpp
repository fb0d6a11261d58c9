#include "host/cli/mixture/summary/model_summary.hpp"

#include "host/cli/core/text_table.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/page/component_numbers.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <span>

namespace elbo::cli {

namespace {

using io::json;

constexpr std::int64_t largest_json_array = 10000;
constexpr std::int64_t largest_row_count = 30;
constexpr std::int64_t largest_column_count = 5;

// Lengths of the axes of an array of covariances.
std::vector<std::int64_t> covariance_shape(const gmm::model& m) {
    const std::int64_t k = m.components(), d = m.dimensions();
    switch (m.shape()) {
    case gmm::family::full:
        return {k, d, d};
    case gmm::family::tied:
        return {d, d};
    case gmm::family::diagonal:
        return {k, d};
    case gmm::family::spherical:
        return {k};
    case gmm::family::tied_diagonal:
        return {d};
    case gmm::family::tied_spherical:
        return {1};
    }
    return {};
}

json nested(std::span<const double> values, std::span<const std::int64_t> shape) {
    if (shape.size() <= 1)
        return std::vector<double>(values.begin(), values.end());
    json array = json::array();
    const std::size_t part = values.size() / static_cast<std::size_t>(shape[0]);
    for (std::int64_t i = 0; i < shape[0]; ++i)
        array.push_back(nested(values.subspan(i * part, part), shape.subspan(1)));
    return array;
}

std::string plural(std::int64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

} // namespace

std::string describe(const gmm::model& m) {
    return fmt::format("{}, {}, {}", to_string(m.shape()), plural(m.components(), "component"),
                       plural(m.dimensions(), "dimension"));
}

std::string component_text(const gmm::model& m, const std::vector<std::string>& column_names) {
    const std::int64_t d = m.dimensions();
    const std::int64_t columns = std::min(d, largest_column_count), rows = std::min(m.components(), largest_row_count);
    std::vector<std::vector<std::string>> table{{"component", "weight"}};
    for (std::int64_t j = 0; j < columns; ++j)
        table[0].push_back(report::column_name(column_names, j));
    const report::component_numbers numbers(m, rows, columns);
    for (std::int64_t k = 0; k < rows; ++k) {
        std::vector<std::string> row{std::to_string(k), fmt::format("{:.4f}", m.weights()[k])};
        for (std::int64_t j = 0; j < columns; ++j)
            row.push_back(fmt::format("{} ± {}", numbers.mean(k, j), numbers.deviation(k, j)));
        table.push_back(std::move(row));
    }
    std::string out = text_table(table) + "  (mean ± standard deviation";
    if (columns < d)
        out += fmt::format("; the first {} of {} columns", columns, d);
    if (rows < m.components())
        out += fmt::format("; the first {} of {} components", rows, m.components());
    return out + ")\n";
}

void add_parameters(json& summary, const gmm::model& m) {
    summary["weights"] = m.weights();
    const std::int64_t k = m.components(), d = m.dimensions();
    summary["means"] = nullptr;
    if (k * d <= largest_json_array)
        summary["means"] = nested(m.means(), std::vector<std::int64_t>{k, d});
    summary["covariances"] = nullptr;
    if (gmm::covariance_size(m.shape(), k, d) <= largest_json_array)
        summary["covariances"] = nested(m.covariances(), covariance_shape(m));
}

} // namespace elbo::cli
