#include "host/report/chart/charts.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/chart/svg.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace elbo::report {

namespace {

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

std::string histogram_chart(const page& p) {
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
