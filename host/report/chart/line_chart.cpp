#include "host/report/chart/charts.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::report {
namespace {

/// What a fit raises, after the E-step and after the M-step: with a prior log p(θ) is a part of it.
double objective(const iteration_record& record) {
    return record.log_likelihood + record.log_prior;
}

double objective_after(const iteration_record& record) {
    return record.elbo_after_m_step + record.log_prior_after;
}

bool has_prior(const std::vector<iteration_record>& trace) {
    return std::ranges::any_of(trace, [](const iteration_record& record) { return record.log_prior != 0; });
}

/// Re-seeded components and ascent steps without backtracking lower it, by more than rounding and regularisation do.
bool never_falls(const std::vector<iteration_record>& trace) {
    double low = INFINITY, high = -INFINITY, fall = 0;
    for (const iteration_record& record : trace) {
        fall = std::max(fall, high - objective(record));
        low = std::min(low, objective(record));
        high = std::max(high, objective(record));
    }
    constexpr double visible = 1e-3; // of the height of the picture
    return !(fall > visible * (high - low));
}

constexpr std::size_t largest_record_count = 800;
/// Curves of more points than this have no room for markers.
constexpr std::size_t largest_marker_count = 80;

/// The range of values in nats with some air, and wide enough that rounding errors do not look like steps.
interval range_of_nats(const std::vector<point>& points) {
    constexpr double smallest = 1e-6;
    interval range = range_of(points, 1);
    const double missing = std::max(0.0, smallest - range.width());
    range.low -= missing / 2;
    range.high += missing / 2;
    return padded(range, 0.06);
}

void draw_markers(chart& c, const std::vector<point>& points, const component_style& style, double radius) {
    std::string path;
    for (const point& at : points)
        path += marker_path(style.shape, c.x_of(at[0]), c.y_of(at[1]), radius);
    c.add(fmt::format(R"(<path {} d="{}"/>)", marker_paint(style, 1.8), path));
}

/// All points, and the ends of their error bars.
std::vector<point> drawn_points(const std::vector<curve>& curves) {
    std::vector<point> all;
    for (const curve& one : curves) {
        all.insert(all.end(), one.points.begin(), one.points.end());
        for (std::size_t i = 0; i < one.errors.size(); ++i)
            for (const double end : {-one.errors[i], one.errors[i]})
                all.push_back({one.points[i][0], one.points[i][1] + end});
    }
    return all;
}

void draw_errors(chart& c, const curve& one) {
    constexpr double cap = 3.5;
    std::string path;
    for (std::size_t i = 0; i < one.errors.size(); ++i) {
        const double x = c.x_of(one.points[i][0]);
        const double low = c.y_of(one.points[i][1] - one.errors[i]), high = c.y_of(one.points[i][1] + one.errors[i]);
        path += fmt::format("M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}V{:.1f}", x - cap, low, x + cap,
                            x - cap, high, x + cap, x, low, high);
    }
    if (!path.empty())
        c.add(fmt::format(R"(<path class="error-bar" stroke="{}" d="{}"/>)", one.style.colour, path));
}

} // namespace

std::vector<std::size_t> shown_records(std::size_t count) {
    const std::size_t step = count / largest_record_count + 1;
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i + 1 < count; i += step)
        shown.push_back(i);
    if (count > 0)
        shown.push_back(count - 1);
    return shown;
}

interval range_of(const std::vector<point>& points, int coordinate) {
    interval range{INFINITY, -INFINITY};
    for (const point& at : points)
        include(range, at[coordinate], at[coordinate]);
    return range;
}

std::string line_path(const chart& c, const std::vector<point>& points) {
    std::string path;
    for (const point& at : points)
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", c.x_of(at[0]), c.y_of(at[1]));
    return path;
}

std::string bar_path(const chart& c, double left, double right, double height) {
    return fmt::format("M{:.1f} {:.1f}V{:.1f}H{:.1f}V{:.1f}z", c.x_of(left), c.y_of(0), c.y_of(height), c.x_of(right),
                       c.y_of(0));
}

std::string legend_line(const chart& c, const legend& entries) {
    constexpr double letter = 7; // of the 13.5 pixel font of .legend, on average
    std::string out;
    double x = c.x_of(c.x_range().low) + 8;
    for (const auto& [style, text] : entries) {
        out += fmt::format(R"(<path fill="{}" d="{}"/><text class="legend" x="{:.1f}" y="18">{}</text>)", style.colour,
                           marker_path(style.shape, x, 14, 4.5), x + 12, escape(text));
        x += 32 + letter * static_cast<double>(text.size());
    }
    return out;
}

std::string line_chart(const std::vector<curve>& curves, const chart_axes& axes) {
    const std::vector<point> all = drawn_points(curves);
    if (all.empty())
        return {};
    const interval x = padded(range_of(all, 0), 0.03);
    const interval y = axes.y         ? padded(*axes.y, 0.06)
                       : axes.decades ? padded(range_of(all, 1), 0.06)
                                      : range_of_nats(all);
    const ticks y_ticks = axes.decades ? decade_ticks(y, 6) : linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    legend entries;
    for (const curve& one : curves)
        entries.emplace_back(one.style, one.name);
    const bool with_legend = axes.legend && curves.size() > 1;
    if (with_legend)
        size.top = legend_height;
    chart c(x, y, size);
    c.axes(whole_ticks(x, 7), y_ticks, axes.x_title, axes.y_title);
    for (const curve& one : curves) {
        draw_errors(c, one);
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", one.style.colour, line_path(c, one.points)));
        if (one.points.size() <= largest_marker_count)
            draw_markers(c, one.points, one.style, 3.5);
    }
    if (axes.ringed)
        c.add(fmt::format(R"(<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="9"/>)", c.x_of((*axes.ringed)[0]),
                          c.y_of((*axes.ringed)[1])));
    if (with_legend)
        c.add_outside(legend_line(c, entries));
    return c.svg(axes.id, axes.description);
}

std::string chain_chart(const std::vector<iteration_record>& trace) {
    // The chain as one line: log p(θ_t) at t, then the bound after the M-step half an iteration later.
    std::vector<point> chain, likelihood, bound;
    for (const std::size_t i : shown_records(trace.size())) {
        const iteration_record& record = trace[i];
        const auto t = static_cast<double>(record.iteration);
        likelihood.push_back({t, objective(record)});
        chain.push_back(likelihood.back());
        if (i + 1 < trace.size()) {
            bound.push_back({t + 0.5, objective_after(record)});
            chain.push_back(bound.back());
        }
    }
    const interval x = padded(range_of(chain, 0), 0.03), y = range_of_nats(chain);
    const component_style likelihood_style{style_of(0).colour, marker::circle};
    const component_style bound_style{style_of(1).colour, marker::diamond};
    const ticks y_ticks = linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    size.top = legend_height;
    chart c(x, y, size);
    c.axes(whole_ticks(x, 7), y_ticks, "iteration", "nats per sample");
    c.add(fmt::format(R"(<path class="curve" stroke="#8a8f98" d="{}"/>)", line_path(c, chain)));
    if (likelihood.size() <= largest_marker_count) {
        draw_markers(c, bound, bound_style, 3.2);
        draw_markers(c, likelihood, likelihood_style, 3.5);
    } else {
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", bound_style.colour, line_path(c, bound)));
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", likelihood_style.colour,
                          line_path(c, likelihood)));
    }
    const bool prior = has_prior(trace);
    c.add_outside(
        legend_line(c, {{likelihood_style, prior ? "log-likelihood + log prior" : "log-likelihood (after the E-step)"},
                        {bound_style, prior ? "ELBO + log prior" : "ELBO after the M-step"}}));
    return c.svg("chain", "Log-likelihood and evidence lower bound against iteration");
}

std::string chain_caption(const std::vector<iteration_record>& trace) {
    const std::string chain = "log p(&#952;<sub>t</sub>) &#8804; J(q<sub>t+1</sub>, &#952;<sub>t+1</sub>) &#8804; log "
                              "p(&#952;<sub>t+1</sub>)";
    const char* what = has_prior(trace) ? ", with the log density of the prior in each" : "";
    return fmt::format("The chain {}{}{}", chain, what, never_falls(trace) ? ": it never falls." : ".");
}

std::string convergence_chart(const std::vector<iteration_record>& trace) {
    return missing_chart(points_of(trace, objective), objective(trace.back()), "convergence",
                         "Difference to the end of the chain against iteration, logarithmic");
}

std::string missing_chart(const std::vector<point>& points, double end, std::string_view id,
                          std::string_view description) {
    std::vector<point> missing;
    for (const auto& [iteration, value] : points)
        if (end - value > 0)
            missing.push_back({iteration, std::log10(end - value)});
    if (missing.size() < 2)
        return {};
    return line_chart({{"", {style_of(2).colour, marker::circle}, missing}}, {.id = id,
                                                                              .x_title = "iteration",
                                                                              .y_title = "missing to the end (nats)",
                                                                              .description = description,
                                                                              .decades = true});
}

} // namespace elbo::report
