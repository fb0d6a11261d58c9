#include "host/report/chart/principal_axes.hpp"

#include "elbo/error.hpp"
#include "host/gmm/algebra/factor.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>

namespace elbo::report {

namespace {

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
            for (const std::vector<double>& q : basis)
                cblas_daxpy(static_cast<int>(d), -cblas_ddot(static_cast<int>(d), q.data(), 1, v.data(), 1), q.data(),
                            1, v.data(), 1);
        // What is left is rounding: the space holds all that the first vector leads to.
        if (cblas_dnrm2(static_cast<int>(d), v.data(), 1) <= 1e-12 * before)
            break;
    }
    while (std::ssize(basis) < 2) { // another direction, where the first vector was an eigenvector
        std::vector<double> other(d, 0);
        other[std::ssize(basis)] = 1;
        for (const std::vector<double>& q : basis)
            cblas_daxpy(static_cast<int>(d), -cblas_ddot(static_cast<int>(d), q.data(), 1, other.data(), 1), q.data(),
                        1, other.data(), 1);
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

} // namespace

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

} // namespace elbo::report
