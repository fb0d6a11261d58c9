// Cholesky factor of a covariance and its inverse, float64, one matrix a team (team.cuh), in shared memory: matrices up
// to factor_in_shared, and the blocks on the diagonal of larger ones (cholesky_blocked.cuh).
//
// The matrix [d x d], row i at i * ld. Work in place: the lower triangle holds the covariance, then L; the strict upper
// triangle takes U = L^-T; the diagonal becomes U_ii = 1 / L_ii. Both halves are rank-1 updates of what remains: d
// steps with two barriers each, d³/3 multiply-adds in all.
#pragma once

#include "kernels/cuda/gmm/m_step/team.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// C = L Lᵀ. False (in all threads) if a pivot is at most `smallest_pivot` or NaN; the matrix is then lost.
/// `column` is d doubles of shared memory.
template <class Team>
__device__ bool cholesky(const Team& team, double* c, std::int64_t ld, int d, double smallest_pivot, double* column) {
    const int threads = team.size();
    const int lane = team.rank() % 32;
    const int warp = team.rank() / 32;
    for (int j = 0; j < d; ++j) {
        team.sync();
        const double pivot = c[j * ld + j];
        if (!(pivot > smallest_pivot))
            return false;
        const double root = ::sqrt(pivot);
        for (int i = j + 1 + team.rank(); i < d; i += threads)
            c[i * ld + j] = column[i] = c[i * ld + j] / root;
        team.sync(); // all have read the pivot, the column is complete
        if (team.rank() == 0)
            c[j * ld + j] = root;
        for (int i = j + 1 + warp; i < d; i += threads / 32)
            for (int t = j + 1 + lane; t <= i; t += 32)
                c[i * ld + t] -= column[i] * column[t];
    }
    team.sync();
    return true;
}

/// U = L^-T into the upper triangle, diagonal included; the lower triangle keeps L.
/// Row j of U: U_jj = 1 / L_jj, U_ji = −(Σ_{j ≤ t < i} L_it U_jt) / L_ii. Step t completes column t and adds its
/// products to the columns behind it, which hold the sums.
template <class Team>
__device__ void invert_transposed(const Team& team, double* c, std::int64_t ld, int d, double* column) {
    const int threads = team.size();
    const int lane = team.rank() % 32;
    const int warp = team.rank() / 32;
    for (int j = warp; j < d; j += threads / 32)
        for (int i = j + 1 + lane; i < d; i += 32)
            c[j * ld + i] = 0;
    for (int t = 0; t < d; ++t) {
        team.sync();
        const double inverse = 1 / c[t * ld + t];
        for (int i = team.rank(); i < d; i += threads) {
            if (i < t)
                c[i * ld + t] *= -inverse; // U_it
            else if (i > t)
                column[i] = c[i * ld + t]; // L_it
        }
        team.sync();
        if (team.rank() == 0)
            c[t * ld + t] = inverse;
        for (int j = warp; j <= t; j += threads / 32) {
            const double u = j == t ? inverse : c[j * ld + t];
            for (int i = t + 1 + lane; i < d; i += 32)
                c[j * ld + i] += column[i] * u;
        }
    }
    team.sync();
}

} // namespace elbo::kernels::cuda
