// A mixture over the points that it describes, with the contour lines of its density; SVG.
#pragma once

#include "host/report/chart/svg.hpp"
#include "host/report/page/mixture_page.hpp"

#include <functional>
#include <string>
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

using polygon = std::vector<point>;

/// Closed boundaries of the region where the density exceeds `level` (marching squares with linear interpolation).
/// Outside the grid the density counts as zero, so that every curve closes.
std::vector<polygon> contour(const density_grid& grid, double level);

/// Two and more dimensions: density contours with 1- and 2-sigma ellipses over the points coloured by component.
std::string scatter_chart(const mixture_page& p);
/// One dimension: histogram of the points, the density and the components.
std::string histogram_chart(const mixture_page& p);

} // namespace elbo::report
