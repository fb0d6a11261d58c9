// Row rule for inference from the log-densities of a slab: log p, responsibilities, assignments, log-joints. Reads 4 K
// bytes a row, twice, mostly from L2. Predicted for 1e6 x 256 on an H200 with what writes them, not measured: 12 bytes
// a pair at 5.5 TB/s, 0.6 ms of 5.0 to 7.4 at d = 64 (bench/mixture/prediction.hpp).
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int posterior_rows = 32; ///< of a block, a lane each
inline constexpr int posterior_warps = 8; ///< each with every eighth component
inline constexpr int posterior_threads = 32 * posterior_warps;

struct posterior_arguments {
    int rows, components;
    float active;           ///< −Θ in units of ln 2
    const float* densities; ///< [K x slab rows]
    std::int64_t slab_rows;
    const double* reference;
    inference_results to;
};

/// Largest log-density of a row and where it is first, then Σ 2^(lp − largest) over the active set.
struct row_posterior {
    float largest;
    int at;
    double sum;
};

struct posterior_scratch {
    float largest[posterior_warps][posterior_rows];
    int at[posterior_warps][posterior_rows];
    double sum[posterior_warps][posterior_rows];
    double tile[posterior_rows][33]; ///< 32 components
};

/// By the whole block, for the row of each lane; `lp` is its first component.
__device__ inline row_posterior posterior_of(const posterior_arguments& p, const float* lp, posterior_scratch& own) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    row_posterior r{-INFINITY, p.components, 0};
    for (int k = warp; k < p.components; k += posterior_warps) {
        const float v = lp[k * p.slab_rows];
        if (v > r.largest || r.at == p.components)
            r.largest = v, r.at = k;
    }
    own.largest[warp][lane] = r.largest;
    own.at[warp][lane] = r.at;
    __syncthreads();
    for (int i = 0; i < posterior_warps; ++i) {
        const float other = own.largest[i][lane];
        const int where = own.at[i][lane];
        if (other > r.largest || (other == r.largest && where < r.at))
            r.largest = other, r.at = where;
    }
    double sum = 0;
    for (int begin = warp; begin < p.components; begin += chain_rows * posterior_warps) {
        float chain = 0;
        const int end = min(p.components, begin + static_cast<int>(chain_rows) * posterior_warps);
        for (int k = begin; k < end; k += posterior_warps) {
            const float below = lp[k * p.slab_rows] - r.largest;
            chain += below >= p.active ? exp2_of(below) : 0.0f;
        }
        sum += static_cast<double>(chain);
    }
    own.sum[warp][lane] = sum;
    __syncthreads();
    for (int i = 0; i < posterior_warps; ++i)
        r.sum += own.sum[i][lane];
    return r;
}

/// A matrix of value(lp) for all components, by the whole block: through shared memory, so that neighbouring lanes read
/// neighbouring rows and write neighbouring components.
template <class Value>
__device__ void write_row_matrix(const posterior_arguments& p, const float* lp, posterior_scratch& own,
                                 const matrix_view<double>& to, Value value) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int first_row = static_cast<int>(blockIdx.x) * posterior_rows;
    for (int first = 0; first < p.components; first += 32) {
        __syncthreads(); // the last tile has been read
        for (int k = warp; k < 32 && first + k < p.components; k += posterior_warps)
            own.tile[lane][k] = value(lp[(first + k) * p.slab_rows]);
        __syncthreads();
        for (int i = warp; i < posterior_rows && first_row + i < p.rows; i += posterior_warps)
            if (first + lane < p.components)
                to.data[(first_row + i) * to.stride + first + lane] = own.tile[i][lane];
    }
}

/// A block 32 rows. Reads 4 K bytes a row, twice more from L2 or L1, and once more for each matrix; writes 8 K bytes of
/// each matrix, 8 of log p, 4 of the assignment.
__global__ void __launch_bounds__(posterior_threads) find_posteriors(const posterior_arguments p) {
    __shared__ posterior_scratch own;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int row = static_cast<int>(blockIdx.x) * posterior_rows + lane;
    const float* const lp = p.densities + min(row, p.rows - 1);
    const double reference = *p.reference;
    const row_posterior r = posterior_of(p, lp, own);
    if (threadIdx.x < 32 && row < p.rows) {
        const double lse = static_cast<double>(r.largest) + static_cast<double>(log2_of(static_cast<float>(r.sum)));
        if (p.to.log_density.data)
            p.to.log_density.data[row * p.to.log_density.stride] = lse * ln_2 + reference - p.to.shift;
        if (p.to.assignment.data)
            p.to.assignment.data[row * p.to.assignment.stride] = r.at;
    }
    const float inverse = 1.0f / static_cast<float>(r.sum);
    if (p.to.responsibilities.data)
        write_row_matrix(p, lp, own, p.to.responsibilities, [&](float v) {
            const float below = v - r.largest;
            return static_cast<double>(below >= p.active ? exp2_of(below) * inverse : 0.0f);
        });
    if (p.to.log_joint.data) // rounded as on the host: without fma
        write_row_matrix(p, lp, own, p.to.log_joint, [&](float v) {
            return __dadd_rn(__dadd_rn(__dmul_rn(static_cast<double>(v), ln_2), reference), -p.to.shift);
        });
}

} // namespace elbo::kernels::cuda
