// Homes of rows, and the rows of each slab in the order of their homes, so that the tiles of 256 rows that the
// log-densities are computed for have few. Homes are guesses: right or wrong, they change what a slab costs, no bit.
#pragma once

#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int order_threads = 1024;
inline constexpr int fill_threads = 512;

/// What the kernels of the screen read of an E-step over some rows; slabs and tiles are counted from its first row.
struct screened_rows {
    std::int64_t rows, slab_rows;
    int components, panels;

    __device__ __forceinline__ int slab_of_tile(int tile) const {
        return static_cast<int>(tile / (slab_rows / screen_rows));
    }
    __device__ __forceinline__ int rows_of(int slab) const {
        return static_cast<int>(min(slab_rows, rows - slab * slab_rows));
    }
};

/// Whether a slab takes all pairs: it is not screened, or the screen left more than half of its panels.
__device__ __forceinline__ bool takes_all(const slab_screen& slab, int rows, int panels) {
    const int tiles = (rows + screen_rows - 1) / screen_rows;
    return !slab.screened || 2 * std::int64_t(slab.visited) > std::int64_t(tiles) * panels;
}

/// Whether a slab rests in this E-step, where the screen has left most of its panels lately: after 4 E-steps, then 8
/// ... 64, it is tried again.
__device__ inline bool rests(slab_screen& slab, int rows, int panels) {
    if (slab.left == 0 && slab.screened) {
        const bool all = takes_all(slab, rows, panels);
        slab.pause = all ? min(max(2 * slab.pause, 4), 64) : 0;
        slab.left = slab.pause;
    }
    if (slab.left == 0)
        return false;
    --slab.left;
    return true;
}

/// A block a slab: decides whether it is screened, which needs a home for each row, and counts its rows into the order
/// of their homes; among those of one home the order does not matter. Reads 4 bytes a row, writes 2. Predicted for 1e6
/// rows on an H200: 20 us.
__global__ void __launch_bounds__(order_threads) order_rows(const screened_rows all, const home_view h) {
    __shared__ int starts[screen_components];
    __shared__ bool resting;
    const int thread = static_cast<int>(threadIdx.x), slab = static_cast<int>(blockIdx.x);
    const int rows = all.rows_of(slab);
    const std::int64_t first = slab * all.slab_rows;
    if (thread == 0)
        resting = rests(h.slabs[slab], rows, all.panels);
    for (int k = thread; k < all.components; k += order_threads)
        starts[k] = 0;
    __syncthreads();
    bool unknown = resting;
    for (int i = thread; i < rows && !unknown; i += order_threads) {
        const int home = h.homes[first + i];
        if (home < all.components)
            atomicAdd(&starts[home], 1);
        unknown = home >= all.components;
    }
    __syncwarp();
    unknown = __syncthreads_or(unknown) != 0;
    if (thread == 0)
        h.slabs[slab].screened = !unknown, h.slabs[slab].visited = 0;
    if (unknown)
        return;
    if (thread < 32) { // counts to starts, consecutive ones a lane
        const int share = (all.components + 31) / 32, begin = min(thread * share, all.components);
        const int end = min(begin + share, all.components);
        int sum = 0;
        for (int k = begin; k < end; ++k)
            sum += starts[k];
        int before = sum;
        for (int distance = 1; distance < 32; distance *= 2) {
            const int other = __shfl_up_sync(0xffffffffu, before, distance);
            before += thread >= distance ? other : 0;
        }
        before -= sum;
        for (int k = begin; k < end; ++k) {
            const int count = starts[k];
            starts[k] = before;
            before += count;
        }
    }
    __syncthreads();
    for (int i = thread; i < rows; i += order_threads)
        h.order[first + atomicAdd(&starts[h.homes[first + i]], 1)] = static_cast<std::uint16_t>(i);
}

/// What log-densities of pairs that are not visited are: below those of any active pair, and finite.
inline constexpr float far_density = -1.7e38f;

/// Log-densities of a slab that does not take all pairs, before those of its lists. Writes 4 K bytes a row, into L2.
__global__ void __launch_bounds__(fill_threads)
    fill_far(const slab_screen* slab, const screened_rows part, float* densities) {
    const int rows = static_cast<int>(part.rows);
    if (takes_all(*slab, rows, part.panels))
        return;
    const int quads = (rows + 3) / 4; // the memory of a slab has whole ones
    const int step = static_cast<int>(gridDim.x) * fill_threads;
    for (int i = static_cast<int>(blockIdx.x * fill_threads + threadIdx.x); i < part.components * quads; i += step)
        reinterpret_cast<float4*>(densities + i / quads * part.slab_rows)[i % quads] =
            make_float4(far_density, far_density, far_density, far_density);
}

} // namespace elbo::kernels::cuda
