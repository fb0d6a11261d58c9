#include "host/report/charts.hpp"
#include "host/report/svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <utility>

namespace elbo::report {

namespace {

constexpr chart::layout half_page{.width = 560, .height = 340};
// Longer traces are thinned to about this many records, always with the first and the last.
constexpr std::size_t largest_record_count = 800;

using point = std::array<double, 2>;

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

// The range of values in nats with some air, and wide enough that rounding errors do not look like steps.
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
    c.add(fmt::format(R"(<path fill="{}" d="{}"/>)", style.colour, path));
}

// A chart of one curve over the iterations with a marker at each, where there is room for them.
std::string iteration_chart(const std::vector<point>& points, const component_style& style, std::string_view id,
                            std::string_view y_title, std::string_view description, bool decades) {
    const interval x = padded(range_of(points, 0), 0.03);
    const interval y = decades ? padded(range_of(points, 1), 0.06) : range_of_nats(points);
    const ticks y_ticks = decades ? decade_ticks(y, 6) : linear_ticks(y, 5);
    chart c(x, y, half_page.with_labels(y_ticks));
    c.axes(whole_ticks(x, 7), y_ticks, "iteration", y_title);
    c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", style.colour, line_path(c, points)));
    if (points.size() <= 80)
        draw_markers(c, points, style, 3.5);
    return c.svg(id, description);
}

// One line above the frame, where it hides nothing.
std::string chain_legend(const chart& c, const component_style& likelihood, const component_style& bound) {
    std::string out;
    double x = c.x_of(c.x_range().low) + 8;
    for (const auto& [style, text] :
         {std::pair(likelihood, "log-likelihood (after the E-step)"), std::pair(bound, "ELBO after the M-step")}) {
        out += fmt::format(R"(<path fill="{}" d="{}"/><text class="legend" x="{:.1f}" y="18">{}</text>)", style.colour,
                           marker_path(style.shape, x, 14, 4.5), x + 12, text);
        x += 235;
    }
    return out;
}

} // namespace

std::string chain_chart(const gmm::fit_result& fit) {
    // The chain as one line: log p(θ_t) at t, then the bound after the M-step half an iteration later.
    std::vector<point> chain, likelihood, bound;
    for (const std::size_t i : shown_records(fit.trace.size())) {
        const gmm::iteration_record& record = fit.trace[i];
        const auto t = static_cast<double>(record.iteration);
        likelihood.push_back({t, record.log_likelihood});
        chain.push_back(likelihood.back());
        if (i + 1 < fit.trace.size()) {
            bound.push_back({t + 0.5, record.elbo_after_m_step});
            chain.push_back(bound.back());
        }
    }
    const interval x = padded(range_of(chain, 0), 0.03), y = range_of_nats(chain);
    const component_style likelihood_style{style_of(0).colour, marker::circle};
    const component_style bound_style{style_of(1).colour, marker::diamond};
    const ticks y_ticks = linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    size.top = 30; // for the legend
    chart c(x, y, size);
    c.axes(whole_ticks(x, 7), y_ticks, "iteration", "nats per sample");
    c.add(fmt::format(R"(<path class="curve" stroke="#8a8f98" d="{}"/>)", line_path(c, chain)));
    if (likelihood.size() <= 80) {
        draw_markers(c, bound, bound_style, 3.2);
        draw_markers(c, likelihood, likelihood_style, 3.5);
    } else {
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", bound_style.colour, line_path(c, bound)));
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", likelihood_style.colour,
                          line_path(c, likelihood)));
    }
    c.add_outside(chain_legend(c, likelihood_style, bound_style));
    return c.svg("chain", "Log-likelihood and evidence lower bound against iteration");
}

std::string convergence_chart(const gmm::fit_result& fit) {
    std::vector<point> points;
    for (const std::size_t i : shown_records(fit.trace.size())) {
        const double missing = fit.log_likelihood - fit.trace[i].log_likelihood;
        if (missing > 0)
            points.push_back({static_cast<double>(fit.trace[i].iteration), std::log10(missing)});
    }
    if (points.size() < 2)
        return {};
    return iteration_chart(points, {style_of(2).colour, marker::circle}, "convergence", "missing to the end (nats)",
                           "Difference to the final log-likelihood against iteration, logarithmic", true);
}

std::string entropy_chart(const gmm::fit_result& fit) {
    std::vector<point> points;
    for (const std::size_t i : shown_records(fit.trace.size()))
        points.push_back({static_cast<double>(fit.trace[i].iteration), fit.trace[i].entropy});
    return iteration_chart(points, {style_of(3).colour, marker::square}, "entropy", "entropy of q (nats per sample)",
                           "Entropy of the responsibilities against iteration", false);
}

} // namespace elbo::report
