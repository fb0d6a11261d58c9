// Second moments of more than 128 dimensions: S2 = Σ z zᵀ in tiles of 128 x 128 on and below the diagonal, two beside
// each other a block, z = √(w r) (x − μ_k) 2^e = h + l of the active rows of a unit (wide_pieces.cuh).
//
// Error of a sum of 4096 rows: 2⁻²² for the pieces and l l, four truncated steps of 2⁻²² a stage, 64 roundings of 2⁻²⁴:
// 84 · 2⁻²⁴ Σ |z_i z_j| at most.
//
// Reads wide_shape::moment_bytes a row and component from L2, writes 24 S bytes a unit and component as atomics. Tensor
// work: wide_shape::flop a pair. Predicted for 1e5 x 784 x 10 on an H200: 2.8 ms of tensor work, 3.4 ms of 18.9 GB from
// L2, which bounds it, and 1.2 of atomics.
#pragma once

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/wide_pieces.cuh"
#include "kernels/cuda/gmm/tensor/wide_products.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Where a block is: pair, dimensions of its rows, and of the columns of its one or two tiles.
struct wide_tiles {
    int place; ///< of the pair in memory
    int panel, other;
    int count;

    __device__ __forceinline__ explicit wide_tiles(const wide_shape& shape) {
        const int blocks = static_cast<int>(shape.tile_blocks());
        place = static_cast<int>(blockIdx.x) / blocks;
        panel = 0, other = static_cast<int>(blockIdx.x) % blocks;
        while (other > panel / 2)
            other -= panel / 2 + 1, ++panel;
        other *= wide_width;
        count = min(wide_width, panel + 1 - other);
    }
};

/// The thread that copies: for each stage the rows, then the columns of tiles that do not lie on the diagonal.
__device__ __forceinline__ void produce_wide_moments(const wide_moment_arguments& p, const wide_shape& shape,
                                                     const wide_tiles& tiles, wide_ring<1>& ring, int stages) {
    const std::int64_t panel_bytes = unit_rows / wide_half * operand_bytes;
    const unsigned char* const pieces = p.memory.moments + tiles.place * shape.panels * panel_bytes;
    const unsigned char* rows = pieces + tiles.panel * panel_bytes;
    const unsigned char* columns = pieces + tiles.other * panel_bytes;
    for (int s = 0; s < stages; ++s, rows += operand_bytes, columns += operand_bytes) {
        ring.fill(rows, false);
        for (int c = 0; c < tiles.count; ++c)
            if (tiles.other + c != tiles.panel)
                ring.fill(columns + c * panel_bytes, false);
    }
}

/// Adds a tile of a pair to the sums.
__device__ __forceinline__ void add_wide_moments(const wide_moment_arguments& p, int pair, int panel, int other,
                                                 double unscale, const float (&sums)[64]) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const std::int64_t base = p.base(pair) + 1 + p.d;
    const int first_dim = panel * wide_block + 16 * warp + lane / 4;
    const int first_column = other * wide_block + 2 * (lane % 4);
#pragma unroll
    for (int i = 0; i < 64; ++i) {
        const int dim = first_dim + 8 * (i / 2 % 2), column = first_column + 8 * (i / 4) + i % 2;
        if (dim < p.d && column <= dim)
            add_fixed(p.sums.limbs, p.sums.count, base + packed_upper(column, dim, p.d),
                      static_cast<double>(sums[i]) * unscale, p.sums.component_exponent);
    }
}

/// A block for each pair, from `first_pair` on, and one or two tiles.
__global__ void __launch_bounds__(wide_threads, 1)
    wide_moments(const wide_moment_arguments p, const wide_shape shape, int first_pair) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32, 0);
    const wide_tiles tiles(shape);
    const int pair = first_pair + tiles.place, stages = p.stages(pair);
    wide_ring<1> ring(memory, warp < 8);
    if (warp >= 8) {
        registers_decrease<40>();
        if (threadIdx.x == 256)
            produce_wide_moments(p, shape, tiles, ring, stages);
        return;
    }
    registers_increase<232>();
    const int half = 2 * tiles.panel + warp / 4; // 64 dimensions of this warpgroup
    const bool exists = half < shape.halves;
    float sums[wide_width][64] = {};
#pragma unroll 1
    for (int s = 0; s < stages; ++s) {
        const int rows = ring.take();
#pragma unroll
        for (int c = 0; c < wide_width; ++c)
            if (c < tiles.count) {
                const int other = tiles.other + c;
                const bool beside = other != tiles.panel; // the diagonal
                const int columns = beside ? ring.take() : rows;
                multiply_stage(sums[c], ring.address(rows) + warp / 4 * wide_half * 32, ring.address(columns),
                               !exists                ? wide_columns::none
                               : 2 * other + 1 > half ? wide_columns::first
                                                      : wide_columns::both);
                if (beside)
                    ring.release(columns);
            }
        ring.release(rows);
    }
    const double unscale = ::ldexp(1.0, -2 * p.memory.exponents[pair]);
#pragma unroll
    for (int c = 0; c < wide_width; ++c)
        if (c < tiles.count)
            add_wide_moments(p, pair, tiles.panel, tiles.other + c, unscale, sums[c]);
}

} // namespace elbo::kernels::cuda
