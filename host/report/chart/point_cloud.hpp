// Points in a plane, coloured by the group that each belongs to.
#pragma once

#include "host/report/chart/svg.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::report {

/// style_of(0) ... style_of(count - 1).
std::vector<component_style> styles_of(std::int64_t count);

/// Points in the style of their group; groups in the order of their numbers, the last on top.
void draw_points(chart& c, const std::vector<point>& points, const std::vector<std::int32_t>& groups,
                 const std::vector<component_style>& styles);

/// Points sorted into groups that the legend names.
struct point_groups {
    std::vector<point> points;
    std::vector<std::int32_t> groups;                            ///< [points]
    std::vector<std::pair<component_style, std::string>> legend; ///< [groups]
};

/// Groups by a number a point: one for each distinct value where there are at most 20, else six ranges that hold
/// equally many points, from dark to light. One grey group where there are no values.
point_groups group_by(std::vector<point> points, const std::vector<double>& values);

struct cloud_axes {
    std::string_view id; ///< unique in the page
    std::string_view x_title, y_title;
    std::string_view description;
};
/// The points with axes about them and the legend below; HTML.
std::string point_cloud(const point_groups& cloud, const cloud_axes& axes);

} // namespace elbo::report
