#include "host/report/page/component_table.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/chart/svg.hpp"
#include "host/report/page/component_numbers.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::report {

namespace {

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
