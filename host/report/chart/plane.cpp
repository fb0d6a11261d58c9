#include "host/report/chart/charts.hpp"

#include "elbo/error.hpp"
#include "host/gmm/algebra/factor.hpp"

#include <cblas.h>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>
#include <numbers>

namespace elbo::report {
namespace {

/// Eigenvectors [d] of the total covariance Σ_k α_k (Σ_k + (μ_k − μ)(μ_k − μ)ᵀ) with the two largest eigenvalues, the
/// larger first, each with its largest entry positive, and their shares of the trace.
struct principal_pair {
    std::array<std::vector<double>, 2> axes;
    std::array<double, 2> shares{};
};

/// Up to so many dimensions all eigenvalues of the matrix cost less than a page takes to write.
constexpr std::int64_t most_dense = 512;
/// Steps of Lanczos beyond: a picture needs three digits of its axes.
constexpr std::int64_t lanczos_steps = 80;

/// Σ_k α_k (Σ_k + (μ_k − μ)(μ_k − μ)ᵀ) of a family without matrices: a diagonal and a vector for each component.
class total_covariance {
public:
    total_covariance(const gmm::model& m, const std::vector<double>& mean)
        : d_(m.dimensions()), diagonal_(mean.size(), 0), offsets_(m.means()) {
        for (std::int64_t k = 0; k < m.components(); ++k) {
            const double weight = m.weights()[k];
            const std::vector<double> own = gmm::leading_variances(m, k, d_);
            for (std::int64_t j = 0; j < d_; ++j) {
                diagonal_[j] += weight * own[j];
                offsets_[k * d_ + j] = std::sqrt(weight) * (offsets_[k * d_ + j] - mean[j]);
            }
        }
    }

    std::vector<double> times(const std::vector<double>& v) const {
        const int d = static_cast<int>(d_);
        std::vector<double> result(v.size());
        for (std::int64_t j = 0; j < d_; ++j)
            result[j] = diagonal_[j] * v[j];
        for (std::size_t at = 0; at < offsets_.size(); at += d_)
            cblas_daxpy(d, cblas_ddot(d, &offsets_[at], 1, v.data(), 1), &offsets_[at], 1, result.data(), 1);
        return result;
    }

    double trace() const {
        double sum = 0;
        for (const double v : diagonal_)
            sum += v;
        for (const double v : offsets_)
            sum += v * v;
        return sum;
    }

    /// A vector that has a part of each direction that may be wide: a weight of its own in every coordinate.
    std::vector<double> first_vector() const {
        std::vector<double> v(diagonal_.size());
        for (std::int64_t j = 0; j < d_; ++j) {
            v[j] = (1 + 0.25 * std::sin(static_cast<double>(j))) * std::sqrt(diagonal_[j]);
            for (std::size_t at = 0; at < offsets_.size(); at += d_)
                v[j] += static_cast<double>(1 + at / d_ % 7) * offsets_[at + j];
        }
        return v;
    }

private:
    std::int64_t d_;
    std::vector<double> diagonal_, offsets_; // [d], [k x d] √α_k (μ_k − μ)
};

bool normalize(std::vector<double>& v) {
    const double length = cblas_dnrm2(static_cast<int>(v.size()), v.data(), 1);
    if (!(length > 0))
        return false;
    cblas_dscal(static_cast<int>(v.size()), 1 / length, v.data(), 1);
    return true;
}

/// Signs of eigenvectors are arbitrary; the largest entry is made positive so that pictures do not flip.
void fix_sign(std::vector<double>& v) {
    const auto largest = std::ranges::max_element(v, [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (*largest < 0)
        for (double& entry : v)
            entry = -entry;
}

/// The two largest eigenpairs of a symmetric matrix [d x d], which is destroyed.
void dense_pairs(std::vector<double>& matrix, std::int64_t d, principal_pair& found, std::array<double, 2>& values) {
    std::vector<double> all(d), vectors(d * 2);
    std::vector<lapack_int> support(4);
    lapack_int count = 0;
    const auto n = static_cast<lapack_int>(d);
    const lapack_int status = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', n, matrix.data(), n, 0, 0, n - 1, n, 0,
                                             &count, all.data(), vectors.data(), n, support.data());
    if (status != 0 || count != 2)
        throw error("the principal components of the mixture could not be computed");
    for (int a = 0; a < 2; ++a) { // eigenvalues come in ascending order
        values[a] = all[1 - a];
        found.axes[a].assign(vectors.begin() + (1 - a) * d, vectors.begin() + (2 - a) * d);
    }
}

/// Takes the parts along these unit vectors out of v.
void make_orthogonal(std::vector<double>& v, const std::vector<std::vector<double>>& basis) {
    const int d = static_cast<int>(v.size());
    for (const std::vector<double>& q : basis)
        cblas_daxpy(d, -cblas_ddot(d, q.data(), 1, v.data(), 1), q.data(), 1, v.data(), 1);
}

/// Lanczos with every vector made orthogonal to all before it, twice.
void lanczos_pairs(const total_covariance& t, std::int64_t d, principal_pair& found, std::array<double, 2>& values) {
    std::vector<std::vector<double>> basis;
    std::vector<std::vector<double>> images;
    std::vector<double> v = t.first_vector();
    while (std::ssize(basis) < std::min(lanczos_steps, d) && normalize(v)) {
        images.push_back(t.times(v));
        basis.push_back(std::move(v));
        v = images.back();
        const double before = cblas_dnrm2(static_cast<int>(d), v.data(), 1);
        for (int pass = 0; pass < 2; ++pass)
            make_orthogonal(v, basis);
        // What is left is rounding: the space holds all that the first vector leads to.
        if (cblas_dnrm2(static_cast<int>(d), v.data(), 1) <= 1e-12 * before)
            break;
    }
    while (std::ssize(basis) < 2) { // another direction, where the first vector was an eigenvector
        std::vector<double> other(d, 0);
        other[std::ssize(basis)] = 1;
        make_orthogonal(other, basis);
        normalize(other);
        images.push_back(t.times(other));
        basis.push_back(std::move(other));
    }
    const std::int64_t size = std::ssize(basis);
    std::vector<double> small(size * size);
    for (std::int64_t i = 0; i < size; ++i)
        for (std::int64_t j = 0; j < size; ++j)
            small[i * size + j] = cblas_ddot(static_cast<int>(d), basis[i].data(), 1, images[j].data(), 1);
    principal_pair inner;
    dense_pairs(small, size, inner, values);
    for (int a = 0; a < 2; ++a) {
        found.axes[a].assign(d, 0);
        for (std::int64_t i = 0; i < size; ++i)
            cblas_daxpy(static_cast<int>(d), inner.axes[a][i], basis[i].data(), 1, found.axes[a].data(), 1);
    }
}

/// The matrix itself, with its trace.
std::vector<double> dense_covariance(const gmm::model& m, const std::vector<double>& mean, double& trace) {
    const std::int64_t d = m.dimensions();
    std::vector<double> total(d * d, 0.0);
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> own = m.covariance(k);
        const double* mu = m.means().data() + k * d;
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                total[i * d + j] += m.weights()[k] * (own[i * d + j] + (mu[i] - mean[i]) * (mu[j] - mean[j]));
    }
    trace = 0;
    for (std::int64_t j = 0; j < d; ++j)
        trace += total[j * d + j];
    return total;
}

/// `mean` [d] is that of the mixture, which has at least two dimensions.
principal_pair principal_axes(const gmm::model& m, const std::vector<double>& mean) {
    const std::int64_t d = m.dimensions();
    principal_pair found;
    std::array<double, 2> values{};
    double trace = 0;
    if (d <= most_dense || gmm::structure_of(m.shape()) == gmm::structure::full) {
        std::vector<double> matrix = dense_covariance(m, mean, trace);
        dense_pairs(matrix, d, found, values);
    } else {
        const total_covariance total(m, mean);
        trace = total.trace();
        lanczos_pairs(total, d, found, values);
    }
    for (int a = 0; a < 2; ++a) {
        fix_sign(found.axes[a]);
        found.shares[a] = values[a] / trace;
    }
    return found;
}

std::vector<double> mixture_mean(const gmm::model& m) {
    const std::int64_t d = m.dimensions();
    std::vector<double> mean(d, 0.0);
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (std::int64_t j = 0; j < d; ++j)
            mean[j] += m.weights()[k] * m.means()[k * d + j];
    return mean;
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
        view.axes = {std::vector<double>{1, 0}, std::vector<double>{0, 1}};
        view.titles = {column_name(column_names, 0), column_name(column_names, 1)};
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
