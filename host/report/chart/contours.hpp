// Contour lines of a density on a grid.
#pragma once

#include "host/report/chart/ticks.hpp"

#include <array>
#include <functional>
#include <vector>

namespace elbo::report {

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

using polygon = std::vector<std::array<double, 2>>;

/// Closed boundaries of the region where the density exceeds `level` (marching squares with linear interpolation).
/// Outside the grid the density counts as zero, so that every curve closes.
std::vector<polygon> contour(const density_grid& grid, double level);

} // namespace elbo::report
