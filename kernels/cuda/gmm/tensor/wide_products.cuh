// Products of operands in fp16 pieces of any depth, 128 x 128 sums a block: what log-densities and moments of more than
// 128 dimensions have in common. Two warpgroups of 64 rows multiply, a warp keeps a ring of stages of 64 terms filled.
//
// A stage is three products, the small ones first: h l, l h, h h, into accumulators that start from 0 and are added to
// the sums in registers, rounded to nearest. So the tensor cores truncate at most four steps of h h in a row, whatever
// the depth. While one warpgroup adds, the other multiplies.
#pragma once

#include "kernels/cuda/gmm/tensor/hopper.cuh"
#include "kernels/cuda/gmm/tensor/wide_layout.hpp"

namespace elbo::kernels::cuda {

/// Halves of the 128 columns that a warpgroup multiplies with in a stage.
enum class wide_columns { none, first, second, both };

/// The ring of stages in shared memory, A then B, of blocks in clusters of `Cluster`: producer's or consumer's side.
template <int Cluster>
struct wide_ring {
    unsigned base, full, empty; ///< stages, and their barriers
    int stage = 0;
    unsigned phase;

    /// By all threads; `consumes` says which side.
    __device__ __forceinline__ wide_ring(const unsigned char* memory, bool consumes)
        : base(shared_address(memory)), full(base + wide_stages * 2 * operand_bytes), empty(full + 8 * wide_stages),
          phase(consumes ? 0 : 1) { // the stages are empty at first
        if (threadIdx.x == 0) {
            for (int i = 0; i < wide_stages; ++i) {
                barrier_init(full + 8 * i, 1);
                barrier_init(empty + 8 * i, 8 * Cluster);
            }
            barrier_init_done();
        }
        if constexpr (Cluster > 1)
            cluster_sync();
        else
            __syncthreads();
    }
    __device__ __forceinline__ unsigned first() const { return base + stage * 2 * operand_bytes; }
    __device__ __forceinline__ unsigned second() const { return first() + operand_bytes; }
    __device__ __forceinline__ void advance() {
        if (++stage == wide_stages)
            stage = 0, phase ^= 1;
    }
    /// Own A, and B, of which each block of the cluster fetches a part for all; a == b is read once.
    __device__ __forceinline__ void fill(const unsigned char* a, const unsigned char* b) {
        const unsigned barrier = full + 8 * stage;
        barrier_wait_cluster(empty + 8 * stage, phase);
        barrier_expect(barrier, a == b ? operand_bytes : 2 * operand_bytes);
        copy_bulk(first(), a, operand_bytes, barrier);
        if constexpr (Cluster > 1) {
            constexpr unsigned slice = operand_bytes / Cluster;
            const unsigned offset = cluster_rank() * slice;
            copy_multicast(second() + offset, b + offset, slice, barrier, (1u << Cluster) - 1);
        } else if (a != b) {
            copy_bulk(second(), b, operand_bytes, barrier);
        }
        advance();
    }
    __device__ __forceinline__ void wait() const { barrier_wait(full + 8 * stage, phase); }
    /// Every warp tells every block of the cluster.
    __device__ __forceinline__ void release() {
        __syncwarp();
        if (static_cast<int>(threadIdx.x) % 32 < Cluster)
            barrier_arrive_remote(empty + 8 * stage, threadIdx.x % 32);
        advance();
    }
};

/// sums[64 rows x columns] += A · Bᵀ of a stage, Columns of them from First on; of rows quad and quad + 8 of a warp,
/// two columns of each 8 a lane.
template <int First, int Columns>
__device__ __forceinline__ void multiply_stage(float (&sums)[64], unsigned a, unsigned b) {
    float acc[Columns / 2];
    pin(acc);
    const unsigned long long high_a = core_descriptor(a), high_b = core_descriptor(b + First * 32);
    constexpr unsigned long long low = piece_bytes / 16, step = 2 * piece_bytes / 16;
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < wide_steps; ++s) {
        wgmma_f16(acc, high_a + s * step, high_b + s * step + low, s > 0);
        wgmma_f16(acc, high_a + s * step + low, high_b + s * step);
    }
#pragma unroll
    for (int s = 0; s < wide_steps; ++s)
        wgmma_f16(acc, high_a + s * step, high_b + s * step);
    wgmma_commit();
    wgmma_wait<0>();
    pin(acc);
#pragma unroll
    for (int i = 0; i < Columns / 2; ++i)
        sums[First / 2 + i] += acc[i];
}

/// By a warpgroup, the same columns for all of it; `a` is the first of its 64 rows.
__device__ __forceinline__ void multiply_stage(float (&sums)[64], unsigned a, unsigned b, wide_columns columns) {
    switch (columns) {
    case wide_columns::both:
        return multiply_stage<0, wide_block>(sums, a, b);
    case wide_columns::first:
        return multiply_stage<0, wide_half>(sums, a, b);
    case wide_columns::second:
        return multiply_stage<wide_half, wide_half>(sums, a, b);
    case wide_columns::none:
        return;
    }
}

} // namespace elbo::kernels::cuda
