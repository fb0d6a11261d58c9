// Log-densities of rows under all components on the tensor cores, lp = offset − ½ log2(e) ‖U_kᵀx − b_k‖².
//
//   Pieces   x and U_k, each times a power of two, are h + l in fp16 and keep 23 of the 24 bits of a float. Three
//            products: h l, l h, h h. The power of a row follows from the row, that of U_k from U_k.
//   Order    The small products come first, into accumulators that start from 0; b is subtracted in the epilogue.
//            Started from −b, the tensor core would truncate the small products to the last bit of b.
//   Ring     A stage holds the l tiles or the h tiles of a chunk, l first: h l needs l only, whose stage is free again
//            while the other two products run. Two blocks share what they read, each fetches a half for both.
//   Turns    The two warpgroups of consumers take turns with the tensor cores: the epilogue of one runs under the
//            products of the other.
//
// Error: with e_j = (2⁻²¹ + D / 16 · 2⁻²²) (Σ_i |U_ij| |x_i| + |b_j|),
//   |q̂ − q| <= Σ_j (2 |y_j| e_j + e_j²) + D 2⁻²⁴ q,  y = Uᵀx − b.
// 2⁻²¹: x and U are kept to 2⁻²³ each, l l (2⁻²²) is dropped. D / 16 steps of h h truncate at 2⁻²³ of the partial sum,
// or drop bits of the single products as well: 2⁻²² for both together.
//
// Reads rows · 4 d once for each range, and the panels, 6 K d² bytes and less, once for every 256 rows: L2. Writes
// 4 rows · (K + 1) bytes. Tensor work: 3 · 2 · d² / 2 · (1 + 16 / d) a pair. Predicted for 1e6 rows on
// an H200 (800 TFLOP/s): 64 x 256 in 5.4 ms, 32 x 256 in 1.8; 2e5 x 64 x 64 in 0.28; 1e5 x 128 x 32 in 0.25.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/tensor/homes.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/panels.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Which panels the tiles of a slab visit; all of them without `slab`.
struct density_lists {
    const slab_screen* slab;    ///< or null
    const std::uint16_t* order; ///< [rows] of the slab
    const int* counts;          ///< [tiles]
    const std::uint16_t* lists; ///< [tiles x panels / 2]
};

struct density_arguments {
    const float* x; ///< [rows x p], row i at i * stride; p <= D, a multiple of 4
    int stride, rows, p;
    int components; ///< K; those that fill the last panel have offset −infinity
    int panels, ranges;
    const unsigned char* memory; ///< of the panels
    float* densities;            ///< [K x slab rows]
    std::int64_t slab_rows;
    float* sizes; ///< [slab rows] max |x_i|
    density_lists lists;
};

/// acc[block] += x(step s) * tile(s, block); first: = instead of += where a block begins.
template <class L, int G, int Steps>
__device__ __forceinline__ void multiply_pieces(float (&acc)[L::blocks][L::columns / 2], const unsigned (&a)[Steps][4],
                                                unsigned tiles, bool first) {
    const unsigned long long base = core_descriptor(tiles);
#pragma unroll
    for (int s = 0; s < L::blocks * G + L::width(G); ++s)
#pragma unroll
        for (int block = 0; block < L::width(G); ++block)
            if (block + L::blocks * G >= s)
                wgmma_f16(acc[block], a[s],
                          base + L::tile(G, s, block + L::blocks * G) *
                                     static_cast<unsigned long long>(L::tile_bytes / 16),
                          !(first && s == 0));
}

/// All products of one chunk in two groups, the second as soon as `barrier` says that the h tiles are there.
template <class L, int G, int Steps>
__device__ __forceinline__ void multiply_chunk(float (&acc)[L::blocks][L::columns / 2],
                                               const unsigned (&high)[Steps][4], const unsigned (&low)[Steps][4],
                                               unsigned low_tiles, unsigned high_tiles, unsigned barrier,
                                               unsigned phase) {
    wgmma_fence();
    multiply_pieces<L, G>(acc, high, low_tiles, true);
    wgmma_commit();
    barrier_wait(barrier, phase);
    wgmma_fence();
    multiply_pieces<L, G>(acc, low, high_tiles, false);
    multiply_pieces<L, G>(acc, high, high_tiles, false);
    wgmma_commit();
}

/// The row at a place of the slab, or the last one.
__device__ __forceinline__ int row_of(const density_arguments& p, const std::uint16_t* order, int place) {
    const int existing = min(place, p.rows - 1);
    return order ? order[existing] : existing;
}

/// An item: a tile of rows, one for each cluster of blocks, and some of the panels that it visits.
struct density_item {
    int tile, begin, end;
    const std::uint16_t* list; ///< null where the tile visits all

    __device__ __forceinline__ density_item(const density_arguments& p, bool listed, int tiles, int item) {
        constexpr int fewest = 8; // panels: below, reading the rows anew costs more than more blocks save
        const int range = item / tiles;
        tile = item % tiles;
        const int count = listed ? p.lists.counts[tile] : p.panels;
        list = count < p.panels ? p.lists.lists + std::int64_t(tile) * (p.panels / 2) : nullptr;
        const int share = max((count + p.ranges - 1) / p.ranges, fewest);
        begin = min(range * share, count);
        end = min(begin + share, count);
    }
    __device__ __forceinline__ int panel(int i) const { return list ? list[i] : i; }
};

/// The A fragments of 16 rows of a warp: lane t of a quad takes terms 4 t ... 4 t + 3 of every 16 of rows quad and
/// quad + 8. `unscale`: the inverse of the rows' powers; `largest`: max |x_i|.
template <int Steps>
struct row_pieces {
    unsigned high[Steps][4], low[Steps][4];
    float unscale[2], largest[2];

    __device__ __forceinline__ void load(const density_arguments& p, const std::uint16_t* order, int warp_place,
                                         int quad, int t) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = row_of(p, order, warp_place + quad + 8 * half);
            const float* x = p.x + std::int64_t(row) * p.stride + 4 * t;
            float4 v[Steps];
            float most = 0;
#pragma unroll
            for (int s = 0; s < Steps; ++s) {
                v[s] = make_float4(0, 0, 0, 0);
                if (16 * s + 4 * t < p.p)
                    v[s] = __ldg(reinterpret_cast<const float4*>(x + 16 * s));
                most = fmaxf(most,
                             fmaxf(fmaxf(::fabsf(v[s].x), ::fabsf(v[s].y)), fmaxf(::fabsf(v[s].z), ::fabsf(v[s].w))));
            }
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
            const power_scale power = scale_below(most);
            largest[half] = most;
            unscale[half] = power.inverse;
#pragma unroll
            for (int s = 0; s < Steps; ++s) {
                const float a = v[s].x * power.scale, b = v[s].y * power.scale;
                const float c = v[s].z * power.scale, d = v[s].w * power.scale;
                const unsigned h0 = pack_half(a, b), h1 = pack_half(c, d);
                high[s][half] = h0;
                high[s][2 + half] = h1;
                low[s][half] = pack_half(a - low_half(h0), b - high_half(h0));
                low[s][2 + half] = pack_half(c - low_half(h1), d - high_half(h1));
            }
        }
    }
};

/// One thread keeps the ring of stages filled, for both blocks of the cluster.
template <class L>
__device__ void produce_panels(const density_arguments& p, unsigned stage_base, unsigned full, unsigned empty,
                               bool listed, int tiles, int first_item, int item_step) {
    const unsigned rank = cluster_rank();
    int stage = 0;
    unsigned phase = 1; // the stages are empty at first
    const auto fill = [&](const unsigned char* source, unsigned bytes) {
        const unsigned slice = bytes / tensor_cluster;
        barrier_wait_cluster(empty + 8 * stage, phase);
        barrier_expect(full + 8 * stage, bytes);
        copy_multicast(stage_base + stage * L::stage_bytes + rank * slice, source + rank * slice, slice,
                       full + 8 * stage, (1u << tensor_cluster) - 1);
        if (++stage == L::stages)
            stage = 0, phase ^= 1;
    };
    for (int i = first_item; i < tiles * p.ranges; i += item_step) {
        const density_item item(p, listed, tiles, i);
        for (int at = item.begin; at < item.end; ++at) {
            const unsigned char* source = p.memory + std::int64_t(item.panel(at)) * L::panel_bytes;
#pragma unroll
            for (int g = 0; g < L::groups; ++g) {
                fill(source, L::low_bytes(g));
                fill(source + L::low_bytes(g), L::high_bytes(g));
                source += L::low_bytes(g) + L::high_bytes(g);
            }
        }
    }
}

/// The consumers' side of the ring.
template <class L>
struct panel_ring {
    unsigned base, full, empty; ///< stages, and their barriers
    int stage = 0;
    unsigned phase = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == L::stages)
            stage = 0, phase ^= 1;
    }
    /// Every warp tells every block of the cluster.
    __device__ __forceinline__ void release(int at, int lane) const {
        __syncwarp();
        if (lane < tensor_cluster)
            barrier_arrive_remote(empty + 8 * at, lane);
    }
};

/// Sums of squares over the columns of a panel: of rows quad and quad + 8, over the columns of this lane.
template <int D, class Ring>
__device__ __forceinline__ void panel_squares(row_pieces<D / 16>& x, Ring& ring, const unsigned char* memory, int group,
                                              int lane, float (&q)[2][panel_layout<D>::components],
                                              float2 (&parameters)[panel_layout<D>::components / 2], int first_kept) {
    using L = panel_layout<D>;
    constexpr int components = L::components;
#pragma unroll 1 // unrolled, the accumulators of two chunks would be alive at once
    for (int g = 0; g < L::groups; ++g) {
        float acc[L::blocks][L::columns / 2];
        const int low_stage = ring.stage;
        barrier_wait(ring.full + 8 * ring.stage, ring.phase);
        ring.advance();
        const int high_stage = ring.stage;
        const unsigned high_phase = ring.phase;
        ring.advance();
        const unsigned low_tiles = ring.base + low_stage * L::stage_bytes;
        const unsigned high_tiles = ring.base + high_stage * L::stage_bytes + L::header;
        named_sync(1 + group, 256); // the products of the other warpgroup are under way
#pragma unroll
        for (int j = 0; j < L::blocks; ++j)
            pin(acc[j]);
#pragma unroll
        for (int s = 0; s < D / 16; ++s) {
            pin(x.high[s]);
            pin(x.low[s]);
        }
        const unsigned wait_for = ring.full + 8 * high_stage;
        if (g == 0)
            multiply_chunk<L, 0>(acc, x.high, x.low, low_tiles, high_tiles, wait_for, high_phase);
        else
            multiply_chunk<L, L::groups - 1>(acc, x.high, x.low, low_tiles, high_tiles, wait_for, high_phase);
        named_arrive(2 - group, 256);
        wgmma_wait<1>();
        ring.release(low_stage, lane);
        wgmma_wait<0>();
#pragma unroll
        for (int j = 0; j < L::blocks; ++j)
            pin(acc[j]);
        const unsigned char* header = memory + high_stage * L::stage_bytes;
#pragma unroll
        for (int j = 0; j < L::blocks; ++j) {
            if (j >= L::width(L::groups - 1) && g == L::groups - 1)
                continue;
#pragma unroll
            for (int i = 0; i < 2 * components; ++i) { // 8 columns: two of this lane, rows quad, quad + 8
                const float2 b = reinterpret_cast<const float2*>(header)[(j * 2 * components + i) * 4 + lane % 4];
#pragma unroll
                for (int row = 0; row < 2; ++row) {
                    const float y0 = acc[j][4 * i + 2 * row] * x.unscale[row] - b.x;
                    const float y1 = acc[j][4 * i + 2 * row + 1] * x.unscale[row] - b.y;
                    q[row][i / 2] += y0 * y0;
                    q[row][i / 2] += y1 * y1;
                }
            }
        }
        if (g == L::groups - 1)
#pragma unroll
            for (int i = 0; i < components / 2; ++i)
                parameters[i] = reinterpret_cast<const float2*>(header + L::parameters)[first_kept + i];
        // done before the next chunk's accumulators come to life
        pin(q[0]);
        pin(q[1]);
        ring.release(high_stage, lane);
    }
}

/// Clusters of two blocks.
template <int D>
__global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(tensor_threads, 1)
    tensor_density(const density_arguments p) {
    using L = panel_layout<D>;
    constexpr int kept = L::components / 2;
    extern __shared__ __align__(1024) unsigned char memory[];
    panel_ring<L> ring;
    ring.base = shared_address(memory);
    ring.full = ring.base + L::stages * L::stage_bytes; // barrier of stage i at + 8 i
    ring.empty = ring.full + 8 * L::stages;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    if (threadIdx.x == 0) {
        for (int i = 0; i < L::stages; ++i) {
            barrier_init(ring.full + 8 * i, 1);
            barrier_init(ring.empty + 8 * i, 8 * tensor_cluster);
        }
        barrier_init_done();
    }
    cluster_sync();

    const int tiles = (p.rows + screen_rows - 1) / screen_rows;
    const bool listed = p.lists.slab && !takes_all(*p.lists.slab, p.rows, p.panels);
    const int first_item = static_cast<int>(blockIdx.x) / tensor_cluster;
    const int item_step = static_cast<int>(gridDim.x) / tensor_cluster;
    if (warp < 4) {
        registers_decrease<40>();
        if (threadIdx.x == 0)
            produce_panels<L>(p, ring.base, ring.full, ring.empty, listed, tiles, first_item, item_step);
        __syncwarp();
    } else {
        registers_increase<232>();
        const int group = warp / 4 - 1;           // warpgroup 0 or 1: 64 rows each
        const int quad = lane / 4, t = lane % 4;  // fragment rows quad, quad + 8; columns 2 t, 2 t + 1 (+ 8)
        const bool second = t & 1;                // after the reduction the lane keeps row quad + 8 ...
        const int first_kept = t >> 1 ? kept : 0; // ... and these components of the panel
        if (group == 1)
            named_arrive(1, 256); // warpgroup 0 begins (and takes the last, unused arrival at the end)
        const std::uint16_t* const order = listed ? p.lists.order : nullptr;
        for (int i = first_item; i < tiles * p.ranges; i += item_step) {
            const density_item item(p, listed, tiles, i);
            if (item.begin == item.end)
                continue;
            const int warp_place = (item.tile * tensor_cluster + static_cast<int>(cluster_rank())) * tensor_block_rows +
                                   group * 64 + warp % 4 * 16;
            row_pieces<D / 16> x;
            x.load(p, order, warp_place, quad, t);
            const int my_place = warp_place + quad + (second ? 8 : 0), my_row = row_of(p, order, my_place);
            for (int at = item.begin; at < item.end; ++at) {
                float q[2][L::components] = {};
                float2 parameters[kept];
                panel_squares<D>(x, ring, memory, group, lane, q, parameters, first_kept);
                float lp[kept];
                panel_densities(q, parameters, t, lp);
                const int component = item.panel(at) * L::components + first_kept;
                if (my_place < p.rows)
#pragma unroll
                    for (int c = 0; c < kept; ++c)
                        if (component + c < p.components)
                            p.densities[(component + c) * p.slab_rows + my_row] = lp[c];
            }
            if (item.begin == 0 && t < 2 && my_place < p.rows)
                p.sizes[my_row] = second ? x.largest[1] : x.largest[0];
        }
        if (group == 0)
            named_sync(1, 256);
    }
    cluster_sync(); // no block leaves while the other copies to it or arrives on its barriers
}

} // namespace elbo::kernels::cuda
