#include "host/report/chart/line_chart.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::report {

namespace {

constexpr std::size_t largest_record_count = 800;

std::vector<legend_entry> legend_of(const std::vector<curve>& curves) {
    std::vector<legend_entry> entries;
    for (const curve& c : curves)
        entries.push_back({c.style, c.name});
    return entries;
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
    for (const point& at : points) {
        range.low = std::min(range.low, at[coordinate]);
        range.high = std::max(range.high, at[coordinate]);
    }
    return range;
}

interval range_of_nats(const std::vector<point>& points) {
    constexpr double smallest = 1e-6;
    interval range = range_of(points, 1);
    const double missing = std::max(0.0, smallest - range.width());
    range.low -= missing / 2;
    range.high += missing / 2;
    return padded(range, 0.06);
}

std::string line_path(const chart& c, const std::vector<point>& points) {
    std::string path;
    for (const point& at : points)
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", c.x_of(at[0]), c.y_of(at[1]));
    return path;
}

void draw_markers(chart& c, const std::vector<point>& points, const component_style& style, double radius) {
    std::string path;
    for (const point& at : points)
        path += marker_path(style.shape, c.x_of(at[0]), c.y_of(at[1]), radius);
    c.add(fmt::format(R"(<path {} d="{}"/>)", marker_paint(style, 1.8), path));
}

std::string legend_line(const chart& c, const std::vector<legend_entry>& entries) {
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

std::string line_chart(const std::vector<curve>& curves, const line_axes& axes) {
    const std::vector<point> all = drawn_points(curves);
    if (all.empty())
        return {};
    const interval x = padded(range_of(all, 0), 0.03);
    const interval y = axes.y         ? padded(*axes.y, 0.06)
                       : axes.decades ? padded(range_of(all, 1), 0.06)
                                      : range_of_nats(all);
    const ticks y_ticks = axes.decades ? decade_ticks(y, 6) : linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    const bool legend = axes.legend && curves.size() > 1;
    if (legend)
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
    if (legend)
        c.add_outside(legend_line(c, legend_of(curves)));
    return c.svg(axes.id, axes.description);
}

} // namespace elbo::report
