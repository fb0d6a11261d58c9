#include "host/report/page/pages.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "host/report/chart/charts.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::report {
namespace {

constexpr int least_digits = 5, most_digits = 17;
/// Means that differ by less than this share of a deviation are the same for every purpose of a table.
constexpr double same_share = 0.01;

constexpr std::int64_t largest_row_count = 60;
constexpr std::int64_t largest_column_count = 6;
constexpr std::int64_t largest_legend_count = 16;

std::string table_head(const std::vector<std::string>& names, std::int64_t shown, bool more) {
    std::string out = "<thead><tr><th></th><th>component</th><th>weight</th>";
    for (std::int64_t j = 0; j < shown; ++j)
        out += fmt::format("<th>{}</th>", escape(column_name(names, j)));
    return out + (more ? "<th>&#8230;</th>" : "") + "</tr></thead>\n";
}

} // namespace

component_numbers::component_numbers(const gmm::model& m, std::int64_t rows, std::int64_t columns)
    : rows_(rows), columns_(columns) {
    for (std::int64_t k = 0; k < rows; ++k) {
        const auto first = m.means().begin() + k * m.dimensions();
        means_.insert(means_.end(), first, first + columns);
        for (const double variance : gmm::leading_variances(m, k, columns))
            deviations_.push_back(std::sqrt(variance));
    }
    for (std::int64_t j = 0; j < columns; ++j)
        digits_.push_back(digits_of(j));
}

int component_numbers::digits_of(std::int64_t column) const {
    struct entry {
        double mean, deviation;
    };
    std::vector<entry> entries;
    double largest = 0, smallest = 0; // magnitude, and difference of neighbours
    for (std::int64_t k = 0; k < rows_; ++k) {
        entries.push_back({means_[k * columns_ + column], deviations_[k * columns_ + column]});
        largest = std::max(largest, std::abs(entries.back().mean));
    }
    std::ranges::sort(entries, {}, &entry::mean);
    for (std::size_t i = 1; i < entries.size(); ++i) {
        const double step = entries[i].mean - entries[i - 1].mean;
        if (step > same_share * std::min(entries[i].deviation, entries[i - 1].deviation))
            smallest = smallest > 0 ? std::min(smallest, step) : step;
    }
    if (!(smallest > 0))
        return least_digits;
    int digits = static_cast<int>(std::ceil(std::log10(largest / smallest))) + 2;
    const int whole = static_cast<int>(std::floor(std::log10(largest))) + 1;
    if (digits > least_digits && digits < whole && whole <= 15)
        digits = whole; // 1000000300 is easier to read than 1.0000003e+09
    return std::clamp(digits, least_digits, most_digits);
}

std::string component_numbers::mean(std::int64_t row, std::int64_t column) const {
    return fmt::format("{:.{}g}", means_[row * columns_ + column], digits_[column]);
}

std::string component_numbers::deviation(std::int64_t row, std::int64_t column) const {
    return fmt::format("{:.3g}", deviations_[row * columns_ + column]);
}

std::string component_table(const gmm::model& m, const std::vector<std::string>& column_names) {
    const std::int64_t d = m.dimensions();
    const std::int64_t shown = std::min(d, largest_column_count);
    const std::int64_t rows = std::min(m.components(), largest_row_count);
    std::string out = "<table>" + table_head(column_names, shown, shown < d) + "<tbody>\n";
    const component_numbers numbers(m, rows, shown);
    for (std::int64_t k = 0; k < rows; ++k) {
        out += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.4f}</td>", badge(style_of(k)), k, m.weights()[k]);
        for (std::int64_t j = 0; j < shown; ++j)
            out += fmt::format("<td>{} <span class=\"deviation\">&#177; {}</span></td>", numbers.mean(k, j),
                               numbers.deviation(k, j));
        out += shown < d ? "<td>&#8230;</td></tr>\n" : "</tr>\n";
    }
    out += "</tbody></table>\n<p class=\"note\">Mean &#177; standard deviation.";
    if (shown < d)
        out += fmt::format(" The first {} of {} columns.", shown, d);
    if (rows < m.components())
        out += fmt::format(" The first {} of {} components.", rows, m.components());
    return out + "</p>\n";
}

std::string component_legend(const gmm::model& m) {
    const std::int64_t shown = std::min(m.components(), largest_legend_count);
    std::string out = "<p class=\"legend-line\">";
    for (std::int64_t k = 0; k < shown; ++k)
        out += fmt::format("<span>{} component {} ({:.1f} %)</span> ", badge(style_of(k)), k, 100 * m.weights()[k]);
    if (shown < m.components())
        out += fmt::format("<span>and {} more</span>", m.components() - shown);
    return out + "</p>\n";
}

} // namespace elbo::report
