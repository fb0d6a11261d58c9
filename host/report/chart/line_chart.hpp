// Curves over iterations or epochs; SVG.
#pragma once

#include "host/report/chart/svg.hpp"

#include "elbo/fit.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::report {

/// A chart that takes half the width of the page.
inline constexpr chart::layout half_page{.width = 560, .height = 340};

/// Longer records are thinned to about 800, always with the first and the last: the indices of those that are shown.
std::vector<std::size_t> shown_records(std::size_t count);
interval range_of(const std::vector<point>& points, int coordinate);
std::string line_path(const chart& c, const std::vector<point>& points);
/// From 0 to `height` between two x.
std::string bar_path(const chart& c, double left, double right, double height);

struct legend_entry {
    component_style style;
    std::string text;
};
/// One line above the frame, where it hides nothing; the frame must begin at `legend_height` or below.
std::string legend_line(const chart& c, const std::vector<legend_entry>& entries);
inline constexpr double legend_height = 30;

struct curve {
    std::string name; ///< for the legend
    component_style style;
    std::vector<point> points;
    std::vector<double> errors = {}; ///< half the lengths of error bars; none where it is empty
};

struct line_axes {
    std::string_view id; ///< unique in the page
    std::string_view x_title, y_title;
    std::string_view description;
    bool decades = false;             ///< y is in log10
    bool legend = true;               ///< where there are several curves
    std::optional<point> ringed = {}; ///< a point that stands out
    std::optional<interval> y = {};   ///< range of y instead of that of the points: what lies outside is cut off
};

/// Curves over whole numbers, with a marker at each point where there is room. Nothing where there are no points.
std::string line_chart(const std::vector<curve>& curves, const line_axes& axes);

// The pictures of a fit's iterations.

/// The chain log p(θ_t) ≤ J(q_{t+1}, θ_{t+1}) ≤ log p(θ_{t+1}) against iteration; with a prior plus log p(θ).
std::string chain_chart(const std::vector<iteration_record>& trace);
/// What to write below it; HTML.
std::string chain_caption(const std::vector<iteration_record>& trace);
/// What is still missing to its end, logarithmically.
std::string convergence_chart(const std::vector<iteration_record>& trace);

/// A number of the records against the iteration, `later` iterations later.
template <class Record, class Number>
std::vector<point> points_of(const std::vector<Record>& trace, const Number& number, double later = 0) {
    std::vector<point> points;
    for (const std::size_t i : shown_records(trace.size()))
        points.push_back({static_cast<double>(trace[i].iteration) + later, std::invoke(number, trace[i])});
    return points;
}
/// What the values miss to `end` against iteration, logarithmically; nothing for less than two.
std::string missing_chart(const std::vector<point>& points, double end, std::string_view id,
                          std::string_view description);

} // namespace elbo::report
