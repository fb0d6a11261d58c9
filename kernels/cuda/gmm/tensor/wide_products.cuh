// Products of operands in fp16 pieces of any depth, 128 x 128 sums and 128 x 128 beside them a block: what
// log-densities and moments of more than 128 dimensions have in common. Two warpgroups of 64 rows multiply, a thread
// keeps a ring of operands of 64 terms filled: A, then the one or two B that share it.
//
// A stage is three products, the small ones first: h l, l h, h h, into accumulators that start from 0 and are added to
// the sums in registers, rounded to nearest. So the tensor cores truncate at most four steps of h h in a row, whatever
// the depth. While one warpgroup adds, the other multiplies.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/tensor/wide_layout.hpp"

namespace elbo::kernels::cuda {

/// Halves of the 128 columns that a warpgroup multiplies with in a stage.
enum class wide_columns { none, first, second, both };

/// The ring of operands in shared memory, of a block alone or shared by the `Cluster` blocks of a cluster: producer's
/// or consumer's side.
template <int Cluster>
struct wide_ring {
    unsigned base, full, empty; ///< slots, and their barriers
    int slots, slot = 0;
    unsigned phase;

    /// By all threads; `consumes` says which side.
    __device__ __forceinline__ wide_ring(const unsigned char* memory, bool consumes, int slots_of_ring = wide_slots)
        : base(shared_address(memory)), full(base + slots_of_ring * operand_bytes), empty(full + 8 * slots_of_ring),
          slots(slots_of_ring), phase(consumes ? 0 : 1) { // the slots are empty at first
        if (threadIdx.x == 0) {
            for (int i = 0; i < slots; ++i) {
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
    __device__ __forceinline__ unsigned address(int at) const { return base + at * operand_bytes; }
    __device__ __forceinline__ void advance() {
        if (++slot == slots)
            slot = 0, phase ^= 1;
    }
    /// The next slot from an operand that all blocks of the cluster read, of which each fetches a part; or from one of
    /// this block alone. The blocks wait for one another in both cases, so that their rings go the same way.
    __device__ __forceinline__ void fill(const unsigned char* from, bool shared) {
        const unsigned barrier = full + 8 * slot;
        barrier_wait_cluster(empty + 8 * slot, phase);
        barrier_expect(barrier, operand_bytes);
        if (Cluster > 1 && shared) {
            constexpr unsigned slice = operand_bytes / Cluster;
            const unsigned offset = cluster_rank() * slice;
            copy_multicast(address(slot) + offset, from + offset, slice, barrier, (1u << Cluster) - 1);
        } else {
            copy_bulk(address(slot), from, operand_bytes, barrier);
        }
        advance();
    }
    /// Waits for the next slot.
    __device__ __forceinline__ int take() {
        const int at = slot;
        barrier_wait(full + 8 * slot, phase);
        advance();
        return at;
    }
    /// Every warp tells every block that shares the ring.
    __device__ __forceinline__ void release(int at) const {
        __syncwarp();
        const int lane = static_cast<int>(threadIdx.x) % 32;
        if (lane < Cluster)
            barrier_arrive_remote(empty + 8 * at, Cluster > 1 ? lane : cluster_rank());
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
