// Weighted moments of each component of a unit about its mean, on the tensor cores, over the rows in which a component
// of the team is active (moment_rows.cuh):
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
//   D > 64    two warpgroups, 64 dimensions each, of which the last warps may have none, n = D; what lies above the
//             diagonal blocks of M is not what lies below them (h 2 l), and three products for one block instead of
//             two for each would save an eighth at most
//   D = 32    one warpgroup, two components side by side in M and N; the off-diagonal half of M is not used
//
// A step is 32 rows of one component: build (h in registers and shared memory, l in shared memory), one barrier of the
// team, 4 wgmmas, which run while the next step is built. Every 256 rows the accumulators, which the tensor cores
// truncate, are added to registers rounded to nearest; at the end of the unit those go to shared memory, and for the
// units of a cluster together to the fixed-point sums (moment_sums.cuh).
//
// Error of z: 2⁻²³ |z| + 2⁻⁴⁰ max |z|, and the relative error of √(w r); of a sum of 4096 rows, 16 chains of 32
// truncated steps: 48 · 2⁻²³ Σ |z_i z_j| at most, 2⁻²¹ seen.
//
// Reads 4 rows · d bytes a team (D = 32: for four components, 64: for two, 128: one) and density and weight of each
// component, for the rows that are summed; before that all densities once, and 16 bytes a row and team, from L2; writes
// 24 K S bytes a cluster as atomics. Tensor work: 2 · 2 · 64 · 64 a row that is summed and component at D = 64.
// Predicted for 1e6 rows on an H200, all active: 64 x 256 in 7.0 ms and 0.5 of atomics, 32 x 256 in 3.5 and 0.15; 2e5 x
// 64 x 64 in 0.37 and 0.03; 1e5 x 128 x 32 in 0.4; 1e6 x 65 x 256 in 19 (tensor work 13, issue and L2 15). Where a row
// is active in one component, 1e6 x 64 x 256 in 1 ms and 0.5 of atomics: 2 GB from L2 (0.4) while 50 instructions a row
// and team run (0.2), 70 a number and unit (0.4), and what a block waits for memory, some 8000 clocks in 119 turns
// (0.5).
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/moment_rows.cuh"
#include "kernels/cuda/gmm/tensor/moment_sums.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Thread i of a team computes √(w r) of place i % rows of list i / rows, two tiles ahead.
template <int D>
struct weight_ring {
    using L = moment_layout<D>;
    float* ring;                 ///< of the team
    const std::uint16_t* chosen; ///< the list of rows, from this place on
    const float* lp;
    const float4* rows;
    int list, count; ///< rows of the list from this place on
    float scale, active;
    float my_lp = 0;
    float2 my_row = {};
    float chain = 0;
    double total = 0; ///< Σ w r of this place

    __device__ __forceinline__ void start(const moment_arguments& p, const moment_place<D>& at, float* to,
                                          const std::uint16_t* rows_of_team, const moment_rows<D>& active_rows) {
        const int mine = at.thread / L::rows, place = at.thread % L::rows;
        list = mine < L::lists ? mine : -1;
        count = mine < L::lists && at.exists(p, mine) ? active_rows.count - place : 0;
        ring = to + place;
        chosen = rows_of_team + place;
        active = p.active;
        int exponent = active_rows.exponents[0];
#pragma unroll
        for (int i = 1; i < L::lists; ++i)
            exponent = mine == i ? active_rows.exponents[i] : exponent;
        scale = __int_as_float((127 + exponent) << 23);
        lp = p.densities + at.component(p, mine) * p.slab_rows + at.first_row;
        rows = p.weights + at.first_row;
    }
    __device__ __forceinline__ void fetch(int tile) {
        my_lp = 0, my_row = make_float2(0, 0);
        if (tile * L::rows < count) {
            const unsigned row = chosen[tile * L::rows];
            my_lp = __ldg(lp + row);
            my_row = __ldg(reinterpret_cast<const float2*>(rows + row));
        }
    }
    __device__ __forceinline__ void store(int tile) {
        if (list < 0)
            return;
        const float below = my_lp - my_row.x;
        const float s = below >= active ? exp2_of(0.5f * below) * my_row.y : 0.0f;
        ring[((tile & 3) * L::lists + list) * L::rows] = s * scale;
        chain += s * s;
    }
    __device__ __forceinline__ void promote() {
        total += static_cast<double>(chain);
        chain = 0;
    }
    /// N to the exchange: the threads of a list are a warp.
    __device__ __forceinline__ void leave(const moment_place<D>& at, double* first) {
        for (int distance = 16; distance > 0; distance /= 2)
            total += __shfl_xor_sync(0xffffffffu, total, distance);
        if (list >= 0 && at.lane == 0)
            first[list * (1 + D)] = total;
    }
};

/// What a team keeps in registers, and its buffers.
template <int D>
struct moment_team {
    using L = moment_layout<D>;
    static constexpr int C = L::pairs, blocks = L::row_blocks, kept = L::columns / 2;
    const float* scale_ring;
    const float* my_x;         ///< dimensions dim, dim + 1 of the first row of the unit
    const std::uint16_t* rows; ///< the list, from row 4 t of a tile on
    weight_ring<D> weights;
    unsigned buffers, buffer, store_at; ///< that of the step: three take turns, see build
    int tiles;
    float mean[C][2];
    float2 x[blocks][4] = {}; ///< x[kk][j]: dimensions dim, dim + 1 of row 16 kk + 4 t + j of a tile of the list
    float acc[C][kept] = {}, master[C][kept] = {};
    float chain[C][2] = {}, first[C][2] = {}; ///< S1: of 256 rows, and all

    __device__ __forceinline__ moment_team(const moment_arguments& p, const moment_place<D>& at, unsigned char* own,
                                           const std::uint16_t* list, const moment_rows<D>& active) {
        float* const ring = reinterpret_cast<float*>(own + 3 * L::buffer_bytes);
        scale_ring = ring;
        my_x = p.x + at.first_row * p.stride + at.dim;
        buffers = buffer = shared_address(own);
        // The matrices of stmatrix in the order of the A fragment, which wgmma wants in consecutive registers, too; the
        // lanes' addresses put them where they belong: 128 bytes apart in rows, 256 in dimensions.
        store_at = at.stripe * 2048 + at.warp * 512 + at.lane / 8 % 2 * 256 + at.lane / 16 * 128 + at.lane % 8 * 16;
        rows = list + 4 * at.t;
        tiles = (active.count + L::rows - 1) / L::rows;
        weights.start(p, at, ring, list, active);
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
        const ushort4 row = *reinterpret_cast<const ushort4*>(rows + tile * L::rows + 16 * kk);
        const unsigned numbers[4] = {row.x, row.y, row.z, row.w};
#pragma unroll
        for (int j = 0; j < 4; ++j)
            x[kk][j] = __ldg(reinterpret_cast<const float2*>(my_x + std::int64_t(numbers[j]) * p.stride));
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
        if (at.used)
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
        unsigned a[2][blocks][4] = {};
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

    /// M of component c to the exchange.
    __device__ __forceinline__ void leave_products(const moment_place<D>& at, int c, float* m) const {
#pragma unroll
        for (int i = 0; i < L::columns / 8; ++i)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                const int row = at.stripe * 64 + 16 * at.warp + 2 * at.quad + e / 2;
                const int column = i / 2 * 16 + 2 * (2 * at.t + e % 2) + i % 2;
                m[row * L::exchange_width + exchange_column(column)] = master[c][4 * i + e];
            }
    }

    /// S1 of component c to the exchange: the four lanes of a quad have the same dimensions.
    __device__ __forceinline__ void leave_first(const moment_place<D>& at, int c, double scale, double* to) const {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
            double sum = static_cast<double>(first[c][e]);
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            if (at.t == 0 && at.used)
                to[(c * L::halves + at.half) * (1 + D) + 1 + at.dim + e] = 2 * scale * sum;
        }
    }
};

/// Sums the rows of a team and leaves the moments in its exchange.
template <int D>
__device__ __forceinline__ void sum_team(const moment_arguments& p, const moment_place<D>& at, unsigned char* own) {
    using L = moment_layout<D>;
    double* const first = reinterpret_cast<double*>(own + L::first_at);
    double* const scales = reinterpret_cast<double*>(own + L::scale_at);
    std::uint16_t* const list = reinterpret_cast<std::uint16_t*>(own + L::work_bytes);
    const moment_rows<D> active(p, at, list, reinterpret_cast<float*>(own));
    if (active.count == 0) {
        if (at.thread < L::lists)
            scales[at.thread] = 0;
        return;
    }

    moment_team<D> team(p, at, own, list, active);
    team.weights.fetch(0);
    team.weights.store(0);
    team.weights.fetch(1);
    team.weights.store(1);
    at.sync();
#pragma unroll
    for (int kk = 0; kk < L::row_blocks; ++kk)
        team.load_rows(p, at, 0, kk);
    team.sum_rows(p, at);

    at.sync(); // before the buffers become the exchange
#pragma unroll
    for (int c = 0; c < L::pairs; ++c) {
        if (at.used)
            team.leave_products(at, c, reinterpret_cast<float*>(own + c * L::product_bytes));
        const int exponent =
            at.half ? active.exponents[c * L::halves + L::halves - 1] : active.exponents[c * L::halves];
        const double scale = ::ldexp(0.5, -2 * exponent);
        team.leave_first(at, c, scale, first);
        if (at.dim == 0 && at.t == 0)
            scales[c * L::halves + at.half] = scale;
    }
    team.weights.leave(at, first);
}

template <int D>
__global__ void __launch_bounds__(moment_layout<D>::threads, 1) tensor_moments(const moment_arguments p) {
    using L = moment_layout<D>;
    extern __shared__ __align__(1024) unsigned char memory[];
    const moment_place<D> at(p);
    if (at.first < p.components)
        sum_team(p, at, memory + at.team * L::team_bytes);
    __shared__ double factors[L::components * most_moment_ranks];
    cluster_sync();
    add_moments<D>(p, at.first - at.team * L::lists, shared_address(memory), factors);
    cluster_sync(); // no block leaves while others read what it has left
}

} // namespace elbo::kernels::cuda
