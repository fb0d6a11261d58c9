#include "host/report/chart/charts.hpp"
#include "host/report/page/pages.hpp"

#include <cmath>
#include <fmt/format.h>
#include <map>
#include <numbers>
#include <numeric>

namespace elbo::report {
namespace {

// Contours -----------------------------------------------------------------------------------------------------------

// The grid with a border of zeros about it, in index coordinates: inner point i is at i.
class padded_grid {
public:
    explicit padded_grid(const density_grid& grid) : grid_(grid) {}
    double at(int i, int j) const {
        const bool inside = i >= 0 && j >= 0 && i < grid_.columns && j < grid_.rows;
        return inside ? grid_.values[i + static_cast<std::size_t>(grid_.columns) * j] : 0.0;
    }
    point position(double i, double j) const {
        return {grid_.x.low + grid_.x.width() * i / (grid_.columns - 1),
                grid_.y.low + grid_.y.width() * j / (grid_.rows - 1)};
    }

private:
    const density_grid& grid_;
};

// An edge of the grid from (i, j) to its right (vertical = 0) or upper (vertical = 1) neighbour.
struct edge {
    int i, j, vertical;
    auto operator<=>(const edge&) const = default;
};

// Segments of one cell, directed with the region on their left, so that each crossing starts exactly one segment.
void add_cell(const padded_grid& g, int i, int j, double level, std::map<edge, edge>& next) {
    const std::array<double, 4> corner{g.at(i, j), g.at(i + 1, j), g.at(i + 1, j + 1), g.at(i, j + 1)};
    int inside = 0;
    for (int c = 0; c < 4; ++c)
        inside |= (corner[c] > level) << c;
    const std::array<edge, 4> sides{{{i, j, 0}, {i + 1, j, 1}, {i, j + 1, 0}, {i, j, 1}}};
    enum side { bottom, right, top, left };
    // By the corners that are inside; of none and all there is no boundary, and saddles, 5 and 10, have two.
    constexpr std::array<std::array<side, 2>, 16> segments{{{},
                                                            {bottom, left},
                                                            {right, bottom},
                                                            {right, left},
                                                            {top, right},
                                                            {},
                                                            {top, bottom},
                                                            {top, left},
                                                            {left, top},
                                                            {bottom, top},
                                                            {},
                                                            {right, top},
                                                            {left, right},
                                                            {bottom, right},
                                                            {left, bottom},
                                                            {}}};
    const auto add = [&](int corners) { next[sides[segments[corners][0]]] = sides[segments[corners][1]]; };
    const bool joined = std::accumulate(corner.begin(), corner.end(), 0.0) / 4 > level; // the middle of a saddle
    if (inside == 5) {
        add(joined ? 13 : 1);
        add(joined ? 7 : 4);
    } else if (inside == 10) {
        add(joined ? 11 : 2);
        add(joined ? 14 : 8);
    } else if (inside != 0 && inside != 15) {
        add(inside);
    }
}

point crossing(const padded_grid& g, const edge& e, double level) {
    const double a = g.at(e.i, e.j);
    const double b = e.vertical ? g.at(e.i, e.j + 1) : g.at(e.i + 1, e.j);
    const double t = (level - a) / (b - a);
    return e.vertical ? g.position(e.i, e.j + t) : g.position(e.i + t, e.j);
}

// Two and more dimensions --------------------------------------------------------------------------------------------

constexpr std::array<double, 4> contour_masses{0.95, 0.75, 0.50, 0.25};
constexpr int ellipse_points = 72;
// Ellipses and means of more components than this would hide the data; the table has them all.
constexpr std::int64_t largest_ellipse_count = 60;

// What is to be seen: all points, and the contour that holds 95 % (2.45 standard deviations of a single Gaussian).
std::array<interval, 2> visible(const plane_view& view, const std::vector<point>& points) {
    interval x = range_of(points, 0), y = range_of(points, 1);
    for (const plane_gaussian& g : view.components) {
        include(x, g.x - 2.45 * std::sqrt(g.xx), g.x + 2.45 * std::sqrt(g.xx));
        include(y, g.y - 2.45 * std::sqrt(g.yy), g.y + 2.45 * std::sqrt(g.yy));
    }
    return {padded(x, 0.04), padded(y, 0.04)};
}

std::string closed_path(const chart& c, const polygon& curve) {
    return line_path(c, curve) + "z";
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
        include(x, m.means()[k] - 2.5 * deviation, m.means()[k] + 2.5 * deviation);
    }
    return padded(x, 0.03);
}

// α_k N(x; μ_k, σ_k²) on a grid of x, one curve a component.
std::vector<std::vector<point>> component_curves(const gmm::model& m, interval x) {
    std::vector<std::vector<point>> curves(static_cast<std::size_t>(m.components()));
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const double variance = m.covariance(k)[0];
        for (int i = 0; i <= curve_points; ++i) {
            const double at = x.low + x.width() * i / curve_points;
            curves[k].push_back({at, m.weights()[k] * normal_density(at, m.means()[k], variance)});
        }
    }
    return curves;
}

void draw_bins(chart& c, const bins& h) {
    const double width = h.range.width() / static_cast<double>(h.density.size());
    for (std::size_t i = 0; i < h.density.size(); ++i) {
        const double left = h.range.low + width * static_cast<double>(i);
        c.add(fmt::format(R"(<path class="bin" d="{}"/>)",
                          bar_path(c, left, h.range.low + width * static_cast<double>(i + 1), h.density[i])));
    }
}

} // namespace

density_grid sample_density(interval x, interval y, int columns, int rows,
                            const std::function<double(double, double)>& density) {
    density_grid grid{x, y, columns, rows, {}};
    grid.values.reserve(static_cast<std::size_t>(columns) * rows);
    for (int j = 0; j < rows; ++j)
        for (int i = 0; i < columns; ++i)
            grid.values.push_back(density(x.low + x.width() * i / (columns - 1), y.low + y.width() * j / (rows - 1)));
    return grid;
}

double level_of_mass(const density_grid& grid, double mass) {
    std::vector<double> sorted = grid.values;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    const double wanted = mass * std::accumulate(sorted.begin(), sorted.end(), 0.0);
    double sum = 0;
    for (const double value : sorted) {
        sum += value;
        if (sum >= wanted)
            return value;
    }
    return 0;
}

std::vector<polygon> contour(const density_grid& grid, double level) {
    const padded_grid padded(grid);
    std::map<edge, edge> next;
    for (int j = -1; j < grid.rows; ++j)
        for (int i = -1; i < grid.columns; ++i)
            add_cell(padded, i, j, level, next);
    std::vector<polygon> curves;
    while (!next.empty()) {
        polygon curve;
        auto at = next.begin();
        while (at != next.end()) {
            curve.push_back(crossing(padded, at->first, level));
            const edge to = at->second;
            next.erase(at);
            at = next.find(to);
        }
        curves.push_back(std::move(curve));
    }
    return curves;
}

std::string scatter_chart(const mixture_page& p) {
    const plane_view view = make_plane(*p.model, p.column_names);
    const std::int64_t d = p.model->dimensions();
    std::vector<point> points;
    for (std::int64_t i = 0; i < p.points.count(); ++i)
        points.push_back(view.project(std::span(p.points.rows).subspan(i * d, d)));
    const auto [x, y] = visible(view, points);
    const ticks y_ticks = linear_ticks(y, 7);
    chart c(x, y, chart::layout{.width = 860, .height = 580}.with_labels(y_ticks));
    c.axes(ticks_across(x, 8, c.frame_width()), y_ticks, view.titles[0], view.titles[1]);
    draw_density(c, view);
    std::vector<component_style> styles;
    for (std::int64_t k = 0; k < p.model->components(); ++k)
        styles.push_back(style_of(k));
    draw_points(c, points, p.points.labels, styles);
    draw_components(c, view);
    return c.svg("density", "Density contours and component ellipses over the data points");
}

std::string histogram_chart(const mixture_page& p) {
    const gmm::model& m = *p.model;
    const bins h = histogram(p.points.rows);
    const interval x = visible(m, h);
    const auto curves = component_curves(m, x);
    std::vector<point> total = curves.front();
    for (std::size_t k = 1; k < curves.size(); ++k)
        for (std::size_t i = 0; i < total.size(); ++i)
            total[i][1] += curves[k][i][1];
    double highest = range_of(total, 1).high;
    for (const double height : h.density)
        highest = std::max(highest, height);
    const interval y{0, 1.06 * highest};
    const ticks y_ticks = linear_ticks(y, 6);
    chart c(x, y, chart::layout{.width = 860, .height = 480}.with_labels(y_ticks));
    c.axes(ticks_across(x, 9, c.frame_width()), y_ticks, column_name(p.column_names, 0), "density");
    draw_bins(c, h);
    for (std::size_t k = 0; k < curves.size(); ++k)
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", style_of(k).colour, line_path(c, curves[k])));
    c.add(fmt::format(R"(<path class="total" d="{}"/>)", line_path(c, total)));
    return c.svg("density", "Histogram of the data with the density of the mixture and its components");
}

} // namespace elbo::report
