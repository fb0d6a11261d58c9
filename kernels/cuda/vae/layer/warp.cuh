// Kernels that give a warp to each row.
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"

namespace elbo::kernels::cuda {

inline constexpr int row_threads = 128;

inline launch_shape warps(std::int64_t count) {
    return {blocks_for(count, row_threads / 32), row_threads};
}

/// Number of the warp in the grid.
__device__ inline std::int64_t warp_index() {
    return (blockIdx.x * std::int64_t(row_threads) + threadIdx.x) / 32;
}

/// Sum over neighbouring lanes of a warp, a power of two of them, in a fixed order; each of them gets it.
template <int lanes>
__device__ double lane_sum(double value) {
#pragma unroll
    for (int distance = lanes / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}
__device__ inline double warp_sum(double value) {
    return lane_sum<32>(value);
}

} // namespace elbo::kernels::cuda
