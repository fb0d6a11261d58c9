// Log-densities of rows under all components as products into the slab: lp = offset − ½ log2(e) q,
//
//   spherical  q = u_k² (‖x‖² − 2 x·μ_k + ‖μ_k‖²)
//   tied       q = ‖y‖² − 2 y·c_k + ‖c_k‖², y = Uᵀx, c_k = Uᵀμ_k; tied_diagonal with x·(u² μ_k) for y·c_k
//   diagonal   q = ‖c_k‖² − 2 (x·(u_k² μ_k) − x²·u_k² / 2)
//
// and of each row and range of components m = max lp, Σ 2^(lp − m) and Σ 2^(lp − m) (m − lp).
//
// A block has the operands of 128 rows in shared memory, those of the next 128 on their way, and goes through the
// components 128 at a time, whose operands two blocks share. The products of a stage of 64 terms start from 0, the
// small ones first (h l, l h, then h h), and are added in registers, rounded to nearest. While one warpgroup adds and
// finishes, the other multiplies.
//
// Error: with X = ‖U_kᵀx‖, m = ‖U_kᵀμ_k‖ the dot form has 4 · 2⁻²⁴ ((X + m)² + d + q) (e_step/fused_dots.cuh); pieces
// and truncated steps add 2 (2⁻²¹ + 2⁻²⁰ + 2⁻²³) Σ_i u² |x_i| |μ_i| to q, half of that to lp: 2⁻²² and l l for the
// pieces, four steps of h h that truncate at 2⁻²² each. Σ u² |x_i| |μ_i| <= X m. Diagonal components have Σ u² x_i² / 2
// = X² / 2 in that sum, too.
//
// Reads 4 d bytes a row and, from L2, 128 d bytes a component for each 128 rows, half of that where two blocks share
// it; writes 4 rows · K and 16 rows · ranges. Tensor work 6 d a pair, d filled up to 64 or 128. Predicted for 1e6 x 128
// x 1024 on an H200: 1.0 ms of tensor work, 1.1 of bytes from L2, 1.0 to memory; 1.1 to 1.5 ms.
#pragma once

#include "kernels/cuda/gmm/products/operands.cuh"
#include "kernels/cuda/gmm/tensor/wide_products.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

struct product_density_arguments {
    int rows, components, stages;
    int blocks, ranges;
    int split, split_ranges; ///< ranges that an item takes, of so many items of a tile
    product_view memory;
    std::int64_t slab_rows;
};

/// m, Σ and spread of a part of a row. Terms far below the largest are 0; 256 stands for how far they lie below it, so
/// that no infinity meets a 0.
struct running_sums {
    float most = -3e38f, sum = 0, spread = 0; // finite: (−infinity) − (−infinity) would be NaN

    __device__ __forceinline__ void rescale(float m) {
        const float factor = exp2_of(most - m);
        spread = factor * (spread + sum * fminf(m - most, 256.0f));
        sum *= factor;
        most = m;
    }
    __device__ __forceinline__ void add(float lp) {
        const float e = exp2_of(lp - most);
        sum += e;
        spread += e * fminf(most - lp, 256.0f);
    }
    /// With the part that the lane across holds.
    __device__ __forceinline__ void merge_across(int lane_mask) {
        running_sums other;
        other.most = __shfl_xor_sync(0xffffffffu, most, lane_mask);
        other.sum = __shfl_xor_sync(0xffffffffu, sum, lane_mask);
        other.spread = __shfl_xor_sync(0xffffffffu, spread, lane_mask);
        const float m = fmaxf(most, other.most);
        rescale(m);
        other.rescale(m);
        sum += other.sum;
        spread += other.spread;
    }
};

/// Products [64 rows x 128 components] over a stage, each given to add(i, product); `rows`: the first of the 64 lines
/// of theirs.
template <class Add>
__device__ __forceinline__ void multiply_terms(unsigned rows, unsigned columns, Add add) {
    constexpr unsigned long long low = product_piece_bytes / 16, step = 2 * term_group_bytes / 16;
    const unsigned long long a = matrix_descriptor(rows, term_group_bytes, line_group_bytes);
    const unsigned long long b = matrix_descriptor(columns, term_group_bytes, line_group_bytes);
    float acc[64];
    pin(acc);
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < wide_steps; ++s) {
        wgmma_f16(acc, a + s * step, b + s * step + low, s > 0);
        wgmma_f16(acc, a + s * step + low, b + s * step);
    }
#pragma unroll
    for (int s = 0; s < wide_steps; ++s)
        wgmma_f16(acc, a + s * step, b + s * step);
    wgmma_commit();
    wgmma_wait<0>();
    pin(acc);
#pragma unroll
    for (int i = 0; i < 64; ++i)
        add(i, acc[i]);
}

/// An item is the rows of a cluster and some ranges of the components.
struct product_item {
    int first_range, last_range;
    std::int64_t tile; ///< of 128 rows

    __device__ __forceinline__ product_item(const product_density_arguments& p, int item) {
        first_range = item % p.split * p.split_ranges;
        last_range = min(first_range + p.split_ranges, p.ranges);
        tile = item / p.split * product_cluster + static_cast<int>(cluster_rank());
    }
    /// Blocks of components.
    __device__ __forceinline__ int first_block() const { return first_range * range_blocks; }
    __device__ __forceinline__ int last_block(const product_density_arguments& p) const {
        return min(last_range * range_blocks, p.blocks);
    }
};

/// Operands of the rows of two items, in front of the ring, and their barriers, behind it.
struct row_buffers {
    unsigned base, full, empty;
    int stages, turn = 0;

    __device__ __forceinline__ row_buffers(const unsigned char* memory, int stages_of_rows)
        : base(shared_address(memory)), full(base + product_operands * (operand_bytes + 16)), empty(full + 16),
          stages(stages_of_rows) {
        if (threadIdx.x == 0) {
            for (int i = 0; i < 2; ++i) {
                barrier_init(full + 8 * i, 1);
                barrier_init(empty + 8 * i, 8);
            }
            barrier_init_done();
        }
    }
    __device__ __forceinline__ int ring_slots() const { return product_operands - 2 * stages; }
    __device__ __forceinline__ unsigned phase() const { return turn / 2 % 2; }
    __device__ __forceinline__ unsigned address() const { return base + turn % 2 * stages * operand_bytes; }
    /// By the thread that copies.
    __device__ __forceinline__ void fill(const unsigned char* from) {
        const unsigned bytes = stages * operand_bytes;
        barrier_wait(empty + 8 * (turn % 2), phase() ^ 1);
        barrier_expect(full + 8 * (turn % 2), bytes);
        copy_bulk(address(), from, bytes, full + 8 * (turn % 2));
        ++turn;
    }
    __device__ __forceinline__ void wait() const { barrier_wait(full + 8 * (turn % 2), phase()); }
    __device__ __forceinline__ void release() {
        __syncwarp();
        if (threadIdx.x % 32 == 0)
            barrier_arrive_remote(empty + 8 * (turn % 2), cluster_rank());
        ++turn;
    }
};

/// The rows of a lane: `row` and row + 2 of the slab, their scales and norms.
struct lane_rows {
    std::int64_t row, quad_row; ///< quad_row: the first of four rows that this lane stores
    float scale[2], norm[2];

    __device__ __forceinline__ lane_rows(const product_view& memory, std::int64_t warp_row, int quad) {
        quad_row = warp_row + quad / 2 * 4;
        row = warp_row + row_of_line(quad);
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const float4 own = memory.row_scales[row + 2 * h]; // exists in memory
            scale[h] = own.x, norm[h] = own.y;
        }
    }
};

/// lp of 128 components in the place of the products. A row so far that squares lose their meaning is very far away
/// from all of them.
template <bool Squares>
__device__ __forceinline__ void finish_densities(const float4* columns, const lane_rows& rows, float (&y)[64]) {
#pragma unroll
    for (int i = 0; i < 16; ++i)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
            const float4 column = __ldg(columns + 8 * i + e);
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                float& v = y[4 * i + 2 * h + e];
                const float dot = Squares ? v : v * (rows.scale[h] * column.w);
                const float q = rows.norm[h] + column.x - 2 * dot;
                v = log_density(rows.norm[h] > 0x1p100f ? INFINITY : fmaxf(q, 0.0f),
                                make_float2(column.y, Squares ? 1.0f : column.z));
            }
        }
}

/// Adds lp of 128 components to the sums of both rows.
__device__ __forceinline__ void add_densities(const float (&lp)[64], running_sums (&sums)[2]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        float most = sums[h].most;
#pragma unroll
        for (int i = 0; i < 32; ++i)
            most = fmaxf(most, lp[i / 2 * 4 + 2 * h + i % 2]);
        sums[h].rescale(most);
#pragma unroll
        for (int i = 0; i < 32; ++i)
            sums[h].add(lp[i / 2 * 4 + 2 * h + i % 2]);
    }
}

/// Neighbouring quads of lanes have two of four rows each, of two components: each stores four rows of one.
__device__ __forceinline__ void store_densities(const product_density_arguments& p, const lane_rows& rows, int column,
                                                bool odd, const float (&lp)[64]) {
#pragma unroll
    for (int i = 0; i < 16; ++i) {
        float own[2], other[2];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            own[h] = odd ? lp[4 * i + 2 * h + 1] : lp[4 * i + 2 * h];
            other[h] = __shfl_xor_sync(0xffffffffu, odd ? lp[4 * i + 2 * h] : lp[4 * i + 2 * h + 1], 4);
        }
        const int k = column + 8 * i + (odd ? 1 : 0);
        if (k < p.components)
            *reinterpret_cast<float4*>(p.memory.densities + k * p.slab_rows + rows.quad_row) =
                odd ? make_float4(other[0], own[0], other[1], own[1]) : make_float4(own[0], other[0], own[1], other[1]);
    }
}

/// y += the products of a stage; those of squares have powers of two of their own.
template <bool Squares>
__device__ __forceinline__ void add_stage(float (&y)[64], int stage, unsigned rows_at, unsigned columns_at,
                                          const lane_rows& rows, const float4* columns) {
    if constexpr (!Squares) {
        multiply_terms(rows_at, columns_at, [&](int i, float product) { y[i] += product; });
    } else {
        float scale[2];
#pragma unroll
        for (int h = 0; h < 2; ++h)
            scale[h] = stage == 0 ? rows.scale[h] : rows.scale[h] * rows.scale[h] * (1 / square_power);
        multiply_terms(rows_at, columns_at, [&](int i, float product) {
            const float4 column = __ldg(columns + i / 4 * 8 + i % 2);
            y[i] += product * (scale[i / 2 % 2] * (stage == 0 ? column.w : column.z));
        });
    }
}

/// The ranges of an item under the 64 rows of a warpgroup, whose operands are at `rows_at`.
template <bool Squares>
__device__ __forceinline__ void run_item(const product_density_arguments& p, const product_item& item,
                                         wide_ring<product_cluster>& ring, unsigned rows_at, const lane_rows& rows) {
    const int lane = static_cast<int>(threadIdx.x) % 32, t = lane % 4;
    const bool odd = lane / 4 % 2 != 0;
#pragma unroll 1
    for (int range = item.first_range; range < item.last_range; ++range) {
        running_sums sums[2];
        const int end = min((range + 1) * range_blocks, p.blocks);
#pragma unroll 1
        for (int block = range * range_blocks; block < end; ++block) {
            const int column = block * product_lines + 2 * t;
            float y[64] = {};
#pragma unroll 1
            for (int s = 0; s < p.stages; ++s) {
                const int slot = ring.take();
                add_stage<Squares>(y, s, rows_at + s * operand_bytes, ring.address(slot), rows,
                                   p.memory.columns + column);
                ring.release(slot);
            }
            finish_densities<Squares>(p.memory.columns + column, rows, y);
            store_densities(p, rows, column, odd, y);
            add_densities(y, sums);
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            sums[h].merge_across(1);
            sums[h].merge_across(2);
            if (t == 0)
                p.memory.parts[range * p.slab_rows + rows.row + 2 * h] =
                    make_float4(sums[h].most, sums[h].sum, sums[h].spread, 0);
        }
    }
}

/// Clusters of two blocks, whose rows lie one behind the other.
template <bool Squares>
__global__ void __cluster_dims__(product_cluster, 1, 1) __launch_bounds__(product_threads, 1)
    product_densities(const product_density_arguments p) {
    extern __shared__ __align__(1024) unsigned char memory[];
    if (!all_near(p.memory.near, p.components))
        return;
    // through a shuffle: the compiler then knows that it is the same for the warp (descriptors in uniform registers)
    const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32, 0);
    row_buffers own(memory, p.stages);
    wide_ring<product_cluster> ring(memory + 2 * p.stages * operand_bytes, warp < 8, own.ring_slots());
    const int items = (p.rows + product_cluster * product_lines - 1) / (product_cluster * product_lines) * p.split;
    const int first_item = static_cast<int>(blockIdx.x) / product_cluster;
    const int item_step = static_cast<int>(gridDim.x) / product_cluster;
    if (warp >= 8) {
        registers_decrease<40>();
        if (threadIdx.x == 256)
            for (int i = first_item; i < items; i += item_step) {
                const product_item item(p, i);
                own.fill(p.memory.rows + item.tile * p.stages * operand_bytes);
                const unsigned char* from =
                    p.memory.weights + std::int64_t(item.first_block()) * p.stages * operand_bytes;
                for (int left = (item.last_block(p) - item.first_block()) * p.stages; left > 0; --left) {
                    ring.fill(from, true);
                    from += operand_bytes;
                }
            }
        __syncwarp();
    } else {
        registers_increase<232>();
        for (int i = first_item; i < items; i += item_step) {
            const product_item item(p, i);
            const lane_rows rows(p.memory, item.tile * product_lines + 16 * warp,
                                 static_cast<int>(threadIdx.x) % 32 / 4);
            own.wait();
            run_item<Squares>(p, item, ring, own.address() + warp / 4 * product_half_bytes, rows);
            own.release();
        }
    }
    cluster_sync(); // no block leaves while the other copies to it or arrives on its barriers
}

} // namespace elbo::kernels::cuda
