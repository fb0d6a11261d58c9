// A grid of which all blocks run at the same time (launch_shape::together): its barrier, and its threads and blocks in
// turn. What other blocks store while a kernel runs must not be read through pointers that are const and __restrict__.
#pragma once

#include <cooperative_groups.h>
#include <cstdint>

namespace elbo::kernels::cuda {

/// What any thread of the grid stored before can be read by all of them after.
__device__ inline void grid_sync() {
    __syncwarp(); // the barrier takes whole warps
    cooperative_groups::this_grid().sync();
}

/// The items 0 ... count − 1 in turn over the threads of the grid.
template <class Work>
__device__ void for_grid_threads(std::int64_t count, const Work& work) {
    const std::int64_t threads = std::int64_t(gridDim.x) * blockDim.x;
    for (std::int64_t i = blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x; i < count; i += threads)
        work(i);
}

/// The same over its warps, all lanes of which have the item.
template <class Work>
__device__ void for_grid_warps(std::int64_t count, const Work& work) {
    const unsigned warps = blockDim.x / 32;
    for (std::int64_t i = std::int64_t(blockIdx.x) * warps + threadIdx.x / 32; i < count;
         i += std::int64_t(gridDim.x) * warps)
        work(i);
}

/// The same over its blocks.
template <class Work>
__device__ void for_grid_blocks(std::int64_t count, const Work& work) {
    for (std::int64_t i = blockIdx.x; i < count; i += gridDim.x)
        work(i);
}

} // namespace elbo::kernels::cuda
