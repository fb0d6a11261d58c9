// The kernel of the importance bound: draws of z, the layers of the decoder and log p(x|z), 256 pairs of (row, draw) at
// a time for two blocks that share the weights they read.
//
//   Pieces   z, activations and weights are h + l in fp16, each pair and each column of weights times a power of two
//   that
//            follows from its largest number, so that nothing overflows. Three products: h l, l h, h h.
//   Operands Activations are made in the registers in which the next layer takes them: the accumulators of m64nNk16 are
//            A of as many k16.
//   Ring     A stage has the l or the h pieces of half a layer or less, for both blocks of the cluster.
//   Turns    Draws, activations and likelihood of one warpgroup run under the products of the other.
//
// Error of a pre-activation or output y = x W + b of K inputs: (2^-21 + K / 16 · 2^-22) Σ |x_i w_i| + 2^-23 (|b| +
// |y|): of the pieces 2^-23 each and the product l l, and of truncation at each step of h h; as gmm/tensor/density.cuh.
// An output's error moves log p(x|z) by as much times |x − mean|; 784 of size 1e-6 with random signs give 3e-5.
//
// Reads the pieces of the weights, 4 bytes each, once for every 256 pairs: L2; mu, sigma and x of a row through L1.
// Writes 32 bytes for 16 draws. Tensor work: three times 2 K N a layer, with K, N in whole tiles
// (bound_plan::flops_per_pair). Predicted on an H200 (800 TFLOP/s; bound_seconds): 100 rows x 5000 draws of
// 50-200-200-784 in 0.96 ms, 10,000 x 5000 in 0.095 s, 60,000 rows x 1 in 0.13 ms. An output takes ten instructions
// (Bernoulli), a hidden unit 28, a latent 50: half the time of the products. The first layer has no more products than
// instructions: idle time.
#pragma once

#include "kernels/cuda/vae/bound/layers.cuh"
#include "kernels/cuda/vae/bound/sums.cuh"
#include "kernels/cuda/vae/bound/terms.cuh"

namespace elbo::kernels::cuda {

/// A warpgroup takes its 64 pairs of a pass through the decoder.
template <int Steps>
__device__ __forceinline__ void take_pairs(const bound_kernel_arguments& p, int slot, weight_ring<Steps>& ring,
                                           float4* parked, double* log_ratios) {
    using tile = bound_tile<Steps>;
    const int quad = thread_index() % 32 / 4, t = thread_index() % 4;
    pair_pieces<Steps> x;
#pragma unroll
    for (int s = 0; s < Steps; ++s)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            x.high[s][i] = x.low[s][i] = 0;
    int rows[2];
    double ratios[2];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        const drawn_pair pair(p, slot + quad + 8 * row);
        rows[row] = pair.row;
        ratios[row] = draw_pair(p, pair, row, t, parked, x);
    }
    const double log_ratio = quad_sums(ratios, ratios, t);
    if (t < 2)
        log_ratios[quad + 8 * t] = log_ratio;
    double terms = 0; // one double a lane: registers are scarce
    const float2* columns = p.of.memory.columns;
#pragma unroll 1
    for (int layer = 0; layer + 1 < p.of.plan.layers; ++layer) {
        if (layer > 0)
            hidden_layer<Steps>(x, ring, p.of.form, columns, parked);
        else if (p.of.plan.first_steps == 4)
            hidden_layer<4>(x, ring, p.of.form, columns, parked);
        else
            hidden_layer<8>(x, ring, p.of.form, columns, parked);
        columns += 2 * tile::columns;
    }
#pragma unroll 1
    for (int block = 0; block < p.of.plan.blocks; ++block) {
        float acc[tile::accumulators];
        multiply_pairs<Steps>(acc, x, ring);
        const int lane = thread_index() % 4;
        double log_likelihood[2] = {}, second[2] = {};
        add_terms(p, acc, parked, columns, block * tile::columns + 2 * lane, x.unscale, rows, log_likelihood, second);
        terms += quad_sums(log_likelihood, second, lane);
    }
    store_groups(p, slot, thread_index() % 32, terms, log_ratios);
}

/// Clusters of two blocks.
template <int Steps>
__global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(bound_threads, 1)
    draw_bound(const bound_kernel_arguments p) {
    using tile = bound_tile<Steps>;
    extern __shared__ __align__(1024) unsigned char memory[];
    weight_ring<Steps> ring;
    ring.base = shared_address(memory);
    ring.full = ring.base + tile::shared_bytes - tile::barrier_bytes;
    ring.empty = ring.full + 8 * tile::stages;
    if (threadIdx.x == 0) {
        for (int i = 0; i < tile::stages; ++i) {
            barrier_init(ring.full + 8 * i, 1);
            barrier_init(ring.empty + 8 * i, bound_consumers / 32 * bound_cluster);
        }
        barrier_init_done();
    }
    cluster_sync();

    if (threadIdx.x < bound_threads - bound_consumers) {
        registers_decrease<24>();
        if (threadIdx.x == 0)
            stream_weights(p.of.plan, p.of.memory.panels, ring, p.passes);
        __syncwarp();
    } else {
        registers_increase<240>();
        const int consumer = static_cast<int>(threadIdx.x) - (bound_threads - bound_consumers);
        unsigned char* const behind = memory + tile::stages * tile::stage_bytes;
        float4* const parked = reinterpret_cast<float4*>(behind) + consumer;
        double* const log_ratios = reinterpret_cast<double*>(behind + tile::parked_bytes) + consumer / 32 * 16;
        if (consumer >= 128)
            named_arrive(1, bound_consumers); // warpgroup 0 begins (and takes the last, unused arrival at the end)
        for (int pass = cluster_index(); pass < p.passes; pass += cluster_count()) {
            const int slot = pass * bound_pass_pairs + cluster_rank() * bound_block_pairs + consumer / 32 * 16;
            take_pairs(p, slot, ring, parked, log_ratios);
        }
        if (consumer < 128)
            named_sync(1, bound_consumers);
    }
    cluster_sync(); // no block leaves while the other copies to it or arrives on its barriers
}

} // namespace elbo::kernels::cuda
