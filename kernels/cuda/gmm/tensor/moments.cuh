// Weighted moments of each component of a unit about its mean, on the tensor cores:
//
//   z = √(w r) (x − μ_k) 2^e = h + l (two fp16),  S2 = Σ z zᵀ,  S1 = Σ √(w r) z,  N = Σ w r.
//
// With M = Σ h (h + 2 l)ᵀ, S2 = (M + Mᵀ) / 2 but for l l: both products go to the same accumulators, l is stored
// doubled. e is that of the unit and component: the largest |z| lies below 2^15, so that z keeps 23 bits of all that
// matters for the sum.
//
// A warpgroup owns 64 dimensions (the M of wgmma), the contraction runs over rows. Its threads build the A operand in
// registers: lane (quad, t) of warp w takes dimensions 16 w + 2 quad + {0, 1} of rows 4 t ... 4 t + 3 of every 16 (the
// order of rows and dimensions inside a step is free). The same registers are what stmatrix writes as core matrices,
// 128 contiguous bytes each: h and 2 l become the B operand without bank conflicts.
//
//   D = 64    one warpgroup, two components one after the other for each tile of x in registers
//   D = 128   two warpgroups, 64 dimensions each, n = 128
//   D = 32    one warpgroup, two components side by side in M and N; the off-diagonal half of M is not used
//
// A step is 32 rows of one component: build (h in registers and shared memory, l in shared memory), one barrier of the
// team, 4 wgmmas, which run while the next step is built. Every 256 rows the accumulators, which the tensor cores
// truncate, are added to registers rounded to nearest; at the end of the unit those go to the fixed-point sums.
//
// Error of z: 2⁻²³ |z| + 2⁻⁴⁰ max |z|, and the relative error of √(w r); of a sum of 4096 rows, 16 chains of 32
// truncated steps: 48 · 2⁻²³ Σ |z_i z_j| at most, 2⁻²¹ seen.
//
// Reads 4 rows · (d + 8) bytes a component of a team (d = 64: for two), densities twice, from L2; writes 24 K S bytes
// a unit as atomics. Tensor work: 2 · 2 · 64 · 64 a row and component at d = 64. Predicted for 1e6 rows on an H200: 64
// x 256 in 7.0 ms and 2 of atomics, 32 x 256 in 3.5 and 0.5; 2e5 x 64 x 64 in 0.37 and 0.1; 1e5 x 128 x 32 in 0.4.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/hopper.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/row_weights.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

struct moment_arguments {
    const float* x; ///< [rows x p], row i at i * stride
    int stride, rows, p, d;
    int components;
    float active;           ///< −Θ in units of ln 2
    const float* densities; ///< [K x slab rows]
    std::int64_t slab_rows;
    const float4* weights;   ///< [slab rows] row_weights
    const float* means;      ///< [K x p]
    const float* mean_sizes; ///< [K] log2 max_j |μ_kj|
    device_sums sums;
};

/// What a thread is in its team, and what the team does: list i is component first + i of the unit.
template <int D>
struct moment_place {
    using L = moment_layout<D>;
    int team, thread, stripe, warp, lane, quad, t, half;
    int dim;   ///< dimensions of this thread: dim, dim + 1
    int first; ///< component
    std::int64_t first_row;
    int rows;

    __device__ __forceinline__ explicit moment_place(const moment_arguments& p) {
        // through a shuffle: the compiler then knows that it is the same for the warp (descriptors in uniform
        // registers)
        team = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / L::team_threads, 0);
        thread = static_cast<int>(threadIdx.x) % L::team_threads;
        stripe = thread / 128, warp = thread / 32 % 4, lane = thread % 32, quad = lane / 4, t = lane % 4;
        half = L::halves == 2 ? warp / 2 : 0;
        dim = stripe * 64 + 16 * (L::halves == 2 ? warp % 2 : warp) + 2 * quad;
        const int sets = (p.components + L::components - 1) / L::components;
        const int unit = static_cast<int>(blockIdx.x) / sets;
        first = static_cast<int>(blockIdx.x) % sets * L::components + team * L::lists;
        first_row = unit * unit_rows;
        rows = static_cast<int>(min(unit_rows, p.rows - first_row));
    }
    __device__ __forceinline__ void sync() const { named_sync(1 + team, L::team_threads); }
    /// List i, or the last component where there is none.
    __device__ __forceinline__ int component(const moment_arguments& p, int list) const {
        return min(first + list, p.components - 1);
    }
    __device__ __forceinline__ bool exists(const moment_arguments& p, int list) const {
        return first + list < p.components;
    }
};

/// e of a component: max over the rows of log2 of a bound of √(w r) (|x| + |μ|), by the whole team; `scratch`: a float
/// for each warp of the team.
template <int D>
__device__ int moment_exponent(const moment_arguments& p, const moment_place<D>& at, int component, float* scratch) {
    using L = moment_layout<D>;
    const float* lp = p.densities + component * p.slab_rows + at.first_row;
    const float mean_size = p.mean_sizes[component];
    float most = -INFINITY;
#pragma unroll 4
    for (int n = at.thread; n < at.rows; n += L::team_threads) {
        const float4 w = __ldg(p.weights + at.first_row + n);
        const float below = __ldg(lp + n) - w.x;
        if (below >= p.active)
            most = fmaxf(most, 0.5f * below + fmaxf(w.z, w.w + mean_size));
    }
    for (int distance = 16; distance > 0; distance /= 2)
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
    at.sync(); // the scratch of the last call has been read
    if (at.lane == 0)
        scratch[at.thread / 32] = most;
    at.sync();
    for (int i = 0; i < L::team_threads / 32; ++i)
        most = fmaxf(most, scratch[i]);
    return exponent_below(most);
}

/// Thread i of a team computes √(w r) of place i % rows of list i / rows, two tiles ahead.
template <int D>
struct weight_ring {
    using L = moment_layout<D>;
    float* ring; ///< of the team
    const float* lp;
    const float2* rows;
    int list, place, count;
    float scale, active;
    float my_lp = 0;
    float2 my_row = {};
    float chain = 0;
    double total = 0; ///< Σ w r of this place

    __device__ __forceinline__ void start(const moment_arguments& p, const moment_place<D>& at, float* to,
                                          const int (&exponents)[L::lists]) {
        const int mine = at.thread / L::rows;
        list = mine < L::lists ? mine : -1;
        place = at.thread % L::rows;
        count = mine < L::lists && at.exists(p, mine) ? at.rows : 0;
        ring = to;
        active = p.active;
        int exponent = exponents[0];
#pragma unroll
        for (int i = 1; i < L::lists; ++i)
            exponent = mine == i ? exponents[i] : exponent;
        scale = __int_as_float((127 + exponent) << 23);
        lp = p.densities + at.component(p, mine) * p.slab_rows + at.first_row + place;
        rows = reinterpret_cast<const float2*>(p.weights + at.first_row + place);
    }
    __device__ __forceinline__ void fetch(int tile) {
        const bool inside = tile * L::rows + place < count;
        my_lp = inside ? __ldg(lp + tile * L::rows) : 0.0f;
        my_row = inside ? __ldg(rows + 2 * (tile * L::rows)) : make_float2(0, 0);
    }
    __device__ __forceinline__ void store(int tile) {
        if (list < 0)
            return;
        const float below = my_lp - my_row.x;
        const float s = below >= active ? exp2_of(0.5f * below) * my_row.y : 0.0f;
        ring[((tile & 3) * L::lists + list) * L::rows + place] = s * scale;
        chain += s * s;
    }
    __device__ __forceinline__ void promote() {
        total += static_cast<double>(chain);
        chain = 0;
    }
    /// Adds N to the sums: the threads of a list are a warp.
    __device__ __forceinline__ void add(const moment_arguments& p, const moment_place<D>& at) {
        for (int distance = 16; distance > 0; distance /= 2)
            total += __shfl_xor_sync(0xffffffffu, total, distance);
        if (list >= 0 && place == 0 && at.exists(p, list))
            add_fixed(p.sums.limbs, p.sums.count, at.component(p, list) * statistics_size(gmm::family::full, p.d),
                      total, p.sums.component_exponent);
    }
};

/// What a team keeps in registers, and its buffers.
template <int D>
struct moment_team {
    using L = moment_layout<D>;
    static constexpr int C = L::pairs, blocks = L::row_blocks, kept = 32 * L::stripes;
    const float* scale_ring;
    const float* my_x; ///< dimensions dim, dim + 1 of the first row
    weight_ring<D> weights;
    unsigned buffers, buffer, store_at; ///< that of the step: three take turns, see build
    int tiles;
    float mean[C][2];
    float2 x[blocks][4] = {}; ///< x[kk][j]: dimensions dim, dim + 1 of row 16 kk + 4 t + j of a tile
    float acc[C][kept] = {}, master[C][kept] = {};
    float chain[C][2] = {}, first[C][2] = {}; ///< S1: of 256 rows, and all

    __device__ __forceinline__ moment_team(const moment_arguments& p, const moment_place<D>& at, unsigned char* own,
                                           const int (&exponents)[L::lists]) {
        float* const ring = reinterpret_cast<float*>(own + 3 * L::buffer_bytes);
        scale_ring = ring;
        my_x = p.x + at.first_row * p.stride + at.dim;
        buffers = buffer = shared_address(own);
        // The matrices of stmatrix in the order of the A fragment, which wgmma wants in consecutive registers, too; the
        // lanes' addresses put them where they belong: 128 bytes apart in rows, 256 in dimensions.
        store_at = at.stripe * 2048 + at.warp * 512 + at.lane / 8 % 2 * 256 + at.lane / 16 * 128 + at.lane % 8 * 16;
        tiles = (at.rows + L::rows - 1) / L::rows;
        weights.start(p, at, ring, exponents);
#pragma unroll
        for (int c = 0; c < C; ++c) {
            const std::int64_t from = std::int64_t(at.component(p, c * L::halves + at.half)) * p.p + at.dim;
            const float2 m = at.dim < p.p ? __ldg(reinterpret_cast<const float2*>(p.means + from)) : make_float2(0, 0);
            mean[c][0] = m.x, mean[c][1] = m.y;
        }
    }

    __device__ __forceinline__ void load_rows(const moment_arguments& p, const moment_place<D>& at, int tile, int kk) {
        if (at.dim >= p.p || tile >= tiles)
            return;
        const int row = tile * L::rows + 16 * kk + 4 * at.t;
#pragma unroll
        for (int j = 0; j < 4; ++j)
            x[kk][j] =
                __ldg(reinterpret_cast<const float2*>(my_x + std::int64_t(min(row + j, at.rows - 1)) * p.stride));
    }

    /// h and 2 l of a tile and component c; h is kept in `a`, too. The buffer was read by step - 3, which every warp
    /// knew to be complete before the barrier of step - 1; `a` by step - 2, complete since this warp waited in step
    /// - 1.
    __device__ __forceinline__ void build(const moment_arguments& p, const moment_place<D>& at, int tile, int c,
                                          unsigned (&a)[blocks][4]) {
        const float* const scale = scale_ring + ((tile & 3) * L::lists + c * L::halves + at.half) * L::rows + 4 * at.t;
#pragma unroll
        for (int kk = 0; kk < blocks; ++kk) {
            const float4 s4 = *reinterpret_cast<const float4*>(scale + 16 * kk);
            const float s[4] = {s4.x, s4.y, s4.z, s4.w};
            unsigned low[4];
#pragma unroll
            for (int e = 0; e < 2; ++e)
#pragma unroll
                for (int j = 0; j < 4; j += 2) {
                    const float z0 = ((e ? x[kk][j].y : x[kk][j].x) - mean[c][e]) * s[j];
                    const float z1 = ((e ? x[kk][j + 1].y : x[kk][j + 1].x) - mean[c][e]) * s[j + 1];
                    chain[c][e] += s[j] * z0;
                    chain[c][e] += s[j + 1] * z1;
                    const unsigned high = pack_half(z0, z1);
                    a[kk][j + e] = high; // rows 4 t, 4 t + 1 are columns 2 t, 2 t + 1; the others 2 t + 8, 2 t + 9
                    low[j + e] = twice_half(pack_half(z0 - low_half(high), z1 - high_half(high)));
                }
            const unsigned to = buffer + store_at + kk * 2 * L::block_bytes;
            store_matrices(to, a[kk][0], a[kk][1], a[kk][2], a[kk][3]);
            store_matrices(to + L::block_bytes, low[0], low[1], low[2], low[3]);
            if (c == C - 1)
                load_rows(p, at, tile + 1, kk);
        }
    }

    /// Builds a tile of component c and starts its products; `begins` a chain.
    __device__ __forceinline__ void step(const moment_arguments& p, const moment_place<D>& at, int tile, int c,
                                         bool begins, unsigned (&a)[blocks][4]) {
        build(p, at, tile, c, a);
        if (c == C - 1)
            weights.store(tile + 2);
        fence_async();
        at.sync();
        pin(acc[c]);
#pragma unroll
        for (int kk = 0; kk < blocks; ++kk)
            pin(a[kk]);
        wgmma_fence();
        const unsigned long long first_block = core_descriptor(buffer);
#pragma unroll
        for (int kk = 0; kk < blocks; ++kk) {
            const unsigned long long b = first_block + kk * 2 * L::block_bytes / 16;
            wgmma_f16(acc[c], a[kk], b, kk == 0 ? !begins : 1); // h h
            wgmma_f16(acc[c], a[kk], b + L::block_bytes / 16);  // h 2 l
        }
        wgmma_commit();
        wgmma_wait<1>();
        buffer = buffer + L::buffer_bytes == buffers + 3 * L::buffer_bytes ? buffers : buffer + L::buffer_bytes;
    }

    __device__ __forceinline__ void promote() {
        wgmma_wait<0>();
#pragma unroll
        for (int c = 0; c < C; ++c) {
            pin(acc[c]);
#pragma unroll
            for (int i = 0; i < kept; ++i)
                master[c][i] += acc[c][i];
            first[c][0] += chain[c][0], first[c][1] += chain[c][1];
            chain[c][0] = chain[c][1] = 0;
        }
        weights.promote();
    }

    __device__ __forceinline__ void sum_rows(const moment_arguments& p, const moment_place<D>& at) {
        unsigned a[2][blocks][4];
        constexpr int chain_tiles = L::chain_rows / L::rows;
        for (int begin = 0; begin < tiles; begin += chain_tiles) {
            const int end = min(begin + chain_tiles, tiles);
            for (int tile = begin; tile < end; tile += 3 - C) {
                weights.fetch(tile + 2);
                step(p, at, tile, 0, tile == begin, a[0]);
                if constexpr (C == 2) {
                    step(p, at, tile, 1, tile == begin, a[1]);
                } else if (tile + 1 < end) {
                    weights.fetch(tile + 3);
                    step(p, at, tile + 1, 0, false, a[1]);
                }
            }
            promote(); // outside of the loop: a conditional promotion inside it makes ptxas serialise (C7514)
        }
    }

    /// M of component c to shared memory, by rows of `width`.
    __device__ __forceinline__ void store_products(const moment_place<D>& at, int c, float* m, int width) const {
#pragma unroll
        for (int i = 0; i < 8 * L::stripes; ++i)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                const int row = at.stripe * 64 + 16 * at.warp + 2 * at.quad + e / 2;
                const int column = i / 2 * 16 + 2 * (2 * at.t + e % 2) + i % 2;
                m[row * width + column] = master[c][4 * i + e];
            }
    }
};

/// Adds S2 = (M + Mᵀ) / 2 of a component to the sums.
template <int D>
__device__ void add_second_moments(const moment_arguments& p, const moment_place<D>& at, const float* m, int width,
                                   int component, double unscale) {
    const std::int64_t base = component * statistics_size(gmm::family::full, p.d) + 1 + p.d;
    for (int i = at.thread / 32; i < p.d; i += moment_layout<D>::team_threads / 32)
        for (int j = i + at.lane; j < p.d; j += 32) {
            const double sum = static_cast<double>(m[i * width + j]) + static_cast<double>(m[j * width + i]);
            add_fixed(p.sums.limbs, p.sums.count, base + packed_upper(i, j, p.d), 0.5 * sum * unscale,
                      p.sums.component_exponent);
        }
}

/// Adds S1 of a list to the sums: the four lanes of a quad have the same dimensions.
template <int D>
__device__ __forceinline__ void add_first_moments(const moment_arguments& p, const moment_place<D>& at,
                                                  const float (&first)[2], int list, int exponent) {
    const std::int64_t base = at.component(p, list) * statistics_size(gmm::family::full, p.d) + 1;
#pragma unroll
    for (int e = 0; e < 2; ++e) {
        double sum = static_cast<double>(first[e]);
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (at.t == 0 && at.exists(p, list) && at.dim + e < p.d)
            add_fixed(p.sums.limbs, p.sums.count, base + at.dim + e, ::ldexp(sum, -2 * exponent),
                      p.sums.component_exponent);
    }
}

template <int D>
__global__ void __launch_bounds__(moment_layout<D>::threads, 1) tensor_moments(const moment_arguments p) {
    using L = moment_layout<D>;
    extern __shared__ __align__(1024) unsigned char memory[];
    const moment_place<D> at(p);
    if (at.first >= p.components)
        return; // the whole team; teams share no barrier
    unsigned char* const own = memory + at.team * L::team_bytes;
    int exponents[L::lists];
#pragma unroll
    for (int i = 0; i < L::lists; ++i)
        exponents[i] = moment_exponent(p, at, at.component(p, i), reinterpret_cast<float*>(own));
    at.sync(); // before the scratch becomes a buffer

    moment_team<D> team(p, at, own, exponents);
    team.weights.fetch(0);
    team.weights.store(0);
    team.weights.fetch(1);
    team.weights.store(1);
    at.sync();
#pragma unroll
    for (int kk = 0; kk < L::row_blocks; ++kk)
        team.load_rows(p, at, 0, kk);
    team.sum_rows(p, at);

    float* const m = reinterpret_cast<float*>(own);
    constexpr int width = 64 * L::stripes + 1;
#pragma unroll
    for (int c = 0; c < L::pairs; ++c) {
        at.sync();
        team.store_products(at, c, m, width);
        at.sync();
#pragma unroll
        for (int h = 0; h < L::halves; ++h) {
            const int list = c * L::halves + h;
            if (at.exists(p, list))
                add_second_moments(p, at, m + h * 32 * (width + 1), width, at.component(p, list),
                                   ::ldexp(1.0, -2 * exponents[list]));
        }
        const int exponent = at.half ? exponents[c * L::halves + L::halves - 1] : exponents[c * L::halves];
        add_first_moments(p, at, team.first[c], c * L::halves + at.half, exponent);
    }
    team.weights.add(p, at);
}

} // namespace elbo::kernels::cuda
