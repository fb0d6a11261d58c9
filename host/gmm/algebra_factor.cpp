#include "host/gmm/algebra_factor.hpp"

#include "kernels/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <limits>

namespace elbo::gmm {

structure structure_of(family f) {
    switch (f) {
    case family::full:
    case family::tied:
        return structure::full;
    case family::diagonal:
    case family::tied_diagonal:
        return structure::diagonal;
    case family::spherical:
    case family::tied_spherical:
        return structure::spherical;
    }
    return structure::full;
}

family family_of(structure s, bool tied) {
    switch (s) {
    case structure::full:
        return tied ? family::tied : family::full;
    case structure::diagonal:
        return tied ? family::tied_diagonal : family::diagonal;
    case structure::spherical:
        return tied ? family::tied_spherical : family::spherical;
    }
    return family::full;
}

std::int64_t factor_count(const model& m) {
    return is_tied(m.shape()) ? 1 : m.components();
}

std::vector<double> factor_diagonal(const model& m, std::int64_t k) {
    const std::int64_t d = m.dimensions(), c = is_tied(m.shape()) ? 0 : k;
    const std::vector<double>& u = m.precision_cholesky();
    std::vector<double> result(d);
    for (std::int64_t j = 0; j < d; ++j)
        switch (structure_of(m.shape())) {
        case structure::full:
            result[j] = u[c * d * d + j * d + j];
            break;
        case structure::diagonal:
            result[j] = u[c * d + j];
            break;
        case structure::spherical:
            result[j] = u[c];
            break;
        }
    return result;
}

std::vector<double> matrix_factor(const model& m, std::int64_t k) {
    const std::int64_t d = m.dimensions(), c = is_tied(m.shape()) ? 0 : k;
    if (structure_of(m.shape()) == structure::full) {
        const auto first = m.precision_cholesky().begin() + c * d * d;
        return {first, first + d * d};
    }
    const std::vector<double> diagonal = factor_diagonal(m, k);
    std::vector<double> result(d * d, 0);
    for (std::int64_t j = 0; j < d; ++j)
        result[j * d + j] = diagonal[j];
    return result;
}

std::vector<double> leading_variances(const model& m, std::int64_t k, std::int64_t count) {
    const std::int64_t d = m.dimensions(), c = is_tied(m.shape()) ? 0 : k;
    std::vector<double> result(static_cast<std::size_t>(count));
    const double* u = m.precision_cholesky().data();
    for (std::int64_t j = 0; j < count; ++j)
        switch (structure_of(m.shape())) {
        case structure::full: { // ‖U⁻¹ e_j‖², of which the elements behind j are 0
            std::vector<double> column(static_cast<std::size_t>(j + 1), 0);
            column[j] = 1;
            cblas_dtrsv(CblasRowMajor, CblasUpper, CblasNoTrans, CblasNonUnit, static_cast<int>(j + 1), u + c * d * d,
                        static_cast<int>(d), column.data(), 1);
            result[j] = cblas_ddot(static_cast<int>(j + 1), column.data(), 1, column.data(), 1);
            break;
        }
        case structure::diagonal:
            result[j] = 1 / (u[c * d + j] * u[c * d + j]);
            break;
        case structure::spherical:
            result[j] = 1 / (u[c] * u[c]);
            break;
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

reweighted reweight(const std::vector<double>& log_constants, const std::vector<double>& radii) {
    std::size_t nearest = radii.size();
    for (std::size_t k = 0; k < radii.size(); ++k)
        if (log_constants[k] > -std::numeric_limits<double>::infinity() &&
            (nearest == radii.size() || radii[k] < radii[nearest]))
            nearest = k;
    // Log-densities less that of the nearest: one of them is 0, all others are finite or -infinity.
    reweighted result;
    double largest = 0;
    for (std::size_t k = 0; k < radii.size(); ++k) {
        const double half_squares = (radii[k] - radii[nearest]) * (radii[k] / 2 + radii[nearest] / 2);
        result.weights.push_back(log_constants[k] - log_constants[nearest] - half_squares);
        largest = std::max(largest, result.weights.back());
    }
    double sum = 0;
    for (double& w : result.weights)
        sum += w = std::exp(w - largest);
    for (double& w : result.weights)
        w /= sum;
    result.log_sum = log_constants[nearest] - radii[nearest] * radii[nearest] / 2 + largest + std::log(sum);
    return result;
}

} // namespace elbo::gmm
