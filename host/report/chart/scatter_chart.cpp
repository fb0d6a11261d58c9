#include "host/report/chart/charts.hpp"
#include "host/report/chart/contours.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/chart/point_cloud.hpp"
#include "host/report/chart/svg.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::report {

namespace {

constexpr std::array<double, 4> contour_masses{0.95, 0.75, 0.50, 0.25};
constexpr int ellipse_points = 72;
// Ellipses and means of more components than this would hide the data; the table has them all.
constexpr std::int64_t largest_ellipse_count = 60;

void include(interval& range, double low, double high) {
    range.low = std::min(range.low, low);
    range.high = std::max(range.high, high);
}

// What is to be seen: all points, and the contour that holds 95 % (2.45 standard deviations of a single Gaussian).
std::array<interval, 2> visible(const plane_view& view, const std::vector<std::array<double, 2>>& points) {
    constexpr double inf = INFINITY;
    interval x{inf, -inf}, y{inf, -inf};
    for (const auto& at : points) {
        include(x, at[0], at[0]);
        include(y, at[1], at[1]);
    }
    for (const plane_gaussian& g : view.components) {
        include(x, g.x - 2.45 * std::sqrt(g.xx), g.x + 2.45 * std::sqrt(g.xx));
        include(y, g.y - 2.45 * std::sqrt(g.yy), g.y + 2.45 * std::sqrt(g.yy));
    }
    return {padded(x, 0.04), padded(y, 0.04)};
}

std::string closed_path(const chart& c, const polygon& curve) {
    std::string path;
    for (const auto& at : curve)
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", c.x_of(at[0]), c.y_of(at[1]));
    return path + "z";
}

void draw_density(chart& c, const plane_view& view) {
    const density_grid grid =
        sample_density(c.x_range(), c.y_range(), 180, 140, [&](double x, double y) { return view.density(x, y); });
    for (const double mass : contour_masses) {
        std::string path;
        for (const polygon& curve : contour(grid, level_of_mass(grid, mass)))
            path += closed_path(c, curve);
        c.add(fmt::format(R"(<path class="contour" d="{}"/>)", path));
    }
}

void draw_components(chart& c, const plane_view& view) {
    const auto count = std::min<std::int64_t>(std::ssize(view.components), largest_ellipse_count);
    // Many ellipses are drawn thinner, so that what lies below them is seen.
    const std::string_view weight = count > 6 ? "thin" : "thick";
    for (std::int64_t k = 0; k < count; ++k) {
        const std::string_view colour = style_of(k).colour;
        for (const double sigmas : {2.0, 1.0}) {
            const std::string path = closed_path(c, view.components[k].ellipse(sigmas, ellipse_points));
            c.add(fmt::format(R"(<path class="halo {3}" d="{0}"/><path class="ellipse {3}" stroke="{1}"{2} d="{0}"/>)",
                              path, colour, sigmas == 2 ? R"( stroke-dasharray="7 4")" : "", weight));
        }
    }
    for (std::int64_t k = 0; k < count; ++k) {
        const component_style style = style_of(k);
        const plane_gaussian& g = view.components[k];
        const std::string path = marker_path(style.shape, c.x_of(g.x), c.y_of(g.y), 6.5);
        c.add(fmt::format(R"(<path class="mean-halo" d="{0}"/><path {1} d="{0}"/>)", path, marker_paint(style, 3.5)));
    }
}

} // namespace

std::string scatter_chart(const page& p) {
    const plane_view view = make_plane(*p.model, p.column_names);
    const std::int64_t d = p.model->dimensions();
    std::vector<std::array<double, 2>> points;
    for (std::int64_t i = 0; i < p.points.count(); ++i)
        points.push_back(view.project(std::span(p.points.rows).subspan(i * d, d)));
    const auto [x, y] = visible(view, points);
    const ticks y_ticks = linear_ticks(y, 7);
    chart c(x, y, chart::layout{.width = 860, .height = 580}.with_labels(y_ticks));
    c.axes(ticks_across(x, 8, c.frame_width()), y_ticks, view.titles[0], view.titles[1]);
    draw_density(c, view);
    draw_points(c, points, p.points.labels, styles_of(p.model->components()));
    draw_components(c, view);
    return c.svg("density", "Density contours and component ellipses over the data points");
}

} // namespace elbo::report
