// A drawing area with axes, written as SVG: round numbers, colours and markers, the frame.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo::report {

using point = std::array<double, 2>;

// Ticks of an axis at round numbers, and their labels.

/// A closed interval of an axis.
struct interval {
    double low = 0;
    double high = 1;
    double width() const { return high - low; }
};

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
/// Line of HTML text with a badge before each text.
std::string legend_html(const std::vector<std::pair<component_style, std::string>>& entries);

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

} // namespace elbo::report
