// Results of inference from the log-densities of a slab: log p, responsibilities, assignments, log-joints. Reads 4 K
// bytes a row, twice, mostly from L2. Predicted for 1e6 x 256 on an H200 with what writes them, not measured: 12 bytes
// a pair at 5.5 TB/s, 0.6 ms of 5.0 to 7.4 at d = 64 (bench/mixture/prediction.hpp).
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/tensor/row_rule.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

struct posterior_arguments {
    rule_arguments rule;
    const double* reference;
    inference_results to;
};

inline constexpr int posterior_tile = 32; ///< components that are turned around at a time

/// A matrix of value(lp) for all components, by the whole block: through shared memory, so that neighbouring lanes read
/// neighbouring rows and write neighbouring components.
template <class Value>
__device__ void write_row_matrix(const rule_arguments& p, const float* lp,
                                 double (&tile)[rule_rows][posterior_tile + 1], const matrix_view<double>& to,
                                 Value value) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int first_row = static_cast<int>(blockIdx.x) * rule_rows;
    for (int first = 0; first < p.components; first += posterior_tile) {
        __syncthreads(); // the last tile has been read
        for (int k = warp; k < posterior_tile && first + k < p.components; k += rule_warps)
            tile[lane][k] = value(lp[(first + k) * p.slab_rows]);
        __syncthreads();
        for (int i = warp; i < rule_rows && first_row + i < p.rows; i += rule_warps)
            if (first + lane < p.components)
                to.data[(first_row + i) * to.stride + first + lane] = tile[i][lane];
    }
}

/// A block 32 rows. Reads 4 K bytes a row, twice more from L2 or L1, and once more for each matrix; writes 8 K bytes of
/// each matrix, 8 of log p, 4 of the assignment.
__global__ void __launch_bounds__(rule_threads) find_posteriors(const posterior_arguments a) {
    __shared__ row_scratch<1> own;
    __shared__ double tile[rule_rows][posterior_tile + 1];
    const rule_arguments& p = a.rule;
    const int row = static_cast<int>(blockIdx.x) * rule_rows + static_cast<int>(threadIdx.x) % 32;
    const float* const lp = p.densities + min(row, p.rows - 1);
    const double reference = *a.reference;
    const row_sums<1> r = sum_active(p, lp, own, [](float(&chain)[1], int, float, float e) { chain[0] += e; });
    const float sum = static_cast<float>(r.sums[0]);
    if (threadIdx.x < 32 && row < p.rows) {
        const double lse = static_cast<double>(r.largest) + static_cast<double>(log2_of(sum));
        if (a.to.log_density.data)
            a.to.log_density.data[row * a.to.log_density.stride] = lse * ln_2 + reference - a.to.shift;
        if (a.to.assignment.data)
            a.to.assignment.data[row * a.to.assignment.stride] = r.at;
    }
    const float inverse = 1.0f / sum;
    if (a.to.responsibilities.data)
        write_row_matrix(p, lp, tile, a.to.responsibilities, [&](float v) {
            const float below = v - r.largest;
            return static_cast<double>(below >= p.active ? exp2_of(below) * inverse : 0.0f);
        });
    if (a.to.log_joint.data) // rounded as on the host: without fma
        write_row_matrix(p, lp, tile, a.to.log_joint, [&](float v) {
            return __dadd_rn(__dadd_rn(__dmul_rn(static_cast<double>(v), ln_2), reference), -a.to.shift);
        });
}

} // namespace elbo::kernels::cuda
