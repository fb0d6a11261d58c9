#include "host/report/chart/charts.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::report {
namespace {

// The step 1, 2 or 5 times 10^m that is nearest above width / wanted.
double round_step(double width, int wanted) {
    const double raw = width / wanted;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (raw <= factor * power * (1 + 1e-9))
            return factor * power;
    return 10 * power;
}

std::size_t longest(const std::vector<std::string>& labels) {
    std::size_t length = 0;
    for (const std::string& label : labels)
        length = std::max(length, label.size());
    return length;
}

// Labels with as many digits as the step needs, with powers of ten only where that is much shorter.
std::vector<std::string> labels_of(const std::vector<double>& values, double step) {
    const auto exponent = [](double x) { return static_cast<int>(std::floor(std::log10(x) + 1e-9)); };
    double largest = step;
    for (const double value : values)
        largest = std::max(largest, std::abs(value));
    const int decimals = std::max(0, -exponent(step)), digits = std::max(0, exponent(largest) - exponent(step));
    std::vector<std::string> fixed, scientific;
    for (const double value : values) {
        fixed.push_back(fmt::format("{:.{}f}", value, decimals));
        scientific.push_back(value == 0 ? "0" : fmt::format("{:.{}e}", value, digits));
    }
    return longest(fixed) > longest(scientific) + 3 ? scientific : fixed;
}

ticks ticks_of_step(interval range, double step) {
    ticks result;
    // Multiples are counted rather than added up, so that zero is zero and labels do not drift.
    const double first = std::ceil(range.low / step - 1e-9);
    const double last = std::floor(range.high / step + 1e-9);
    for (double i = first; i <= last; ++i)
        result.values.push_back(i == 0 ? 0 : i * step);
    result.labels = labels_of(result.values, step);
    return result;
}

} // namespace

interval padded(interval range, double share) {
    const double width = range.width();
    if (!(width > 0)) {
        const double half = range.low == 0 ? 1 : std::abs(range.low) * 1e-3;
        return {range.low - half, range.high + half};
    }
    return {range.low - share * width, range.high + share * width};
}

ticks linear_ticks(interval range, int wanted) {
    return ticks_of_step(range, round_step(range.width(), wanted));
}

ticks whole_ticks(interval range, int wanted) {
    return ticks_of_step(range, std::max(1.0, round_step(range.width(), wanted)));
}

ticks decade_ticks(interval range, int wanted) {
    ticks result = ticks_of_step(range, std::max(1.0, std::ceil(range.width() / wanted)));
    for (std::size_t i = 0; i < result.values.size(); ++i)
        result.labels[i] = fmt::format("1e{:.0f}", result.values[i]);
    return result;
}

std::string escape(std::string_view text) {
    constexpr std::string_view special = "&<>\"";
    constexpr std::array<std::string_view, 4> entities{"&amp;", "&lt;", "&gt;", "&quot;"};
    std::string out;
    for (const char c : text) {
        const std::size_t at = special.find(c);
        out += at == std::string_view::npos ? std::string_view(&c, 1) : entities[at];
    }
    return out;
}

std::string marker_path(marker shape, double x, double y, double r) {
    switch (shape) {
    case marker::circle:
        return fmt::format("M{:.1f} {:.1f}a{r:.1f} {r:.1f} 0 1 0 {w:.1f} 0a{r:.1f} {r:.1f} 0 1 0 -{w:.1f} 0z", x - r, y,
                           fmt::arg("r", r), fmt::arg("w", 2 * r));
    case marker::square: {
        const double side = 1.8 * r;
        return fmt::format("M{:.1f} {:.1f}h{s:.1f}v{s:.1f}h-{s:.1f}z", x - side / 2, y - side / 2, fmt::arg("s", side));
    }
    case marker::triangle:
        return fmt::format("M{:.1f} {:.1f}l{:.1f} {h:.1f}h-{:.1f}z", x, y - 1.2 * r, 1.15 * r, 2.3 * r,
                           fmt::arg("h", 2 * r));
    case marker::triangle_down:
        return fmt::format("M{:.1f} {:.1f}l{:.1f} -{h:.1f}h-{:.1f}z", x, y + 1.2 * r, 1.15 * r, 2.3 * r,
                           fmt::arg("h", 2 * r));
    case marker::diamond:
        return fmt::format("M{:.1f} {:.1f}l{r:.1f} {r:.1f}l-{r:.1f} {r:.1f}l-{r:.1f} -{r:.1f}z", x, y - 1.3 * r,
                           fmt::arg("r", 1.3 * r));
    case marker::cross:
        return fmt::format("M{:.1f} {:.1f}l{s:.1f} {s:.1f}m0 -{s:.1f}l-{s:.1f} {s:.1f}", x - r, y - r,
                           fmt::arg("s", 2 * r));
    case marker::plus:
        return fmt::format("M{:.1f} {:.1f}h{s:.1f}m-{h:.1f} -{h:.1f}v{s:.1f}", x - 1.2 * r, y, fmt::arg("s", 2.4 * r),
                           fmt::arg("h", 1.2 * r));
    }
    return {};
}

std::string marker_paint(const component_style& style, double stroke_width) {
    return is_stroked(style.shape)
               ? fmt::format(R"(fill="none" stroke="{}" stroke-width="{}")", style.colour, stroke_width)
               : fmt::format(R"(fill="{}")", style.colour);
}

std::string badge(const component_style& style) {
    return fmt::format(R"(<svg class="badge" viewBox="0 0 16 16"><path {} d="{}"/></svg>)", marker_paint(style, 2.5),
                       marker_path(style.shape, 8, 8, 5));
}

std::string legend_html(const legend& entries) {
    std::string out = "<p class=\"legend-line\">";
    for (const auto& [style, text] : entries)
        out += fmt::format("<span>{} {}</span> ", badge(style), escape(text));
    return out + "</p>\n";
}

double label_width(const ticks& t) {
    constexpr double digit = 7.8; // of the 13 pixel font of .tick
    return digit * static_cast<double>(longest(t.labels));
}

ticks ticks_across(interval range, int wanted, double pixels) {
    constexpr double gap = 14;
    ticks t = linear_ticks(range, wanted);
    while (wanted > 2 && static_cast<double>(t.labels.size()) * (label_width(t) + gap) > pixels)
        t = linear_ticks(range, --wanted);
    return t;
}

chart::layout chart::layout::with_labels(const ticks& y) const {
    layout wider = *this;
    wider.left = std::max(left, 38 + label_width(y)); // the title, and the gap to the frame
    return wider;
}

chart::chart(interval x, interval y, layout size) : x_(x), y_(y), size_(size) {}

void chart::axes(const ticks& x, const ticks& y, std::string_view x_title, std::string_view y_title) {
    const double bottom = size_.height - size_.bottom;
    const double right = size_.width - size_.right;
    for (std::size_t i = 0; i < x.values.size(); ++i) {
        const double at = x_of(x.values[i]);
        axes_ += fmt::format(R"(<path class="grid" d="M{:.1f} {:.1f}V{:.1f}"/>)", at, size_.top, bottom);
        axes_ += fmt::format(R"(<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", at,
                             bottom + 18, x.labels[i]);
    }
    for (std::size_t i = 0; i < y.values.size(); ++i) {
        const double at = y_of(y.values[i]);
        axes_ += fmt::format(R"(<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>)", size_.left, at, right);
        axes_ += fmt::format(R"(<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", size_.left - 8,
                             at + 4, y.labels[i]);
    }
    const double middle = size_.top + frame_height() / 2;
    axes_ += fmt::format(R"(<text class="axis" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                         size_.left + frame_width() / 2, size_.height - 12, escape(x_title));
    axes_ += fmt::format(
        R"svg(<text class="axis" x="16" y="{m:.1f}" text-anchor="middle" transform="rotate(-90 16 {m:.1f})">{}</text>)svg",
        escape(y_title), fmt::arg("m", middle));
}

std::string chart::svg(std::string_view id, std::string_view description) const {
    const std::string frame = fmt::format(R"(x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}")", size_.left,
                                          size_.top, frame_width(), frame_height());
    std::string out = fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">)",
        size_.width, size_.height, escape(description));
    out += fmt::format(R"(<clipPath id="{}"><rect {}/></clipPath>)", id, frame);
    out += axes_;
    out += fmt::format(R"svg(<g clip-path="url(#{})">{}</g>)svg", id, body_);
    out += fmt::format(R"(<rect class="frame" {}/>)", frame);
    out += outside_ + "</svg>\n";
    return out;
}

} // namespace elbo::report
