// Covariances from statistics and their factors, one team a matrix: the parts of the M-step (m_step.cu).
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/m_step/cholesky_blocked.cuh"
#include "kernels/cuda/gmm/m_step/m_step.hpp"
#include "kernels/cuda/gmm/m_step/team.cuh"
#include "kernels/math/singular.hpp"

namespace elbo::kernels::cuda {

/// Where one matrix is factored: shared memory, or the place of the factor in device memory.
struct matrix_memory {
    double* matrix;
    std::int64_t ld;
    double* column; ///< [d]; for a matrix in device memory the whole of the block's shared memory; else unused
    bool in_shared;
};

/// Doubles of shared memory in which a team factors its matrix.
constexpr std::int64_t matrix_doubles(const gmm_shape& s, std::int64_t in_shared = factor_in_shared) {
    return geometry(s.family).matrix() ? factor_shared_bytes(s.dimensions, in_shared) / 8 : 0;
}

__device__ inline matrix_memory place_matrix(const gmm_shape& s, std::int64_t in_shared, double* shared,
                                             double* in_device) {
    const std::int64_t d = s.dimensions;
    if (!geometry(s.family).matrix())
        return {nullptr, 0, nullptr, false};
    if (!factors_in_shared(d, in_shared))
        return {in_device, d, shared, false};
    return {shared, factor_stride(d), shared + d * factor_stride(d), true};
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
template <class Team>
__device__ double trace_of(const Team& team, const double* variances, int count) {
    double part = 0;
    team.each(count, [&](int j) { part += counted_variance(variances[j]); });
    return team.sum_first(count, part);
}

/// L and U = L^-T in place; false (in all threads) at a pivot that is at most `smallest_pivot` or NaN.
template <class Team>
__device__ bool factor_and_invert(const Team& team, const matrix_memory& m, int d, double smallest_pivot) {
    if constexpr (Team::whole_block)
        if (!m.in_shared)
            return factor_blocked(team, m.matrix, m.ld, d, smallest_pivot, m.column);
    if (!cholesky(team, m.matrix, m.ld, d, smallest_pivot, m.column))
        return false;
    invert_transposed(team, m.matrix, m.ld, d, m.column);
    return true;
}

/// Factor of the matrix in m with these variances: false if singular. On success log det and quadratic term (tr(Λ (C −
/// λ)) = d − Σ λ_i U_ij²) and U, with zeros below the diagonal, in `out` [d x d].
template <class Team>
__device__ bool finish_matrix(const Team& team, const matrix_memory& m, int d, const double* variances, double trace,
                              const double* lambda, double* out, double* log_determinant, double* quadratic) {
    if (!factor_and_invert(team, m, d, singular_share * trace / d))
        return false;
    bool bad = false;
    double log_sum = 0, share = 0;
    team.each(d, [&](int i) {
        const double u = m.matrix[i * m.ld + i]; // a pivot is 1 / u²
        if (variances[i] > 1 && !(largest_singular_pivot(variances[i], 1) * u * u < 1))
            bad = true;
        log_sum += ::log(u);
    });
    if (team.any(bad))
        return false;
    using element = typename Team::element;
    for (element e = team.rank(); e < element(d) * d; e += team.size()) {
        const element i = e / d, j = e - i * d;
        const double u = j >= i ? m.matrix[i * m.ld + j] : 0;
        out[e] = u;
        share += lambda[i] * u * u;
    }
    log_sum = team.sum_first(d, log_sum);
    share = team.sum_first(element(d) * d, share);
    if (team.rank() == 0) {
        *log_determinant = log_sum;
        *quadratic = d - share;
    }
    return true;
}

/// The same for variances: 1/σ into out. A spherical covariance is one variance that counts `times` = d times.
template <class Team>
__device__ bool finish_variances(const Team& team, const double* variances, int count, double times, double trace,
                                 const double* lambda, double mean_lambda, double* out, double* log_determinant,
                                 double* quadratic) {
    bool bad = false;
    double log_sum = 0, ratio = 0;
    team.each(count, [&](int j) {
        const double v = variances[j];
        if (!(v > largest_singular_pivot(v, trace / count)))
            bad = true;
        log_sum -= 0.5 * times * ::log(v);
        ratio += times * (v - (times > 1 ? mean_lambda : lambda[j])) / v;
    });
    if (team.any(bad))
        return false;
    team.each(count, [&](int j) { out[j] = 1 / ::sqrt(variances[j]); });
    log_sum = team.sum_first(count, log_sum);
    ratio = team.sum_first(count, ratio);
    if (team.rank() == 0) {
        *log_determinant = log_sum;
        *quadratic = ratio;
    }
    return true;
}

/// Covariance of component k about its new mean into its places: matrix (lower triangle) and variances. The floor is
/// added to the diagonal; `diagonal_only` leaves out the rest. Returns the sum of the counted variances.
template <class Team, class T>
__device__ double own_covariance(const Team& team, const update_arguments<T>& a, std::int64_t k, double floor,
                                 bool diagonal_only, const matrix_memory& m) {
    const int d = static_cast<int>(a.shape.dimensions);
    const double n = a.arrays.sums_of_r[k]; // not counts[k], which are normalised
    double* variances = a.arrays.variances + k * d;
    const double* delta = a.arrays.steps + k * d;
    team.sync();
    if (a.shape.family == gmm::family::spherical) {
        double norm = 0;
        team.each(d, [&](int j) { norm += delta[j] * delta[j]; });
        norm = team.sum(norm);
        const double v = with_floor((statistic(a, k, 1 + d) / n - norm) / d + a.rule.mean_lambda, floor);
        team.each(d, [&](int j) { variances[j] = v; });
        team.sync();
        return v;
    }
    const bool full = a.shape.family == gmm::family::full;
    team.each(d, [&](int j) {
        const std::int64_t at = full ? packed_upper(j, j, d) : j;
        const double step = delta[j];
        variances[j] = with_floor(statistic(a, k, 1 + d + at) / n - step * step + a.rule.lambda[j], floor);
        if (full && !Team::whole_cluster)
            m.column[j] = step;
    });
    team.sync();
    const double* steps = Team::whole_cluster ? delta : m.column; // shared memory is that of one block
    if (full) {
        using element = typename Team::element;
        for (element e = team.rank(); e < element(d) * d; e += team.size()) {
            const int i = static_cast<int>(e / d), j = static_cast<int>(e - element(i) * d);
            if (j < i)
                continue;
            // In the order of the packed statistics, into the lower triangle.
            m.matrix[j * m.ld + i] = i == j ? variances[i]
                                     : diagonal_only
                                         ? 0.0
                                         : statistic(a, k, 1 + d + packed_upper(i, j, d)) / n - steps[i] * steps[j];
        }
        team.sync();
    }
    return trace_of(team, variances, d);
}

/// Variances that the factor of a diagonal or spherical covariance consists of.
__device__ inline int variance_count(const gmm_shape& s) {
    return static_cast<int>(s.dimensions / geometry(s.family).repeats(s.dimensions));
}

template <class Team, class T>
__device__ bool factor_own(const Team& team, const update_arguments<T>& a, std::int64_t k, double trace,
                           const matrix_memory& m) {
    const int d = static_cast<int>(a.shape.dimensions);
    double* out = a.arrays.factors + k * geometry(a.shape.family).stride(d);
    if (a.shape.family == gmm::family::full)
        return finish_matrix(team, m, d, a.arrays.variances + k * d, trace, a.rule.lambda, out,
                             a.arrays.log_determinants + k, a.arrays.quadratics + k);
    const int count = variance_count(a.shape);
    return finish_variances(team, a.arrays.variances + k * d, count, count < d ? d : 1, trace, a.rule.lambda,
                            a.rule.mean_lambda, out, a.arrays.log_determinants + k, a.arrays.quadratics + k);
}

/// Covariance of component k and its factor; false if singular. With `rescue` such a covariance gets a floor, and where
/// rounding has left a matrix that is not even close to positive, the diagonal alone is taken.
template <class Team, class T>
__device__ bool factor_component(const Team& team, const update_arguments<T>& a, std::int64_t k, bool rescue,
                                 double* shared) {
    const std::int64_t d = a.shape.dimensions;
    const matrix_memory m = place_matrix(a.shape, a.factor_in_shared, shared, a.arrays.factors + k * d * d);
    double floor = 0;
#pragma unroll 1
    for (int attempt = 0; attempt < (rescue ? 3 : 1); ++attempt) {
        const double trace = own_covariance(team, a, k, floor, attempt == 2, m);
        if (factor_own(team, a, k, trace, m))
            return true;
        if (attempt == 0)
            floor = floor_of_diagonal(trace / variance_count(a.shape));
    }
    return false;
}

} // namespace elbo::kernels::cuda
