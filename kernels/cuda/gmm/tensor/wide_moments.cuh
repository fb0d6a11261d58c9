// Second moments of more than 128 dimensions: S2 = Σ z zᵀ in blocks of 128 x 128 on and below the diagonal, z = √(w r)
// (x − μ_k) 2^e = h + l of all rows of a unit (wide_pieces.cuh).
//
// Error of a sum of 4096 rows: 2⁻²² for the pieces and l l, four truncated steps of 2⁻²² a stage, 64 roundings of 2⁻²⁴:
// 84 · 2⁻²⁴ Σ |z_i z_j| at most.
//
// Reads wide_shape::moment_bytes a row and component from L2, writes 24 S bytes a unit and component as atomics. Tensor
// work: wide_shape::flop a pair. Predicted for 1e5 x 784 x 10 on an H200: 2.8 ms of tensor work, 4.5 ms of 24.6 GB from
// L2, which bounds it, and 1.2 of atomics.
#pragma once

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/wide_pieces.cuh"
#include "kernels/cuda/gmm/tensor/wide_products.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// A block a pair, from `first_pair` on, and tile.
__global__ void __launch_bounds__(wide_threads, 1)
    wide_moments(const wide_moment_arguments p, const wide_shape shape, int first_pair) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32, 0);
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int tiles = static_cast<int>(shape.tiles()), place = static_cast<int>(blockIdx.x) / tiles;
    const int pair = first_pair + place;
    int panel = 0, other = static_cast<int>(blockIdx.x) % tiles; // dimensions of rows and columns: other <= panel
    while (other > panel)
        other -= ++panel;
    const int stages = p.stages(pair);
    wide_ring<1> ring(memory, warp < 8);
    if (warp == 8) {
        if (lane == 0) {
            const std::int64_t panel_bytes = unit_rows / wide_half * operand_bytes;
            const unsigned char* const pieces = p.memory.moments + place * shape.panels * panel_bytes;
            const unsigned char *a = pieces + panel * panel_bytes, *b = pieces + other * panel_bytes;
            for (int s = 0; s < stages; ++s, a += operand_bytes, b += operand_bytes)
                ring.fill(a, b);
        }
        return;
    }
    const int half = 2 * panel + warp / 4; // 64 dimensions of this warpgroup
    const wide_columns columns = half >= shape.halves   ? wide_columns::none
                                 : 2 * other + 1 > half ? wide_columns::first
                                                        : wide_columns::both;
    float sums[64] = {};
#pragma unroll 1
    for (int s = 0; s < stages; ++s) {
        ring.wait();
        multiply_stage(sums, ring.first() + warp / 4 * wide_half * 32, panel == other ? ring.first() : ring.second(),
                       columns);
        ring.release();
    }
    const double unscale = ::ldexp(1.0, -2 * p.memory.exponents[pair]);
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

} // namespace elbo::kernels::cuda
