#include "host/report/chart/plane.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "host/report/chart/principal_axes.hpp"

#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace elbo::report {

namespace {

std::vector<double> mixture_mean(const gmm::model& m) {
    const std::int64_t d = m.dimensions();
    std::vector<double> mean(d, 0.0);
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (std::int64_t j = 0; j < d; ++j)
            mean[j] += m.weights()[k] * m.means()[k * d + j];
    return mean;
}

void column_axes(plane_view& view, const std::vector<std::string>& names) {
    view.axes = {std::vector<double>{1, 0}, std::vector<double>{0, 1}};
    view.titles = {column_name(names, 0), column_name(names, 1)};
}

/// aᵀ Σ_k b for the pairs (x, x), (x, y), (y, y) of the axes.
std::array<double, 3> quadratic_forms(const gmm::model& m, std::int64_t k,
                                      const std::array<std::vector<double>, 2>& axes) {
    const std::int64_t d = m.dimensions();
    std::array<double, 3> sums{};
    const auto add = [&](std::int64_t i, std::int64_t j, double value) {
        sums[0] += axes[0][i] * value * axes[0][j];
        sums[1] += axes[0][i] * value * axes[1][j];
        sums[2] += axes[1][i] * value * axes[1][j];
    };
    if (gmm::structure_of(m.shape()) != gmm::structure::full) {
        const std::vector<double> variances = gmm::leading_variances(m, k, d);
        for (std::int64_t j = 0; j < d; ++j)
            add(j, j, variances[j]);
        return sums;
    }
    const std::vector<double> covariance = m.covariance(k);
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            add(i, j, covariance[i * d + j]);
    return sums;
}

} // namespace

double plane_gaussian::density(double at_x, double at_y) const {
    const double determinant = xx * yy - xy * xy;
    if (!(determinant > 0))
        return 0; // flat in this plane: no density to draw
    const double dx = at_x - x, dy = at_y - y;
    const double squared = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant;
    return std::exp(-squared / 2) / (2 * std::numbers::pi * std::sqrt(determinant));
}

std::vector<std::array<double, 2>> plane_gaussian::ellipse(double sigmas, int points) const {
    // With Σ = L Lᵀ the ellipse is mean + sigmas · L (cos t, sin t).
    const double l11 = std::sqrt(xx);
    const double l21 = l11 > 0 ? xy / l11 : 0;
    const double l22 = std::sqrt(std::max(0.0, yy - l21 * l21));
    std::vector<std::array<double, 2>> curve;
    for (int i = 0; i < points; ++i) {
        const double t = 2 * std::numbers::pi * i / points;
        const double c = std::cos(t), s = std::sin(t);
        curve.push_back({x + sigmas * l11 * c, y + sigmas * (l21 * c + l22 * s)});
    }
    return curve;
}

std::array<double, 2> plane_view::project(std::span<const double> row) const {
    std::array<double, 2> at{0, 0};
    for (int a = 0; a < 2; ++a)
        for (std::size_t j = 0; j < row.size(); ++j)
            at[a] += axes[a][j] * (row[j] - centre[j]);
    return at;
}

double plane_view::density(double x, double y) const {
    double sum = 0;
    for (const plane_gaussian& g : components)
        sum += g.weight * g.density(x, y);
    return sum;
}

plane_view make_plane(const gmm::model& m, const std::vector<std::string>& column_names) {
    const std::int64_t d = m.dimensions();
    plane_view view;
    if (d == 2) {
        view.centre = {0, 0};
        column_axes(view, column_names);
    } else {
        view.centre = mixture_mean(m);
        principal_pair found = principal_axes(m, view.centre);
        constexpr const char* order[2] = {"first", "second"};
        for (int a = 0; a < 2; ++a)
            view.titles[a] =
                fmt::format("{} principal component ({:.0f} % of the variance)", order[a], 100 * found.shares[a]);
        view.axes = std::move(found.axes);
    }
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const auto at = view.project(std::span(m.means()).subspan(k * d, d));
        const auto [xx, xy, yy] = quadratic_forms(m, k, view.axes);
        view.components.push_back({m.weights()[k], at[0], at[1], xx, xy, yy});
    }
    return view;
}

std::string column_name(const std::vector<std::string>& names, std::int64_t j) {
    return j < static_cast<std::int64_t>(names.size()) ? names[j] : fmt::format("column {}", j);
}

} // namespace elbo::report
