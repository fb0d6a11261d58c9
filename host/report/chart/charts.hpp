// Charts as SVG: a drawing area with axes, and what is drawn in it.
#pragma once

#include "elbo/fit.hpp"
#include "elbo/gmm/model.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo::report {

struct mixture_page;

using point = std::array<double, 2>;

// Ticks of an axis at round numbers, and their labels.

/// A closed interval of an axis.
struct interval {
    double low = 0;
    double high = 1;
    double width() const { return high - low; }
};
/// Makes the range wide enough for both.
inline void include(interval& range, double low, double high) {
    range.low = std::min(range.low, low);
    range.high = std::max(range.high, high);
}

/// The interval with `share` of its width added on both sides; one of width zero gets some width.
interval padded(interval range, double share);

struct ticks {
    std::vector<double> values;
    std::vector<std::string> labels;
};

/// About `wanted` ticks inside `range` at multiples of 1, 2 or 5 times a power of ten, with as many decimals as tell
/// them apart.
ticks linear_ticks(interval range, int wanted);

/// Ticks at powers of ten for an axis in log10; `range` is in log10. At most about `wanted`.
ticks decade_ticks(interval range, int wanted);

/// Ticks of linear_ticks that are whole numbers (counts of iterations).
ticks whole_ticks(interval range, int wanted);

// Colours and marker shapes of the components. Okabe and Ito's palette (jfly.uni-koeln.de/color) without its yellow,
// which is too pale on white: told apart by readers with any common colour vision, and each with its own shape.

enum class marker { circle, square, triangle, diamond, cross, plus, triangle_down };

struct component_style {
    std::string_view colour;
    marker shape;
};

/// Style of component k: the colours repeat after seven, then with other shapes, so that 49 styles differ.
inline component_style style_of(std::int64_t k) {
    constexpr std::array<std::string_view, 7> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                      "#e69f00", "#56b4e9", "#4d4d4d"};
    constexpr std::int64_t count = colours.size();
    return {colours[k % count], static_cast<marker>((k + k / count) % count)};
}

/// Text with &, <, > and quotes as entities.
std::string escape(std::string_view text);

/// Path data of a marker of the given radius about (x, y), in pixels.
std::string marker_path(marker shape, double x, double y, double radius);
/// Whether the shape is drawn by its outline (cross, plus) and not filled.
constexpr bool is_stroked(marker shape) {
    return shape == marker::cross || shape == marker::plus;
}

/// Attributes that paint such a marker: filled, or an outline of this width.
std::string marker_paint(const component_style& style, double stroke_width);
/// A marker as a small picture in a line of text; HTML.
std::string badge(const component_style& style);
using legend = std::vector<std::pair<component_style, std::string>>;
/// Line of HTML text with a badge before each text.
std::string legend_html(const legend& entries);

/// Pixels that the longest label takes.
double label_width(const ticks& t);
/// linear_ticks with so few values that their labels stand side by side in this many pixels.
ticks ticks_across(interval range, int wanted, double pixels);

/// A chart: a frame of data coordinates within an SVG element. Elements are appended to `body` in drawing order.
class chart {
public:
    struct layout {
        double width = 640, height = 420;                    ///< of the whole, in pixels
        double left = 72, right = 20, top = 16, bottom = 56; ///< margins about the frame
        /// The same with room on the left for these labels.
        layout with_labels(const ticks& y) const;
    };

    chart(interval x, interval y, layout size);

    double x_of(double value) const { return size_.left + (value - x_.low) / x_.width() * frame_width(); }
    double y_of(double value) const { return size_.top + (y_.high - value) / y_.width() * frame_height(); }
    double frame_width() const { return size_.width - size_.left - size_.right; }
    double frame_height() const { return size_.height - size_.top - size_.bottom; }
    interval x_range() const { return x_; }
    interval y_range() const { return y_; }

    /// Grid lines, tick labels and titles of both axes. Call it first: the rest is drawn over it.
    void axes(const ticks& x, const ticks& y, std::string_view x_title, std::string_view y_title);
    /// Appends a raw element, clipped to the frame.
    void add(std::string_view element) { body_ += element; }
    /// Adds an element outside the frame (legends).
    void add_outside(std::string_view element) { outside_ += element; }

    /// The whole <svg> element. `id` must be unique in the page; `description` is for screen readers.
    std::string svg(std::string_view id, std::string_view description) const;

private:
    interval x_, y_;
    layout size_;
    std::string axes_, body_, outside_;
};

// Curves over iterations or epochs (line_chart.cpp).

/// A chart that takes half the width of the page.
inline constexpr chart::layout half_page{.width = 560, .height = 340};

/// Longer records are thinned to about 800, always with the first and the last: the indices of those that are shown.
std::vector<std::size_t> shown_records(std::size_t count);
interval range_of(const std::vector<point>& points, int coordinate);
std::string line_path(const chart& c, const std::vector<point>& points);
/// From 0 to `height` between two x.
std::string bar_path(const chart& c, double left, double right, double height);

/// One line above the frame, where it hides nothing; the frame must begin at `legend_height` or below.
std::string legend_line(const chart& c, const legend& entries);
inline constexpr double legend_height = 30;

struct curve {
    std::string name; ///< for the legend
    component_style style;
    std::vector<point> points;
    std::vector<double> errors = {}; ///< half the lengths of error bars; none where it is empty
};

struct chart_axes {
    std::string_view id; ///< unique in the page
    std::string_view x_title, y_title;
    std::string_view description;
    // Of curves:
    bool decades = false;             ///< y is in log10
    bool legend = true;               ///< where there are several curves
    std::optional<point> ringed = {}; ///< a point that stands out
    std::optional<interval> y = {};   ///< range of y instead of that of the points: what lies outside is cut off
};

/// Curves over whole numbers, with a marker at each point where there is room. Nothing where there are no points.
std::string line_chart(const std::vector<curve>& curves, const chart_axes& axes);

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

// Points in the plane, in styles that say which group each belongs to (point_cloud.cpp).

/// Points in the style of their group; groups in the order of their numbers, the last on top.
void draw_points(chart& c, const std::vector<point>& points, const std::vector<std::int32_t>& groups,
                 const std::vector<component_style>& styles);

/// Points sorted into groups that the legend names.
struct point_groups {
    std::vector<point> points;
    std::vector<std::int32_t> groups; ///< [points]
    report::legend legend;            ///< [groups]
};

/// Groups by a number a point: one for each distinct value where there are at most 20, else six ranges that hold
/// equally many points, from dark to light. One grey group where there are no values.
point_groups group_by(std::vector<point> points, const std::vector<double>& values);

/// The points with axes about them and the legend below; HTML.
std::string point_cloud(const point_groups& cloud, const chart_axes& axes);

// A mixture seen in a plane: its first two columns, or its first two principal components (plane.cpp).

/// One Gaussian of the plane: mean and covariance (xx, xy, yy).
struct plane_gaussian {
    double weight = 0;
    double x = 0, y = 0;
    double xx = 1, xy = 0, yy = 1;

    double density(double at_x, double at_y) const;
    /// Points of the ellipse at `sigmas` standard deviations.
    std::vector<std::array<double, 2>> ellipse(double sigmas, int points) const;
};

/// Linear map of the data to a plane, u = Aᵀ (x − centre), and the mixture in that plane. Gaussian mixtures are closed
/// under linear maps, so this is the exact marginal distribution.
struct plane_view {
    std::vector<double> centre;              ///< [d]
    std::array<std::vector<double>, 2> axes; ///< 2 x [d]
    std::array<std::string, 2> titles;       ///< of the axes
    std::vector<plane_gaussian> components;  ///< [k]

    std::array<double, 2> project(std::span<const double> row) const;
    double density(double x, double y) const;
};

/// The plane for a model with at least two dimensions: the columns themselves for two, else the first two eigenvectors
/// of the mixture's total covariance Σ_k α_k (Σ_k + (μ_k − μ)(μ_k − μ)ᵀ), each with its largest entry positive.
/// `column_names` may be empty.
plane_view make_plane(const gmm::model& m, const std::vector<std::string>& column_names);

/// Name of column j: its own, or "column j".
std::string column_name(const std::vector<std::string>& names, std::int64_t j);

// A mixture over the points that it describes, with the contour lines of its density (density_chart.cpp).

/// Values of a density at (x_i, y_j), i + columns · j, over a rectangle.
struct density_grid {
    interval x, y;
    int columns = 0, rows = 0;
    std::vector<double> values;
};

density_grid sample_density(interval x, interval y, int columns, int rows,
                            const std::function<double(double, double)>& density);

/// The density level whose region of higher density holds `mass` of what lies on the grid.
double level_of_mass(const density_grid& grid, double mass);

using polygon = std::vector<point>;

/// Closed boundaries of the region where the density exceeds `level` (marching squares with linear interpolation).
/// Outside the grid the density counts as zero, so that every curve closes.
std::vector<polygon> contour(const density_grid& grid, double level);

/// Two and more dimensions: density contours with 1- and 2-sigma ellipses over the points coloured by component.
std::string scatter_chart(const mixture_page& p);
/// One dimension: histogram of the points, the density and the components.
std::string histogram_chart(const mixture_page& p);

} // namespace elbo::report
