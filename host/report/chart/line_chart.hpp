// Curves over iterations or epochs.
#pragma once

#include "host/report/chart/palette.hpp"
#include "host/report/chart/svg.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::report {

using point = std::array<double, 2>;

/// A chart that takes half the width of the page.
inline constexpr chart::layout half_page{.width = 560, .height = 340};
/// Curves of more points than this have no room for markers.
inline constexpr std::size_t largest_marker_count = 80;

/// Longer records are thinned to about 800, always with the first and the last: the indices of those that are shown.
std::vector<std::size_t> shown_records(std::size_t count);
interval range_of(const std::vector<point>& points, int coordinate);
/// The range of values in nats with some air, and wide enough that rounding errors do not look like steps.
interval range_of_nats(const std::vector<point>& points);
std::string line_path(const chart& c, const std::vector<point>& points);
void draw_markers(chart& c, const std::vector<point>& points, const component_style& style, double radius);

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

} // namespace elbo::report
