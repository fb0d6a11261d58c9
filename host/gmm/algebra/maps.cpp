// Products with a Gaussian and affine maps, both through orthogonal decompositions of stacked or mapped factors, so
// that no condition number is squared.
#include "elbo/gmm/algebra.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/check_array.hpp"

#include <algorithm>
#include <cblas.h>
#include <lapacke.h>
#include <limits>

namespace elbo::gmm {

namespace {

constexpr double log_2pi = 1.83787706640934548356;

/// The structure of a covariance by its zeros and equal numbers, exactly.
structure structure_of(const std::vector<double>& covariance, std::int64_t d) {
    bool spherical = true;
    for (std::int64_t i = 0; i < d; ++i) {
        for (std::int64_t j = 0; j < d; ++j)
            if (i != j && covariance[i * d + j] != 0)
                return structure::full;
        spherical = spherical && covariance[i * d + i] == covariance[0];
    }
    return spherical ? structure::spherical : structure::diagonal;
}

/// The Gaussian as a mixture of one component, in the smallest family.
model gaussian(const std::vector<double>& mean, const std::vector<double>& covariance, structure s) {
    const std::int64_t d = std::ssize(mean);
    std::vector<double> own = covariance;
    if (s != structure::full)
        own = diagonal_of(covariance, d, 0, s == structure::diagonal ? d : 1);
    return model::from_covariances(family_of(s, true), d, {1}, mean, std::move(own));
}

/// One component times the Gaussian.
struct component_product {
    std::vector<double> factor; ///< [d x d], or its diagonal [d]
    std::vector<double> step;   ///< [d] new mean − old mean
    double radius = 0;          ///< √(δᵀ (Σ + S)⁻¹ δ), δ = mean of the Gaussian − μ_k
    double log_determinant = 0; ///< log det of the new factor
};

/// U' U'ᵀ = U Uᵀ + V Vᵀ is the factor of (U V). The step minimises ‖Uᵀ t‖² + ‖Vᵀ (t − δ)‖², and what is left of it is
/// the square of the radius.
component_product matrix_product(const std::vector<double>& u, const std::vector<double>& v,
                                 std::vector<double> delta) {
    const std::int64_t d = std::ssize(delta);
    const int size = static_cast<int>(d);
    std::vector<double> stacked;
    stacked.reserve(2 * d * d);
    for (std::int64_t i = 0; i < d; ++i)
        for (const auto* part : {&u, &v})
            stacked.insert(stacked.end(), part->begin() + i * d, part->begin() + (i + 1) * d);
    cblas_dtrmv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, size, v.data(), size, delta.data(), 1);
    std::vector<double> rhs(d, 0);
    rhs.insert(rhs.end(), delta.begin(), delta.end());
    component_product result;
    result.factor = upper_factor(std::move(stacked), d, 2 * d, rhs.data());
    result.radius = cblas_dnrm2(size, rhs.data(), 1);
    result.step.assign(rhs.begin() + d, rhs.end());
    cblas_dtrsv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, size, result.factor.data(), size,
                result.step.data(), 1);
    result.log_determinant = log_sum(diagonal_of(result.factor, d, 0, d));
    return result;
}

component_product diagonal_product(const std::vector<double>& u, const std::vector<double>& v,
                                   const std::vector<double>& delta) {
    component_product result;
    std::vector<double> scaled;
    for (std::size_t j = 0; j < delta.size(); ++j) {
        const double both = std::hypot(u[j], v[j]), share = v[j] / both;
        result.factor.push_back(both);
        result.step.push_back(delta[j] * share * share);
        scaled.push_back(delta[j] * u[j] * share);
    }
    result.radius = cblas_dnrm2(static_cast<int>(scaled.size()), scaled.data(), 1);
    result.log_determinant = log_sum(result.factor);
    return result;
}

/// Whether each row of A has one element that is not 0, no two in one column; then `column` tells which.
bool picks_columns(const std::vector<double>& a, std::int64_t rows, std::int64_t d, std::vector<std::int64_t>& column) {
    for (std::int64_t i = 0; i < rows; ++i) {
        const auto first = a.begin() + i * d;
        if (std::count(first, first + d, 0.0) != d - 1)
            return false;
        const std::int64_t j = std::find_if(first, first + d, [](double v) { return v != 0; }) - first;
        if (std::ranges::find(column, j) != column.end())
            return false;
        column.push_back(j);
    }
    return true;
}

/// The factor of A Σ Aᵀ: with B = U⁻¹ Aᵀ = Q R it is R⁻¹, since A Σ Aᵀ = Bᵀ B.
std::vector<double> mapped_factor(const model& m, std::int64_t k, const std::vector<double>& a, std::int64_t rows) {
    const std::int64_t d = m.dimensions();
    const int size = static_cast<int>(d), count = static_cast<int>(rows);
    std::vector<double> b(d * rows);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            b[j * rows + i] = a[i * d + j];
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, size, count, 1,
                matrix_factor(m, k).data(), size, b.data(), count);
    std::vector<double> lengths;
    for (std::int64_t i = 0; i < rows; ++i)
        lengths.push_back(cblas_dnrm2(size, &b[i], count));
    std::vector<double> tau(rows);
    LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, size, count, b.data(), count, tau.data());
    for (std::int64_t i = 0; i < rows; ++i) {
        // The decomposition is that of a matrix whose columns are off by at most about d ε of their lengths.
        const double smallest = static_cast<double>(d) * std::numeric_limits<double>::epsilon() * lengths[i];
        expects(std::abs(b[i * rows + i]) > smallest, [&] {
            return fmt::format(
                "row {} of a depends on the rows before it, to working precision under the covariance of "
                "component {}: expected linearly independent rows",
                i, k);
        });
        if (b[i * rows + i] < 0)
            cblas_dscal(count - static_cast<int>(i), -1, &b[i * rows + i], 1);
    }
    b.resize(rows * rows);
    for (std::int64_t i = 0; i < rows; ++i)
        std::fill_n(&b[i * rows], i, 0.0);
    LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', count, b.data(), count);
    return b;
}

/// The factors of a map that keeps the columns apart, and their structure.
structure scaled_factors(const model& m, const std::vector<double>& a, const std::vector<std::int64_t>& column,
                         std::vector<double>& factors) {
    std::vector<double> scales;
    for (std::size_t i = 0; i < column.size(); ++i)
        scales.push_back(std::abs(a[i * m.dimensions() + column[i]]));
    const bool one_scale = std::ranges::count(scales, scales[0]) == std::ssize(scales);
    const bool spherical = one_scale && structure_of(m.shape()) == structure::spherical;
    for (std::int64_t c = 0; c < factor_count(m); ++c) {
        const std::vector<double> u = factor_diagonal(m, c);
        for (std::size_t i = 0; i < (spherical ? 1 : column.size()); ++i)
            factors.push_back(u[column[i]] / scales[i]);
    }
    return spherical ? structure::spherical : structure::diagonal;
}

} // namespace

product_result product(const model& m, const std::vector<double>& mean, const std::vector<double>& covariance) {
    const std::int64_t d = m.dimensions();
    check_size("mean", mean.size(), d, "d");
    check_size("covariance", covariance.size(), d * d, "d x d");
    check_finite("mean", mean);
    check_finite("covariance", covariance);
    const structure own = structure_of(covariance, d), result = std::max(own, structure_of(m.shape()));
    const model other = gaussian(mean, covariance, own);
    const std::vector<double> other_diagonal = factor_diagonal(other, 0);
    std::vector<double> means = m.means(), factors, constants, radii;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        std::vector<double> delta = mean;
        cblas_daxpy(static_cast<int>(d), -1, &means[k * d], 1, delta.data(), 1);
        const std::vector<double> diagonal = factor_diagonal(m, k);
        component_product one = result == structure::full
                                    ? matrix_product(matrix_factor(m, k), matrix_factor(other, 0), std::move(delta))
                                    : diagonal_product(diagonal, other_diagonal, delta);
        cblas_daxpy(static_cast<int>(d), 1, one.step.data(), 1, &means[k * d], 1);
        if (k < factor_count(m))
            factors.insert(factors.end(), one.factor.begin(),
                           result == structure::spherical ? one.factor.begin() + 1 : one.factor.end());
        radii.push_back(one.radius);
        constants.push_back(std::log(m.weights()[k]) + log_sum(diagonal) + log_sum(other_diagonal) -
                            one.log_determinant - static_cast<double>(d) / 2 * log_2pi);
    }
    const reweighted weights = reweight(constants, radii);
    expects(std::isfinite(weights.log_sum), [&] {
        return fmt::format("mean (the first number is {}): expected a mean near enough to the model for the density to "
                           "have a finite logarithm",
                           mean[0]);
    });
    return {model::from_precision_cholesky(family_of(result, is_tied(m.shape())), d, weights.weights, std::move(means),
                                           std::move(factors)),
            weights.log_sum};
}

model affine(const model& m, const std::vector<double>& a, const std::vector<double>& b) {
    const std::int64_t d = m.dimensions(), rows = std::ssize(b);
    expects(rows >= 1 && rows <= d,
            [&] { return fmt::format("b has {} numbers: expected 1 to {}, the dimensions of the model", rows, d); });
    check_size("a", a.size(), rows * d, "size of b x d");
    check_finite("a", a);
    check_finite("b", b);
    std::vector<double> means, factors;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        means.insert(means.end(), b.begin(), b.end());
        cblas_dgemv(CblasRowMajor, CblasNoTrans, static_cast<int>(rows), static_cast<int>(d), 1, a.data(),
                    static_cast<int>(d), &m.means()[k * d], 1, 1, &means[k * rows], 1);
    }
    structure result = structure::full;
    std::vector<std::int64_t> column;
    if (structure_of(m.shape()) != structure::full && picks_columns(a, rows, d, column))
        result = scaled_factors(m, a, column, factors);
    else
        for (std::int64_t c = 0; c < factor_count(m); ++c) {
            const std::vector<double> own = mapped_factor(m, c, a, rows);
            factors.insert(factors.end(), own.begin(), own.end());
        }
    return model::from_precision_cholesky(family_of(result, is_tied(m.shape())), rows, m.weights(), std::move(means),
                                          std::move(factors));
}

} // namespace elbo::gmm
