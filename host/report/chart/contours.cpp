#include "host/report/chart/contours.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>

namespace elbo::report {

namespace {

// The grid with a border of zeros about it, in index coordinates: inner point i is at i.
class padded_grid {
public:
    explicit padded_grid(const density_grid& grid) : grid_(grid) {}
    double at(int i, int j) const {
        const bool inside = i >= 0 && j >= 0 && i < grid_.columns && j < grid_.rows;
        return inside ? grid_.values[i + static_cast<std::size_t>(grid_.columns) * j] : 0.0;
    }
    std::array<double, 2> position(double i, double j) const {
        return {grid_.x.low + grid_.x.width() * i / (grid_.columns - 1),
                grid_.y.low + grid_.y.width() * j / (grid_.rows - 1)};
    }

private:
    const density_grid& grid_;
};

// An edge of the grid from (i, j) to its right (vertical = 0) or upper (vertical = 1) neighbour.
struct edge {
    int i, j, vertical;
    auto operator<=>(const edge&) const = default;
};

// Segments of one cell, directed with the region on their left, so that each crossing starts exactly one segment.
void add_cell(const padded_grid& g, int i, int j, double level, std::map<edge, edge>& next) {
    const std::array<double, 4> corner{g.at(i, j), g.at(i + 1, j), g.at(i + 1, j + 1), g.at(i, j + 1)};
    int inside = 0;
    for (int c = 0; c < 4; ++c)
        inside |= (corner[c] > level) << c;
    const edge bottom{i, j, 0}, right{i + 1, j, 1}, top{i, j + 1, 0}, left{i, j, 1};
    const bool joined = std::accumulate(corner.begin(), corner.end(), 0.0) / 4 > level; // the middle of a saddle
    switch (inside) {
    case 1:
        next[bottom] = left;
        break;
    case 2:
        next[right] = bottom;
        break;
    case 3:
        next[right] = left;
        break;
    case 4:
        next[top] = right;
        break;
    case 6:
        next[top] = bottom;
        break;
    case 7:
        next[top] = left;
        break;
    case 8:
        next[left] = top;
        break;
    case 9:
        next[bottom] = top;
        break;
    case 11:
        next[right] = top;
        break;
    case 12:
        next[left] = right;
        break;
    case 13:
        next[bottom] = right;
        break;
    case 14:
        next[left] = bottom;
        break;
    case 5:
        next[bottom] = joined ? right : left;
        next[top] = joined ? left : right;
        break;
    case 10:
        next[right] = joined ? top : bottom;
        next[left] = joined ? bottom : top;
        break;
    default:
        break; // 0 and 15: no boundary
    }
}

std::array<double, 2> crossing(const padded_grid& g, const edge& e, double level) {
    const double a = g.at(e.i, e.j);
    const double b = e.vertical ? g.at(e.i, e.j + 1) : g.at(e.i + 1, e.j);
    const double t = (level - a) / (b - a);
    return e.vertical ? g.position(e.i, e.j + t) : g.position(e.i + t, e.j);
}

} // namespace

density_grid sample_density(interval x, interval y, int columns, int rows,
                            const std::function<double(double, double)>& density) {
    density_grid grid{x, y, columns, rows, {}};
    grid.values.reserve(static_cast<std::size_t>(columns) * rows);
    for (int j = 0; j < rows; ++j)
        for (int i = 0; i < columns; ++i)
            grid.values.push_back(density(x.low + x.width() * i / (columns - 1), y.low + y.width() * j / (rows - 1)));
    return grid;
}

double level_of_mass(const density_grid& grid, double mass) {
    std::vector<double> sorted = grid.values;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    const double wanted = mass * std::accumulate(sorted.begin(), sorted.end(), 0.0);
    double sum = 0;
    for (const double value : sorted) {
        sum += value;
        if (sum >= wanted)
            return value;
    }
    return 0;
}

std::vector<polygon> contour(const density_grid& grid, double level) {
    const padded_grid padded(grid);
    std::map<edge, edge> next;
    for (int j = -1; j < grid.rows; ++j)
        for (int i = -1; i < grid.columns; ++i)
            add_cell(padded, i, j, level, next);
    std::vector<polygon> curves;
    while (!next.empty()) {
        polygon curve;
        auto at = next.begin();
        while (at != next.end()) {
            curve.push_back(crossing(padded, at->first, level));
            const edge to = at->second;
            next.erase(at);
            at = next.find(to);
        }
        curves.push_back(std::move(curve));
    }
    return curves;
}

} // namespace elbo::report
