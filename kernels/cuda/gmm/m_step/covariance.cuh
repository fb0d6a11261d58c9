// Covariances from statistics and their factors, one block a matrix: the parts of the M-step (m_step.cu).
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/m_step/cholesky_blocked.cuh"
#include "kernels/cuda/gmm/m_step/m_step.hpp"
#include "kernels/math/singular.hpp"

namespace elbo::kernels::cuda {

template <class T>
struct update_arguments {
    gmm_shape shape;
    device_sums sums;
    device_rule rule;
    update_arrays arrays;
    device_model<T> current;
};

struct larger {
    __device__ double operator()(double a, double b) const { return a > b ? a : b; }
};

/// Where one matrix is factored: shared memory, or the place of the factor in device memory.
struct matrix_memory {
    double* matrix;
    std::int64_t ld;
    double* column; ///< [d]; for a matrix in device memory the whole of the block's shared memory; else unused
};

__device__ inline matrix_memory place_matrix(const gmm_shape& s, double* shared, double* in_device) {
    const std::int64_t d = s.dimensions;
    if (!geometry(s.family).matrix())
        return {nullptr, 0, nullptr};
    if (d > factor_in_shared)
        return {in_device, d, shared};
    return {shared, factor_stride(d), shared + d * factor_stride(d)};
}

/// Statistic `entry` of component k as float64.
template <class T>
__device__ double statistic(const update_arguments<T>& a, std::int64_t k, std::int64_t entry) {
    const std::int64_t size = statistics_size(a.shape.family, a.shape.dimensions);
    return read_fixed(a.sums, k * size + entry, a.sums.component_exponent);
}

/// Raises a diagonal entry by the floor of a covariance that has no other way out.
__device__ inline double with_floor(double variance, double floor) {
    return floor > 0 ? raised_variance(variance, floor) : variance;
}

/// Σ of the counted variances over the block; the diagonal has been written by the same threads.
__device__ inline double trace_of(const double* variances, int count, double* scratch) {
    double part = 0;
    for (int j = static_cast<int>(threadIdx.x); j < count; j += static_cast<int>(blockDim.x))
        part += counted_variance(variances[j]);
    return block_sum(part, scratch);
}

/// L and U = L^-T in place; false (in all threads) at a pivot that is at most `smallest_pivot` or NaN.
__device__ inline bool factor_and_invert(const matrix_memory& m, int d, double smallest_pivot) {
    if (d > factor_in_shared)
        return factor_blocked(m.matrix, m.ld, d, smallest_pivot, m.column);
    if (!cholesky(m.matrix, m.ld, d, smallest_pivot, m.column))
        return false;
    invert_transposed(m.matrix, m.ld, d, m.column);
    return true;
}

/// Factor of the matrix in m with these variances: false if singular. On success log det and quadratic term (tr(Λ (C −
/// λ)) = d − Σ λ_i U_ij²) and U, with zeros below the diagonal, in `out` [d x d].
__device__ inline bool finish_matrix(const matrix_memory& m, int d, const double* variances, double trace,
                                     const double* lambda, double* out, double* log_determinant, double* quadratic,
                                     double* scratch) {
    if (!factor_and_invert(m, d, singular_share * trace / d))
        return false;
    double bad = 0, log_sum = 0, share = 0;
    for (int i = static_cast<int>(threadIdx.x); i < d; i += static_cast<int>(blockDim.x)) {
        const double u = m.matrix[i * m.ld + i]; // a pivot is 1 / u²
        if (variances[i] > 1 && !(largest_singular_pivot(variances[i], 1) * u * u < 1))
            bad = 1;
        log_sum += ::log(u);
    }
    if (block_sum(bad, scratch) > 0)
        return false;
    for (std::int64_t e = threadIdx.x; e < std::int64_t(d) * d; e += blockDim.x) {
        const std::int64_t i = e / d, j = e - i * d;
        const double u = j >= i ? m.matrix[i * m.ld + j] : 0;
        out[e] = u;
        share += lambda[i] * u * u;
    }
    log_sum = block_sum(log_sum, scratch);
    share = block_sum(share, scratch);
    if (threadIdx.x == 0) {
        *log_determinant = log_sum;
        *quadratic = d - share;
    }
    return true;
}

/// The same for variances: 1/σ into out. A spherical covariance is one variance that counts `times` = d times.
__device__ inline bool finish_variances(const double* variances, int count, double times, double trace,
                                        const double* lambda, double mean_lambda, double* out, double* log_determinant,
                                        double* quadratic, double* scratch) {
    double bad = 0, log_sum = 0, ratio = 0;
    for (int j = static_cast<int>(threadIdx.x); j < count; j += static_cast<int>(blockDim.x)) {
        const double v = variances[j];
        if (!(v > largest_singular_pivot(v, trace / count)))
            bad = 1;
        log_sum -= 0.5 * times * ::log(v);
        ratio += times * (v - (times > 1 ? mean_lambda : lambda[j])) / v;
    }
    if (block_sum(bad, scratch) > 0)
        return false;
    for (int j = static_cast<int>(threadIdx.x); j < count; j += static_cast<int>(blockDim.x))
        out[j] = 1 / ::sqrt(variances[j]);
    log_sum = block_sum(log_sum, scratch);
    ratio = block_sum(ratio, scratch);
    if (threadIdx.x == 0) {
        *log_determinant = log_sum;
        *quadratic = ratio;
    }
    return true;
}

/// Covariance of component k about its new mean into its places: matrix (lower triangle) and variances. The floor is
/// added to the diagonal; `diagonal_only` leaves out the rest. Returns the sum of the counted variances.
template <class T>
__device__ double own_covariance(const update_arguments<T>& a, std::int64_t k, double floor, bool diagonal_only,
                                 const matrix_memory& m, double* scratch) {
    const int d = static_cast<int>(a.shape.dimensions);
    const double n = statistic(a, k, 0); // not counts[k], which are normalised
    double* variances = a.arrays.variances + k * d;
    const auto delta = [&](int j) { return statistic(a, k, 1 + j) / n; };
    __syncthreads();
    if (a.shape.family == gmm::family::spherical) {
        double norm = 0;
        for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x))
            norm += delta(j) * delta(j);
        norm = block_sum(norm, scratch);
        const double v = with_floor((statistic(a, k, 1 + d) / n - norm) / d + a.rule.mean_lambda, floor);
        for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x))
            variances[j] = v;
        __syncthreads();
        return v;
    }
    const bool full = a.shape.family == gmm::family::full;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x)) {
        const std::int64_t at = full ? packed_upper(j, j, d) : j;
        const double step = delta(j);
        variances[j] = with_floor(statistic(a, k, 1 + d + at) / n - step * step + a.rule.lambda[j], floor);
        if (full)
            m.column[j] = step;
    }
    __syncthreads();
    if (full) {
        for (std::int64_t e = threadIdx.x; e < std::int64_t(d) * d; e += blockDim.x) {
            const int i = static_cast<int>(e / d), j = static_cast<int>(e % d);
            if (j < i)
                continue;
            // In the order of the packed statistics, into the lower triangle.
            m.matrix[j * m.ld + i] =
                i == j          ? variances[i]
                : diagonal_only ? 0.0
                                : statistic(a, k, 1 + d + packed_upper(i, j, d)) / n - m.column[i] * m.column[j];
        }
        __syncthreads();
    }
    return trace_of(variances, d, scratch);
}

/// Variances that the factor of a diagonal or spherical covariance consists of.
__device__ inline int variance_count(const gmm_shape& s) {
    return static_cast<int>(s.dimensions / geometry(s.family).repeats(s.dimensions));
}

template <class T>
__device__ bool factor_own(const update_arguments<T>& a, std::int64_t k, double trace, const matrix_memory& m,
                           double* scratch) {
    const int d = static_cast<int>(a.shape.dimensions);
    double* out = a.arrays.factors + k * geometry(a.shape.family).stride(d);
    if (a.shape.family == gmm::family::full)
        return finish_matrix(m, d, a.arrays.variances + k * d, trace, a.rule.lambda, out, a.arrays.log_determinants + k,
                             a.arrays.quadratics + k, scratch);
    const int count = variance_count(a.shape);
    return finish_variances(a.arrays.variances + k * d, count, count < d ? d : 1, trace, a.rule.lambda,
                            a.rule.mean_lambda, out, a.arrays.log_determinants + k, a.arrays.quadratics + k, scratch);
}

__device__ inline void note_widest(const double* variances, int d, double* widest, std::int64_t* axis) {
    int best = 0;
    for (int j = 1; j < d; ++j)
        if (variances[j] > variances[best])
            best = j;
    *axis = best;
    *widest = ::fmax(variances[best], 0.0);
}

} // namespace elbo::kernels::cuda
