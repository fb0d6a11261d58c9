// Second moments of more than 128 dimensions: S2 = Σ z zᵀ in tiles of 128 x 128 on and below the diagonal, two beside
// each other a block, z = √(w r) (x − μ_k) 2^e = h + l of the active rows of a unit (wide_pieces.cuh).
//
// Error of a sum of 4096 rows: 2⁻²² for the pieces and l l, four truncated steps of 2⁻²² a stage, 64 roundings of 2⁻²⁴:
// 84 · 2⁻²⁴ Σ |z_i z_j| at most.
//
// Reads wide_shape::moment_bytes an active row and component from L2, writes 24 S bytes as atomics for a component and
// the units of a slab, which are a cluster where their pieces lie in memory together. Tensor work: wide_shape::flop an
// active pair. Predicted for 1e5 x 784 x 10 on an H200: 2.8 ms of tensor work, 3.4 ms of 18.9 GB from L2, which bounds
// it, and 0.3 of atomics; where a row is active in one of the ten, a tenth but for the atomics.
#pragma once

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/wide_pieces.cuh"
#include "kernels/cuda/gmm/tensor/wide_products.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int wide_consumers = 256; ///< threads that multiply

/// Where a block is: pair, dimensions of its rows, and of the columns of its one or two tiles. The blocks of a cluster
/// have the same tiles of a component, of consecutive units.
struct wide_tiles {
    int place; ///< of the pair in memory
    int panel, other;
    int count;

    __device__ __forceinline__ explicit wide_tiles(const wide_shape& shape) {
        const int blocks = static_cast<int>(shape.tile_blocks()), ranks = cluster_size();
        const int cluster = static_cast<int>(blockIdx.x) / ranks;
        place = cluster / blocks * ranks + cluster_rank();
        panel = 0, other = cluster % blocks;
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

/// Adds the tiles of all units of a cluster to the sums, of each thread a share: number i of thread t lies at [i][t] of
/// `memory` in all blocks. `pair`: that of the first of them.
__device__ __forceinline__ void add_wide_moments(const wide_moment_arguments& p, int pair, const wide_tiles& tiles,
                                                 unsigned memory) {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32, ranks = cluster_size();
    const std::int64_t base = p.base(pair) + 1 + p.d;
    const double unit = power_of_two(-p.sums.component_exponent);
    for (int number = cluster_rank(); number < 64 * tiles.count; number += ranks) {
        const int i = number % 64;
        const int dim = tiles.panel * wide_block + 16 * warp + lane / 4 + 8 * (i / 2 % 2);
        const int column = (tiles.other + number / 64) * wide_block + 2 * (lane % 4) + 8 * (i / 4) + i % 2;
        if (dim >= p.d || column > dim)
            continue;
        fixed_partials sum;
        for (int r = 0; r < ranks; ++r) {
            const unsigned at = address_in_rank(memory + (number * wide_consumers + thread) * 4, r);
            const double value = static_cast<double>(__uint_as_float(load_in_cluster(at)));
            sum.add(value * power_of_two(-2 * p.memory.exponents[pair + r]) * unit);
        }
        sum.flush(p.sums.limbs, p.sums.count, base + packed_upper(column, dim, p.d));
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
        if (threadIdx.x == wide_consumers)
            produce_wide_moments(p, shape, tiles, ring, stages);
        __syncwarp();
        cluster_sync();
        cluster_sync();
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
    named_sync(1, wide_consumers); // before the ring becomes room for the sums
    float* const own = reinterpret_cast<float*>(memory) + threadIdx.x;
#pragma unroll
    for (int c = 0; c < wide_width; ++c)
#pragma unroll
        for (int i = 0; i < 64; ++i)
            own[(64 * c + i) * wide_consumers] = sums[c][i];
    cluster_sync();
    add_wide_moments(p, pair - cluster_rank(), tiles, shared_address(memory));
    cluster_sync(); // no block leaves while others read its sums
}

} // namespace elbo::kernels::cuda
