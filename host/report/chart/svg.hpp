// A drawing area with axes, written as SVG.
#pragma once

#include "host/report/chart/palette.hpp"
#include "host/report/chart/ticks.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo::report {

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
