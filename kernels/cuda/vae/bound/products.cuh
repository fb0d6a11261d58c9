// Products of the pairs of a warpgroup with half a layer of weights, which a ring of stages brings.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/vae/bound/bound_shape.hpp"

namespace elbo::kernels::cuda {

/// What a layer takes in: the A fragments of a warp's 16 pairs, each pair times a power of two. Rows quad and quad + 8
/// of a fragment are the pairs of a lane.
template <int Steps>
struct pair_pieces {
    unsigned high[Steps][4], low[Steps][4];
    float unscale[2]; ///< the inverse of the powers

    /// Two numbers of inputs 16 step + 8 half ... of one of the lane's pairs.
    __device__ __forceinline__ void set(int step, int half, int row, float a, float b, float scale) {
        const unsigned h = pack_half(a * scale, b * scale);
        high[step][row + 2 * half] = h;
        low[step][row + 2 * half] = pack_half(a * scale - low_half(h), b * scale - high_half(h));
    }
};

/// Power of two for a pair of which the four lanes of a quad have the largest number of their own.
__device__ __forceinline__ power_scale pair_scale(float most) {
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
    return scale_below(most);
}

/// Clusters, read anew each time: registers are scarce.
__device__ __forceinline__ int cluster_index() {
    int block = 0;
    asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));
    return block / bound_cluster;
}
__device__ __forceinline__ int cluster_count() {
    int blocks = 0;
    asm volatile("mov.u32 %0, %%nctaid.x;" : "=r"(blocks));
    return blocks / bound_cluster;
}

/// The consumers' side of the ring.
template <int Steps>
struct weight_ring {
    using tile = bound_tile<Steps>;
    unsigned base, full, empty; ///< stages, and barriers of stage i at + 8 i
    int stage = 0;
    unsigned phase = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == tile::stages)
            stage = 0, phase ^= 1;
    }
    /// Waits for the stages of a piece.
    template <int Parts>
    __device__ __forceinline__ void take(int (&at)[Parts]) {
#pragma unroll
        for (int i = 0; i < Parts; ++i) {
            barrier_wait(full + 8 * stage, phase);
            at[i] = stage;
            advance();
        }
    }
    /// Every warp tells every block of the cluster.
    template <int Parts>
    __device__ __forceinline__ void release(const int (&at)[Parts], int lane) const {
        __syncwarp();
        if (lane < bound_cluster)
#pragma unroll
            for (int i = 0; i < Parts; ++i)
                barrier_arrive_remote(empty + 8 * at[i], lane);
    }
    /// Descriptor of step s of a piece.
    template <int Parts>
    __device__ __forceinline__ unsigned long long step(const int (&at)[Parts], int s) const {
        return core_descriptor(base + at[s / tile::stage_steps] * tile::stage_bytes) +
               static_cast<unsigned>(s % tile::stage_steps * tile::step_bytes / 16);
    }
};

/// acc = x W over `Count` steps, but for the powers of two. The small products h l and l h come first, into
/// accumulators that start from 0. The two warpgroups take turns: what comes after the products of one runs under those
/// of the other.
template <int Count, int Steps>
__device__ __forceinline__ void multiply_pairs(float (&acc)[bound_tile<Steps>::accumulators], pair_pieces<Steps>& x,
                                               weight_ring<Steps>& ring) {
    const int thread = thread_index(), lane = thread % 32;
    const int group = thread / 128 - 1; // warpgroup 0 or 1
    constexpr int parts = bound_tile<Steps>::parts(Count);
    int low[parts], high[parts];
    ring.take(low);
    named_sync(1 + group, bound_consumers); // the products of the other warpgroup are under way
    pin(acc);
#pragma unroll
    for (int s = 0; s < Count; ++s) {
        pin(x.high[s]);
        pin(x.low[s]);
    }
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < Count; ++s)
        wgmma_f16(acc, x.high[s], ring.step(low, s), s != 0);
    wgmma_commit();
    ring.take(high);
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < Count; ++s)
        wgmma_f16(acc, x.low[s], ring.step(high, s));
#pragma unroll
    for (int s = 0; s < Count; ++s)
        wgmma_f16(acc, x.high[s], ring.step(high, s));
    wgmma_commit();
    named_arrive(2 - group, bound_consumers);
    wgmma_wait<1>();
    ring.release(low, lane);
    wgmma_wait<0>();
    pin(acc);
    ring.release(high, lane);
}

/// One thread keeps the ring filled, for both blocks of the cluster: each fetches a half for both.
template <int Steps>
__device__ void stream_weights(const bound_plan& plan, const unsigned char* panels, weight_ring<Steps> ring,
                               int passes) {
    using tile = bound_tile<Steps>;
    const unsigned rank = cluster_rank();
    ring.phase = 1; // the stages are empty at first
    for (int pass = cluster_index(); pass < passes; pass += cluster_count()) {
        const unsigned char* source = panels;
        for (int layer = 0; layer < plan.layers; ++layer)
            for (int piece = 0; piece < 2 * plan.blocks_of(layer); ++piece)
                for (int s = 0; s < plan.steps_of(layer); s += tile::stage_steps) {
                    const unsigned bytes = min(tile::stage_steps, plan.steps_of(layer) - s) * tile::step_bytes;
                    const unsigned slice = bytes / bound_cluster;
                    barrier_wait_cluster(ring.empty + 8 * ring.stage, ring.phase);
                    barrier_expect(ring.full + 8 * ring.stage, bytes);
                    copy_multicast(ring.base + ring.stage * tile::stage_bytes + rank * slice, source + rank * slice,
                                   slice, ring.full + 8 * ring.stage, (1u << bound_cluster) - 1);
                    source += bytes;
                    ring.advance();
                }
    }
}

} // namespace elbo::kernels::cuda
