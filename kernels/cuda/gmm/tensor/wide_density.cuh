// Log-densities of rows of more than 128 dimensions, panel by panel of 128 columns: ‖U_kᵀx − b_k‖² = Σ over panels,
// each with the terms up to its diagonal.
//
// Error: with e_j = (2⁻²¹ + 2⁻²⁰ + 2⁻²⁴ ⌈d / 64⌉) (Σ_i |U_ij| |x_i| + |b_j|),
//   |q̂ − q| <= Σ_j (2 |y_j| e_j + e_j²) + d 2⁻²⁴ q,  y = Uᵀx − b.
// 2⁻²¹: as in density.cuh. Four steps of h h a stage truncate, 2⁻²² each; then a rounding for each stage.
//
// Two components at a time share the rows that they read. Reads from L2 for each 128 rows, component and stage of 64
// terms of a panel 32 KB (48 for a component alone); writes as density.cuh. Tensor work: wide_shape::flop a pair.
// Predicted for 1e5 x 784 x 10 on an H200: 2.8 ms of tensor work at 800 TFLOP/s, 2.6 ms of 14.1 GB from L2 at 5.5 TB/s.
#pragma once

#include "kernels/cuda/gmm/tensor/density.cuh"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "kernels/cuda/gmm/tensor/wide_products.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

struct wide_density_arguments {
    wide_shape shape;
    int rows, components;
    int ranges, range_components;
    const unsigned char* factors; ///< [K] operands of wide_shape
    const float* offsets;         ///< [K]
    wide_view memory;
    float* densities; ///< [K x slab rows]
    std::int64_t slab_rows;
};

/// An item is the rows of a cluster and a range of the components.
struct wide_item {
    int range, begin, end; ///< components
    std::int64_t tile;     ///< of 128 rows

    __device__ __forceinline__ wide_item(const wide_density_arguments& p, int item) {
        range = item % p.ranges;
        begin = range * p.range_components;
        end = min(begin + p.range_components, p.components);
        tile = item / p.ranges * wide_cluster + static_cast<int>(cluster_rank());
    }
};

/// Sums of squares of rows quad and quad + 8 under components k and, where there are two, k + 1 over the columns of
/// this lane.
__device__ __forceinline__ void wide_squares(const wide_density_arguments& p, wide_ring<wide_cluster>& ring, int group,
                                             int k, bool two, const float (&scales)[2], float (&q)[wide_width][2]) {
    const int halves = static_cast<int>(p.shape.halves), panels = static_cast<int>(p.shape.panels);
#pragma unroll 1
    for (int panel = 0; panel < panels; ++panel) {
        float y[wide_width][64] = {};
        const bool last_half = 2 * panel + 1 < halves; // the panel has columns in its second half
        const int stages = static_cast<int>(p.shape.stages(panel));
#pragma unroll 1
        for (int s = 0; s < stages; ++s) {
            const wide_columns columns = !last_half           ? wide_columns::first
                                         : s == 2 * panel + 1 ? wide_columns::second
                                                              : wide_columns::both;
            const int rows = ring.take();
#pragma unroll
            for (int c = 0; c < wide_width; ++c)
                if (c == 0 || two) {
                    const int factor = ring.take();
                    multiply_stage(y[c], ring.address(rows) + group * wide_half * 32, ring.address(factor), columns);
                    ring.release(factor);
                }
            ring.release(rows);
        }
#pragma unroll
        for (int c = 0; c < wide_width; ++c) {
            const float* const shifts = p.memory.shifts +
                                        (std::int64_t(two ? k + c : k) * panels + panel) * wide_block +
                                        2 * (static_cast<int>(threadIdx.x) % 4);
#pragma unroll
            for (int i = 0; i < 16; ++i) {
                const float2 b = __ldg(reinterpret_cast<const float2*>(shifts + 8 * i));
#pragma unroll
                for (int row = 0; row < 2; ++row) {
                    const float y0 = y[c][4 * i + 2 * row] * scales[row] - b.x;
                    const float y1 = y[c][4 * i + 2 * row + 1] * scales[row] - b.y;
                    q[c][row] += y0 * y0;
                    q[c][row] += y1 * y1;
                }
            }
        }
    }
}

/// The thread that copies: for each two components of an item, panel and stage the rows, then the factors.
__device__ __forceinline__ void produce_wide(const wide_density_arguments& p, wide_ring<wide_cluster>& ring,
                                             const wide_item& item) {
    const int panels = static_cast<int>(p.shape.panels);
    const std::int64_t factor_bytes = p.shape.factor_stages() * operand_bytes;
    const unsigned char* const rows = p.memory.rows + item.tile * p.shape.halves * operand_bytes;
    for (int k = item.begin; k < item.end; k += wide_width) {
        const unsigned char* factor = p.factors + k * factor_bytes;
        for (int panel = 0; panel < panels; ++panel)
            for (int s = 0; s < static_cast<int>(p.shape.stages(panel)); ++s, factor += operand_bytes) {
                ring.fill(rows + std::int64_t(s) * operand_bytes, false);
                ring.fill(factor, true);
                if (k + 1 < item.end)
                    ring.fill(factor + factor_bytes, true);
            }
    }
}

__global__ void __cluster_dims__(wide_cluster, 1, 1) __launch_bounds__(wide_threads, 1)
    wide_density(const wide_density_arguments p) {
    extern __shared__ __align__(1024) unsigned char memory[];
    // through a shuffle: the compiler then knows that it is the same for the warp (descriptors in uniform registers)
    const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32, 0);
    const int lane = static_cast<int>(threadIdx.x) % 32, quad = lane / 4, t = lane % 4;
    wide_ring<wide_cluster> ring(memory, warp < 8);
    const int items = (p.rows + wide_cluster * wide_block - 1) / (wide_cluster * wide_block) * p.ranges;
    const int first_item = static_cast<int>(blockIdx.x) / wide_cluster;
    const int item_step = static_cast<int>(gridDim.x) / wide_cluster;
    if (warp >= 8) {
        registers_decrease<40>();
        if (threadIdx.x == 256)
            for (int i = first_item; i < items; i += item_step)
                produce_wide(p, ring, wide_item(p, i));
        __syncwarp();
    } else {
        registers_increase<232>();
        for (int i = first_item; i < items; i += item_step) {
            const wide_item item(p, i);
            const std::int64_t warp_row = item.tile * wide_block + 16 * warp; // exists in memory
            const float scales[2] = {p.memory.row_scales[warp_row + quad], p.memory.row_scales[warp_row + quad + 8]};
            const int half = t % 2; // lanes of even t keep row quad, the others quad + 8
            const std::int64_t row = warp_row + quad + 8 * half;
            for (int k = item.begin; k < item.end; k += wide_width) {
                const bool two = k + 1 < item.end;
                float q[wide_width][2] = {};
                wide_squares(p, ring, warp / 4, k, two, scales, q);
#pragma unroll
                for (int c = 0; c < wide_width; ++c) {
#pragma unroll
                    for (int i = 0; i < 2; ++i) {
                        q[c][i] += __shfl_xor_sync(0xffffffffu, q[c][i], 1);
                        q[c][i] += __shfl_xor_sync(0xffffffffu, q[c][i], 2);
                    }
                    if (c > 0 && !two)
                        continue;
                    if (t < 2 && row < p.rows)
                        p.densities[(k + c) * p.slab_rows + row] = log_density(
                            half ? q[c][1] : q[c][0], make_float2(p.offsets[k + c], p.memory.factor_powers[k + c].y));
                }
            }
        }
    }
    cluster_sync(); // no block leaves while the other copies to it or arrives on its barriers
}

} // namespace elbo::kernels::cuda
