#include "host/gmm/algebra/factor.hpp"

#include "host/gmm/model/check_array.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <limits>

namespace elbo::gmm {

family family_of(structure s, bool tied) {
    constexpr family families[][2] = {{family::spherical, family::tied_spherical},
                                      {family::diagonal, family::tied_diagonal},
                                      {family::full, family::tied}};
    return families[static_cast<int>(s)][tied];
}

std::int64_t factor_count(const model& m) {
    return geometry(m.shape()).count(m.components());
}

std::vector<double> factor_diagonal(const model& m, std::int64_t k) {
    const std::int64_t d = m.dimensions();
    const family_geometry g = geometry(m.shape());
    std::vector<double> result(d);
    for (std::int64_t j = 0; j < d; ++j)
        result[j] = m.precision_cholesky()[k * g.stride(d) + g.at(j, j, d)];
    return result;
}

std::vector<double> matrix_factor(const model& m, std::int64_t k) {
    const std::int64_t d = m.dimensions();
    if (const family_geometry g = geometry(m.shape()); g.matrix()) {
        const auto first = m.precision_cholesky().begin() + k * g.stride(d);
        return {first, first + d * d};
    }
    const std::vector<double> diagonal = factor_diagonal(m, k);
    std::vector<double> result(d * d, 0);
    for (std::int64_t j = 0; j < d; ++j)
        result[j * d + j] = diagonal[j];
    return result;
}

std::vector<double> leading_variances(const model& m, std::int64_t k, std::int64_t count) {
    const std::int64_t d = m.dimensions();
    const family_geometry g = geometry(m.shape());
    std::vector<double> result(static_cast<std::size_t>(count));
    const double* u = m.precision_cholesky().data() + k * g.stride(d);
    for (std::int64_t j = 0; j < count; ++j) {
        if (!g.matrix()) {
            result[j] = 1 / (u[g.at(j, j, d)] * u[g.at(j, j, d)]);
            continue;
        }
        // ‖U⁻¹ e_j‖², of which the elements behind j are 0
        std::vector<double> column(static_cast<std::size_t>(j + 1), 0);
        column[j] = 1;
        cblas_dtrsv(CblasRowMajor, CblasUpper, CblasNoTrans, CblasNonUnit, static_cast<int>(j + 1), u,
                    static_cast<int>(d), column.data(), 1);
        result[j] = cblas_ddot(static_cast<int>(j + 1), column.data(), 1, column.data(), 1);
    }
    return result;
}

double log_sum(const std::vector<double>& diagonal) {
    double sum = 0;
    for (double v : diagonal)
        sum += std::log(v);
    return sum;
}

std::vector<double> diagonal_of(const std::vector<double>& matrix, std::int64_t d, std::int64_t first,
                                std::int64_t last) {
    std::vector<double> result;
    for (std::int64_t j = first; j < last; ++j)
        result.push_back(matrix[j * d + j]);
    return result;
}

std::vector<double> block(const std::vector<double>& matrix, std::int64_t d, std::int64_t row, std::int64_t rows,
                          std::int64_t col, std::int64_t cols) {
    std::vector<double> result;
    result.reserve(rows * cols);
    for (std::int64_t i = row; i < row + rows; ++i)
        result.insert(result.end(), matrix.begin() + i * d + col, matrix.begin() + i * d + col + cols);
    return result;
}

std::vector<double> upper_factor(std::vector<double> a, std::int64_t d, std::int64_t n, double* rhs) {
    const auto rows = static_cast<lapack_int>(d), cols = static_cast<lapack_int>(n);
    std::vector<double> tau(d);
    const kernels::one_blas_thread one;
    LAPACKE_dgerqf(LAPACK_ROW_MAJOR, rows, cols, a.data(), cols, tau.data());
    if (rhs)
        LAPACKE_dormrq(LAPACK_ROW_MAJOR, 'L', 'N', cols, 1, rows, a.data(), cols, tau.data(), rhs, 1);
    std::vector<double> factor(d * d, 0);
    for (std::int64_t j = 0; j < d; ++j) {
        // (R S)(S Q) for S = diag(±1) is the same product, with a positive diagonal.
        const double sign = std::copysign(1.0, a[j * n + n - d + j]);
        for (std::int64_t i = 0; i <= j; ++i)
            factor[i * d + j] = sign * a[i * n + n - d + j];
        if (rhs)
            rhs[n - d + j] *= sign;
    }
    return factor;
}

void check_columns(const std::vector<std::int64_t>& columns, std::int64_t d) {
    expects(!columns.empty(), "columns is empty: expected at least one column");
    std::vector<bool> seen(d, false);
    for (std::size_t i = 0; i < columns.size(); ++i) {
        expects(columns[i] >= 0 && columns[i] < d,
                [&] { return fmt::format("columns[{}] = {}: expected 0 to {}", i, columns[i], d - 1); });
        expects(!seen[columns[i]],
                [&] { return fmt::format("columns[{}] = {}: expected each column once", i, columns[i]); });
        seen[columns[i]] = true;
    }
}

std::vector<std::int64_t> other_columns(const std::vector<std::int64_t>& columns, std::int64_t d) {
    std::vector<bool> named(d, false);
    for (const std::int64_t j : columns)
        named[j] = true;
    std::vector<std::int64_t> result;
    for (std::int64_t j = 0; j < d; ++j)
        if (!named[j])
            result.push_back(j);
    return result;
}

std::vector<double> gather(const std::vector<double>& rows, std::int64_t d, const std::vector<std::int64_t>& columns) {
    std::vector<double> result;
    for (std::size_t first = 0; first < rows.size(); first += d)
        for (std::int64_t j : columns)
            result.push_back(rows[first + j]);
    return result;
}

std::vector<double> reordered_factor(const model& m, std::int64_t c, const std::vector<std::int64_t>& first,
                                     const std::vector<std::int64_t>& rest) {
    const std::int64_t d = m.dimensions();
    const double* u = &m.precision_cholesky()[c * d * d];
    std::vector<double> rows;
    rows.reserve(d * d);
    for (const auto* part : {&first, &rest})
        for (std::int64_t j : *part)
            rows.insert(rows.end(), u + j * d, u + (j + 1) * d);
    return upper_factor(std::move(rows), d, d);
}

std::vector<double> conditional_gain(const std::vector<double>& u, std::int64_t b, std::int64_t a) {
    const std::int64_t d = b + a;
    std::vector<double> product = block(u, d, 0, b, b, a), result(a * b);
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, static_cast<int>(b),
                static_cast<int>(a), -1, &u[b * d + b], static_cast<int>(d), product.data(), static_cast<int>(a));
    for (std::int64_t i = 0; i < b; ++i)
        for (std::int64_t j = 0; j < a; ++j)
            result[j * b + i] = product[i * a + j];
    return result;
}

std::vector<double> conditional_covariance(const std::vector<double>& u, std::int64_t b, std::int64_t a, bool whole) {
    std::vector<double> v = block(u, b + a, b, a, b, a);
    const int size = static_cast<int>(a);
    LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', size, v.data(), size);
    std::vector<double> result(whole ? a * a : a, 0);
    for (std::int64_t i = 0; i < a; ++i)
        for (std::int64_t j = whole ? 0 : i; j <= i; ++j) {
            double& sum = result[whole ? i * a + j : i];
            for (std::int64_t l = 0; l <= j; ++l)
                sum += v[l * a + i] * v[l * a + j];
            if (whole)
                result[j * a + i] = sum;
        }
    return result;
}

double log_sum_exp(const double* x, std::size_t count, std::size_t stride) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < count; ++i)
        largest = std::fmax(largest, x[i * stride]);
    if (std::isinf(largest))
        return largest;
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i)
        sum += std::exp(x[i * stride] - largest);
    return largest + std::log(sum);
}

double reweight(const double* log_constants, const double* radii, std::int64_t components, double* weights) {
    std::int64_t nearest = components;
    for (std::int64_t k = 0; k < components; ++k)
        if (log_constants[k] > -std::numeric_limits<double>::infinity() &&
            (nearest == components || radii[k] < radii[nearest]))
            nearest = k;
    // Log-densities less that of the nearest: one of them is 0, all others are finite or -infinity.
    double largest = 0;
    for (std::int64_t k = 0; k < components; ++k) {
        if (std::isinf(log_constants[k])) { // whatever its distance
            weights[k] = log_constants[k];
            continue;
        }
        const double half_squares = (radii[k] - radii[nearest]) * (radii[k] / 2 + radii[nearest] / 2);
        weights[k] = log_constants[k] - log_constants[nearest] - half_squares;
        largest = std::max(largest, weights[k]);
    }
    double sum = 0;
    for (std::int64_t k = 0; k < components; ++k)
        sum += weights[k] = std::exp(weights[k] - largest);
    for (std::int64_t k = 0; k < components; ++k)
        weights[k] /= sum;
    return log_constants[nearest] - radii[nearest] * radii[nearest] / 2 + largest + std::log(sum);
}

reweighted reweight(const std::vector<double>& log_constants, const std::vector<double>& radii) {
    reweighted result{std::vector<double>(radii.size())};
    result.log_sum = reweight(log_constants.data(), radii.data(), std::ssize(radii), result.weights.data());
    return result;
}

} // namespace elbo::gmm
