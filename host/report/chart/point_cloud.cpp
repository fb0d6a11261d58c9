#include "host/report/chart/charts.hpp"

#include <fmt/format.h>

namespace elbo::report {
namespace {

constexpr std::size_t largest_group_count = 20;
// Viridis (van der Walt and Smith, CC0) from dark to light: an order that readers with any colour vision see.
constexpr std::array<std::string_view, 6> sequence{"#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#d2c81c"};

// Groups of sorted values: distinct ones, or ranges that begin at the sixths.
struct value_groups {
    std::vector<double> starts; ///< smallest value of each
    double largest = 0;
    bool ranges = false;
};

value_groups make_groups(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto make_distinct = [](std::vector<double>& v) { v.erase(std::unique(v.begin(), v.end()), v.end()); };
    value_groups groups{values, values.back()};
    make_distinct(groups.starts);
    groups.ranges = groups.starts.size() > largest_group_count;
    if (!groups.ranges)
        return groups;
    groups.starts.clear();
    for (std::size_t i = 0; i < sequence.size(); ++i)
        groups.starts.push_back(values[i * values.size() / sequence.size()]);
    make_distinct(groups.starts);
    return groups;
}

legend legend_of(const value_groups& groups) {
    legend entries;
    for (std::size_t i = 0; i < groups.starts.size(); ++i) {
        const double start = groups.starts[i],
                     end = i + 1 < groups.starts.size() ? groups.starts[i + 1] : groups.largest;
        if (groups.ranges)
            entries.emplace_back(component_style{sequence[i], marker::circle},
                                 fmt::format("{:.4g} to {:.4g}", start, end));
        else
            entries.emplace_back(style_of(static_cast<std::int64_t>(i)), fmt::format("{:g}", start));
    }
    return entries;
}

} // namespace

void draw_points(chart& c, const std::vector<point>& points, const std::vector<std::int32_t>& groups,
                 const std::vector<component_style>& styles) {
    const double radius = points.size() > 1500 ? 1.7 : 2.8;
    std::vector<std::string> paths(styles.size());
    for (std::size_t i = 0; i < points.size(); ++i)
        paths[groups[i]] += marker_path(styles[groups[i]].shape, c.x_of(points[i][0]), c.y_of(points[i][1]), radius);
    for (std::size_t k = 0; k < styles.size(); ++k)
        c.add(fmt::format(R"(<path class="points" {}="{}" d="{}"/>)",
                          is_stroked(styles[k].shape) ? R"(fill="none" stroke)" : "fill", styles[k].colour, paths[k]));
}

point_groups group_by(std::vector<point> points, const std::vector<double>& values) {
    point_groups cloud;
    cloud.points = std::move(points);
    cloud.groups.assign(cloud.points.size(), 0);
    if (values.empty()) {
        cloud.legend = {{component_style{style_of(0).colour, marker::circle}, "samples"}};
        return cloud;
    }
    const value_groups groups = make_groups(values);
    for (std::size_t i = 0; i < cloud.points.size(); ++i)
        cloud.groups[i] = static_cast<std::int32_t>(
            std::upper_bound(groups.starts.begin(), groups.starts.end(), values[i]) - groups.starts.begin() - 1);
    cloud.legend = legend_of(groups);
    return cloud;
}

std::string point_cloud(const point_groups& cloud, const chart_axes& axes) {
    if (cloud.points.empty())
        return {};
    const interval x = padded(range_of(cloud.points, 0), 0.04), y = padded(range_of(cloud.points, 1), 0.04);
    const ticks y_ticks = linear_ticks(y, 7);
    chart c(x, y, chart::layout{.width = 860, .height = 580}.with_labels(y_ticks));
    c.axes(ticks_across(x, 8, c.frame_width()), y_ticks, axes.x_title, axes.y_title);
    std::vector<component_style> styles;
    for (const auto& [style, text] : cloud.legend)
        styles.push_back(style);
    draw_points(c, cloud.points, cloud.groups, styles);
    return c.svg(axes.id, axes.description) + legend_html(cloud.legend);
}

} // namespace elbo::report
