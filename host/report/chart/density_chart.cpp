#include "host/report/chart/density_chart.hpp"
#include "host/report/chart/contours.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/chart/point_cloud.hpp"
#include "host/report/chart/svg.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace elbo::report {

namespace {

// Two and more dimensions --------------------------------------------------------------------------------------------

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

// One dimension ------------------------------------------------------------------------------------------------------

constexpr int curve_points = 600;

double normal_density(double x, double mean, double variance) {
    const double dx = x - mean;
    return std::exp(-dx * dx / (2 * variance)) / std::sqrt(2 * std::numbers::pi * variance);
}

struct bins {
    interval range;
    std::vector<double> density; ///< of each bin, so that the areas sum to one
};

// Freedman and Diaconis: width 2 · IQR · n^(-1/3), between 5 and 120 bins.
bins histogram(std::vector<double> values) {
    bins result;
    if (values.empty())
        return result;
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    result.range = padded({values.front(), values.back()}, 0);
    const double spread = values[n * 3 / 4] - values[n / 4];
    const double width = 2 * spread / std::cbrt(static_cast<double>(n));
    const double count = width > 0 ? std::clamp(std::ceil(result.range.width() / width), 5.0, 120.0) : 30;
    result.density.assign(static_cast<std::size_t>(count), 0.0);
    const double scale = count / result.range.width();
    for (const double value : values) {
        const auto bin = static_cast<std::size_t>(std::clamp((value - result.range.low) * scale, 0.0, count - 1));
        result.density[bin] += scale / static_cast<double>(n);
    }
    return result;
}

interval visible(const gmm::model& m, const bins& h) {
    interval x{INFINITY, -INFINITY};
    if (!h.density.empty())
        x = h.range;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const double deviation = std::sqrt(m.covariance(k)[0]);
        x.low = std::min(x.low, m.means()[k] - 2.5 * deviation);
        x.high = std::max(x.high, m.means()[k] + 2.5 * deviation);
    }
    return padded(x, 0.03);
}

// Heights of α_k N(x; μ_k, σ_k²) on a grid of x, one curve a component.
std::vector<std::vector<double>> component_curves(const gmm::model& m, interval x) {
    std::vector<std::vector<double>> curves;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const double variance = m.covariance(k)[0];
        std::vector<double> curve;
        for (int i = 0; i <= curve_points; ++i)
            curve.push_back(m.weights()[k] *
                            normal_density(x.low + x.width() * i / curve_points, m.means()[k], variance));
        curves.push_back(std::move(curve));
    }
    return curves;
}

std::string curve_path(const chart& c, const std::vector<double>& heights) {
    std::string path;
    const interval x = c.x_range();
    for (int i = 0; i <= curve_points; ++i)
        path += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", c.x_of(x.low + x.width() * i / curve_points),
                            c.y_of(heights[i]));
    return path;
}

void draw_bins(chart& c, const bins& h) {
    const double width = h.range.width() / static_cast<double>(h.density.size());
    for (std::size_t i = 0; i < h.density.size(); ++i) {
        const double left = c.x_of(h.range.low + width * static_cast<double>(i));
        const double right = c.x_of(h.range.low + width * static_cast<double>(i + 1));
        c.add(fmt::format(R"(<path class="bin" d="M{:.1f} {:.1f}V{:.1f}H{:.1f}V{:.1f}z"/>)", left, c.y_of(0),
                          c.y_of(h.density[i]), right, c.y_of(0)));
    }
}

} // namespace

std::string scatter_chart(const mixture_page& p) {
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

std::string histogram_chart(const mixture_page& p) {
    const gmm::model& m = *p.model;
    const bins h = histogram(p.points.rows);
    const interval x = visible(m, h);
    const auto curves = component_curves(m, x);
    std::vector<double> total(curve_points + 1, 0.0);
    for (const auto& curve : curves)
        for (int i = 0; i <= curve_points; ++i)
            total[i] += curve[i];
    double highest = *std::max_element(total.begin(), total.end());
    for (const double height : h.density)
        highest = std::max(highest, height);
    const interval y{0, 1.06 * highest};
    const ticks y_ticks = linear_ticks(y, 6);
    chart c(x, y, chart::layout{.width = 860, .height = 480}.with_labels(y_ticks));
    c.axes(ticks_across(x, 9, c.frame_width()), y_ticks, column_name(p.column_names, 0), "density");
    draw_bins(c, h);
    for (std::size_t k = 0; k < curves.size(); ++k)
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", style_of(k).colour, curve_path(c, curves[k])));
    c.add(fmt::format(R"(<path class="total" d="{}"/>)", curve_path(c, total)));
    return c.svg("density", "Histogram of the data with the density of the mixture and its components");
}

} // namespace elbo::report
