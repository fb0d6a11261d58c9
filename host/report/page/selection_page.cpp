#include "host/report/page/pages.hpp"

#include "host/report/chart/charts.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::report {
namespace {

using gmm::criterion;
using gmm::select_cell;

struct known_criterion {
    double select_cell::*value;
    std::string_view title;
};
/// In the order of the enumeration.
constexpr known_criterion held_out{&select_cell::held_out, "held out (nats per sample)"};
constexpr std::array<known_criterion, 5> criteria{
    {{&select_cell::bic, "BIC"}, {&select_cell::aic, "AIC"}, {&select_cell::icl, "ICL"}, held_out, held_out}};

double value_of(const select_cell& cell, criterion which) {
    return cell.*criteria[static_cast<std::size_t>(which)].value;
}

std::vector<gmm::family> families_of(const gmm::select_result& r) {
    std::vector<gmm::family> families;
    for (const select_cell& cell : r.table)
        if (std::find(families.begin(), families.end(), cell.shape) == families.end())
            families.push_back(cell.shape);
    return families;
}

/// The cells of a family that have a value, by the number of components that were asked for.
curve curve_of(const gmm::select_result& r, gmm::family shape, criterion which) {
    std::vector<const select_cell*> cells;
    for (const select_cell& cell : r.table)
        if (cell.shape == shape && cell.fitted && std::isfinite(value_of(cell, which)))
            cells.push_back(&cell);
    std::sort(cells.begin(), cells.end(), [](auto* a, auto* b) { return a->components < b->components; });
    curve line{std::string(to_string(shape)), {}, {}};
    for (const select_cell* cell : cells) {
        line.points.push_back({static_cast<double>(cell->components), value_of(*cell, which)});
        if (is_held_out(which))
            line.errors.push_back(cell->held_out_error);
    }
    return line;
}

/// Where some models are so bad that the others could not be told apart, the range of the better half, with the error
/// bar of the best.
std::optional<interval> range_in_view(const std::vector<curve>& curves, criterion which) {
    constexpr double far = 3;
    const double sign = is_held_out(which) ? -1 : 1; // small is good
    std::vector<double> losses;
    double best = INFINITY, error = 0;
    for (const curve& one : curves)
        for (std::size_t i = 0; i < one.points.size(); ++i) {
            losses.push_back(sign * one.points[i][1]);
            if (losses.back() < best) {
                best = losses.back();
                error = one.errors.empty() ? 0 : one.errors[i];
            }
        }
    if (losses.empty())
        return std::nullopt;
    std::sort(losses.begin(), losses.end());
    const double middle = losses[losses.size() / 2], worst = losses.back();
    if (!(middle > best && worst - best > far * (middle - best)))
        return std::nullopt;
    const double half = middle - best; // with some room beyond it, and before the best
    const double good = sign * (best - std::max(0.15 * half, 1.1 * error));
    const double bad = sign * std::max(middle + 0.5 * half, best + 1.1 * error);
    return interval{std::min(good, bad), std::max(good, bad)};
}

std::string held_out_text(const select_cell& cell) {
    if (!std::isfinite(cell.held_out))
        return "";
    return fmt::format("{:.4f} <span class=\"deviation\">&#177; {:.4f}</span>", cell.held_out, cell.held_out_error);
}

std::string table_row(const select_cell& cell, bool chosen, bool held_out) {
    std::string out = fmt::format("<tr{}><td>{}</td><td>{}</td>", chosen ? " class=\"chosen\"" : "",
                                  to_string(cell.shape), cell.components);
    const int numbers = held_out ? 9 : 8;
    if (!cell.fitted)
        return out + fmt::format("<td class=\"reason\" colspan=\"{}\">{}</td></tr>\n", numbers, escape(cell.error));
    if (held_out)
        out += fmt::format("<td>{}</td>", held_out_text(cell));
    out += fmt::format("<td>{:.2f}</td><td>{:.2f}</td><td>{:.2f}</td><td>{:.4f}</td><td>{}</td>", cell.bic, cell.aic,
                       cell.icl, cell.total_log_likelihood, cell.parameters);
    out += fmt::format("<td>{}</td><td>{}</td><td>{}</td></tr>\n", cell.components_left, cell.iterations,
                       to_string(cell.stopped));
    if (!cell.error.empty())
        out += fmt::format("<tr><td></td><td></td><td class=\"reason\" colspan=\"{}\">{}</td></tr>\n", numbers,
                           escape(cell.error));
    return out;
}

std::string held_out_figure(const gmm::select_result& r) {
    if (!is_held_out(r.by))
        return {};
    return figure(
        criterion_chart(r, r.by),
        r.by == criterion::validation
            ? "Mean log-likelihood of the rows that were held out, with one standard error over these rows: "
              "large is good."
            : "Mean log-likelihood of all rows, each under a model that was fitted without its fold, with one "
              "standard error over the folds: large is good.");
}

std::string criteria_section(const gmm::select_result& r) {
    return "<h2>Criteria</h2>\n" + family_legend(r) + "<div class=\"charts\">\n" + held_out_figure(r) +
           figure(criterion_chart(r, criterion::bic),
                  "BIC = &#8722;2 log L + p ln n: small is good; consistent where the truth is among the models.") +
           figure(criterion_chart(r, criterion::icl),
                  "ICL = BIC + 2 &#215; the entropy of the responsibilities: prefers clusters that do not overlap.") +
           figure(criterion_chart(r, criterion::aic),
                  "AIC = &#8722;2 log L + 2 p: aims at prediction, and takes more components than BIC.") +
           "</div>\n" +
           fmt::format(
               "<p class=\"note\">The ring marks what was chosen: {}. Models far worse than most may lie outside the "
               "frame.</p>\n",
               escape(r.reason));
}

} // namespace

std::string criterion_chart(const gmm::select_result& r, criterion which) {
    std::vector<curve> curves;
    const std::vector<gmm::family> families = families_of(r);
    for (std::size_t f = 0; f < families.size(); ++f) {
        curves.push_back(curve_of(r, families[f], which));
        curves.back().style = style_of(static_cast<std::int64_t>(f));
    }
    const std::string name(to_string(which));
    chart_axes axes{.id = name,
                    .x_title = "components",
                    .y_title = criteria[static_cast<std::size_t>(which)].title,
                    .description = name};
    axes.legend = false;
    axes.y = range_in_view(curves, which);
    const select_cell& chosen = r.table[static_cast<std::size_t>(r.chosen)];
    if (which == r.by && std::isfinite(value_of(chosen, which)))
        axes.ringed = point{static_cast<double>(chosen.components), value_of(chosen, which)};
    return line_chart(curves, axes);
}

std::string family_legend(const gmm::select_result& r) {
    const std::vector<gmm::family> families = families_of(r);
    legend entries;
    for (std::size_t f = 0; f < families.size(); ++f)
        entries.emplace_back(style_of(static_cast<std::int64_t>(f)), to_string(families[f]));
    return families.size() > 1 ? legend_html(entries) : "";
}

std::string selection_table(const gmm::select_result& r) {
    const bool held_out = is_held_out(r.by);
    std::string out = "<table><thead><tr><th>family</th><th>components</th>";
    if (held_out)
        out += "<th>held out</th>";
    out += "<th>BIC</th><th>AIC</th><th>ICL</th><th>log-likelihood</th><th>parameters</th><th>left</th>"
           "<th>iterations</th><th>stopped</th></tr></thead><tbody>\n";
    for (std::int64_t i = 0; i < std::ssize(r.table); ++i)
        out += table_row(r.table[static_cast<std::size_t>(i)], i == r.chosen, held_out);
    return out + "</tbody></table>\n";
}

std::string render(const mixture_page& chosen, const gmm::select_result& r) {
    check(chosen);
    return page_begin(chosen) + criteria_section(r) + "<h2>All models</h2>\n<div class=\"scroll\">\n" +
           selection_table(r) + "</div>\n" + density_section(chosen) + "<h2>Components</h2>\n<div class=\"scroll\">\n" +
           component_table(*chosen.model, chosen.column_names) + "</div>\n" + page_end(chosen.command);
}

std::string page(const context& ctx, const gmm::select_result& choice, const data_source& data, const heading& about) {
    return render(page_of(ctx, choice.best.model, data, completed(about, "Choice of a mixture for", ctx, data)),
                  choice);
}

} // namespace elbo::report
