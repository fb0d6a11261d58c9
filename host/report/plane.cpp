#include "host/report/plane.hpp"

#include "elbo/error.hpp"

#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>
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

std::vector<double> total_covariance(const gmm::model& m, const std::vector<double>& mean) {
    const std::int64_t d = m.dimensions();
    std::vector<double> total(d * d, 0.0);
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> own = m.covariance(k);
        const double* mu = m.means().data() + k * d;
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                total[i * d + j] += m.weights()[k] * (own[i * d + j] + (mu[i] - mean[i]) * (mu[j] - mean[j]));
    }
    return total;
}

// Signs of eigenvectors are arbitrary; the largest entry is made positive so that pictures do not flip.
void fix_sign(std::vector<double>& v) {
    double largest = 0;
    for (const double entry : v)
        if (std::abs(entry) > std::abs(largest))
            largest = entry;
    if (largest < 0)
        for (double& entry : v)
            entry = -entry;
}

void principal_axes(plane_view& view, std::vector<double> covariance, std::int64_t d) {
    double trace = 0;
    for (std::int64_t j = 0; j < d; ++j)
        trace += covariance[j * d + j];
    std::vector<double> values(d), vectors(d * 2);
    std::vector<lapack_int> support(4);
    lapack_int found = 0;
    const auto n = static_cast<lapack_int>(d);
    const lapack_int status = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', n, covariance.data(), n, 0, 0, n - 1, n,
                                             0, &found, values.data(), vectors.data(), n, support.data());
    if (status != 0 || found != 2)
        throw error("the principal components of the mixture could not be computed");
    constexpr const char* order[2] = {"first", "second"};
    for (int a = 0; a < 2; ++a) {
        const int column = 1 - a; // eigenvalues come in ascending order
        view.axes[a].assign(vectors.begin() + column * d, vectors.begin() + (column + 1) * d);
        fix_sign(view.axes[a]);
        view.titles[a] =
            fmt::format("{} principal component ({:.0f} % of the variance)", order[a], 100 * values[column] / trace);
    }
}

void column_axes(plane_view& view, const std::vector<std::string>& names) {
    view.axes = {std::vector<double>{1, 0}, std::vector<double>{0, 1}};
    view.titles = {column_name(names, 0), column_name(names, 1)};
}

double quadratic(const std::vector<double>& a, const std::vector<double>& s, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < b.size(); ++j)
            sum += a[i] * s[i * b.size() + j] * b[j];
    return sum;
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
        principal_axes(view, total_covariance(m, view.centre), d);
    }
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const auto at = view.project(std::span(m.means()).subspan(k * d, d));
        const std::vector<double> covariance = m.covariance(k);
        view.components.push_back({m.weights()[k], at[0], at[1], quadratic(view.axes[0], covariance, view.axes[0]),
                                   quadratic(view.axes[0], covariance, view.axes[1]),
                                   quadratic(view.axes[1], covariance, view.axes[1])});
    }
    return view;
}

std::string column_name(const std::vector<std::string>& names, std::int64_t j) {
    return j < static_cast<std::int64_t>(names.size()) ? names[j] : fmt::format("column {}", j);
}

} // namespace elbo::report
