#include "kernels/shared/precision_factor.hpp"

#include "kernels/math/singular.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <cmath>
#include <lapacke.h>

namespace elbo::kernels {

namespace {

/// Above this LAPACK's blocked algorithms are faster than the loops here.
constexpr std::int64_t largest_in_loops = 32;

double dot(const double* a, const double* b, std::int64_t n) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
        sum += a[i] * b[i];
    return sum;
}

/// Row by row, in place; false at the first singular pivot. `mean`: of the counted variances.
bool cholesky_in_loops(double* c, std::int64_t d, double mean) {
    for (std::int64_t i = 0; i < d; ++i) {
        double* row = c + i * d;
        for (std::int64_t j = 0; j < i; ++j)
            row[j] = (row[j] - dot(row, c + j * d, j)) / c[j * d + j];
        const double pivot = row[i] - dot(row, row, i);
        if (!(pivot > largest_singular_pivot(row[i], mean)))
            return false;
        row[i] = std::sqrt(pivot);
    }
    return true;
}

/// Row i of u is column i of L⁻¹, by forward substitution.
void inverse_transposed_in_loops(const double* l, std::int64_t d, double* u) {
    for (std::int64_t i = 0; i < d; ++i) {
        double* row = u + i * d;
        for (std::int64_t j = 0; j < i; ++j)
            row[j] = 0;
        row[i] = 1 / l[i * d + i];
        for (std::int64_t j = i + 1; j < d; ++j)
            row[j] = -dot(l + j * d + i, row + i, j - i) / l[j * d + j];
    }
}

bool factor_with_lapack(double* c, std::int64_t d, double mean, double* u) {
    const one_blas_thread guard;
    for (std::int64_t i = 0; i < d; ++i)
        u[i] = largest_singular_pivot(c[i * d + i], mean);
    const lapack_int n = static_cast<lapack_int>(d);
    // Row-major lower is column-major upper: the column-major calls work in place on c, without LAPACKE's transposes.
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', n, c, n) != 0)
        return false;
    for (std::int64_t i = 0; i < d; ++i)
        if (!(c[i * d + i] * c[i * d + i] > u[i]))
            return false;
    LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'U', 'N', n, c, n);
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            u[i * d + j] = j < i ? 0 : c[j * d + i];
    return true;
}

} // namespace

bool precision_factor(double* c, std::int64_t d, double* u) {
    double trace = 0, counted = 0;
    for (std::int64_t i = 0; i < d; ++i) {
        trace += c[i * d + i];
        counted += counted_variance(c[i * d + i]);
    }
    if (!std::isfinite(trace))
        return false;
    const double mean = counted / static_cast<double>(d);
    if (d > largest_in_loops)
        return factor_with_lapack(c, d, mean, u);
    if (!cholesky_in_loops(c, d, mean))
        return false;
    inverse_transposed_in_loops(c, d, u);
    return true;
}

} // namespace elbo::kernels
