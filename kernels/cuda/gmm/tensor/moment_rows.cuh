// The rows that a team of the moment kernel sums: those of its unit in which any of its components is active, in
// ascending order. All others have responsibilities or weights of exactly 0.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/device_views.hpp"
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

/// What a thread is in its team, and what the team does: list i is component first + i of the unit. The blocks of a
/// cluster have the same components of consecutive units.
template <int D>
struct moment_place {
    using L = moment_layout<D>;
    int team, thread, stripe, warp, lane, quad, t, half;
    int dim;   ///< dimensions of this thread: dim, dim + 1
    bool used; ///< whether the warp has dimensions
    int first; ///< component
    std::int64_t first_row;
    int rows; ///< of the unit, 0 beyond the last one

    __device__ __forceinline__ explicit moment_place(const moment_arguments& p) {
        // through a shuffle: the compiler then knows that it is the same for the warp (descriptors in uniform
        // registers)
        team = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / L::team_threads, 0);
        thread = static_cast<int>(threadIdx.x) % L::team_threads;
        stripe = thread / 128, warp = thread / 32 % 4, lane = thread % 32, quad = lane / 4, t = lane % 4;
        half = L::halves == 2 ? warp / 2 : 0;
        dim = stripe * 64 + 16 * (L::halves == 2 ? warp % 2 : warp) + 2 * quad;
        const int sets = (p.components + L::components - 1) / L::components;
        used = L::full || stripe * 64 + 16 * warp < L::columns;
        const int ranks = cluster_size(), cluster = static_cast<int>(blockIdx.x) / ranks;
        first = cluster % sets * L::components + team * L::lists;
        first_row = (cluster / sets * ranks + cluster_rank()) * unit_rows;
        rows = static_cast<int>(max(min(unit_rows, p.rows - first_row), std::int64_t(0)));
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

/// The active rows of a team and its exponents.
template <int D>
struct moment_rows {
    using L = moment_layout<D>;
    static constexpr int warps = L::team_threads / 32, warp_rows = static_cast<int>(unit_rows) / warps;
    int count;               ///< of the list
    int exponents[L::lists]; ///< e of each component

    /// Writes the list, filled up to whole tiles with row 0. A warp looks at consecutive rows, 32 at a time. `scratch`:
    /// (lists + 1) x warps.
    __device__ __forceinline__ moment_rows(const moment_arguments& p, const moment_place<D>& at, std::uint16_t* list,
                                           float* scratch) {
        int* const found = reinterpret_cast<int*>(scratch + L::lists * warps);
        const int warp = at.thread / 32;
        float most[L::lists];
        const unsigned mine = find(p, at, warp * warp_rows, most);
        int upto = __popc(mine);
        for (int distance = 1; distance < 32; distance *= 2) {
            const int before = __shfl_up_sync(0xffffffffu, upto, distance);
            upto += at.lane >= distance ? before : 0;
        }
#pragma unroll
        for (int i = 0; i < L::lists; ++i) {
            for (int distance = 16; distance > 0; distance /= 2)
                most[i] = fmaxf(most[i], __shfl_xor_sync(0xffffffffu, most[i], distance));
            if (at.lane == 0)
                scratch[i * warps + warp] = most[i];
        }
        if (at.lane == 31)
            found[warp] = upto;
        at.sync();
        int before = 0;
        count = 0;
        for (int w = 0; w < warps; ++w) {
#pragma unroll
            for (int i = 0; i < L::lists; ++i)
                most[i] = fmaxf(most[i], scratch[i * warps + w]);
            before += w < warp ? found[w] : 0;
            count += found[w];
        }
#pragma unroll
        for (int i = 0; i < L::lists; ++i)
            exponents[i] = exponent_below(most[i]);
        write(at, warp * warp_rows, mine, before + upto - __popc(mine), list);
        if (at.thread < L::rows) // the last tile is full
            list[count + at.thread] = 0;
        at.sync();
    }

private:
    /// Bit b of the result of lane l: row first + 32 l + b is active and has a weight. `most`: of each list, for these
    /// rows of this lane, the largest log2 of a bound of √(w r) (|x| + |μ|).
    __device__ __forceinline__ static unsigned find(const moment_arguments& p, const moment_place<D>& at, int first,
                                                    float (&most)[L::lists]) {
        const float* lp[L::lists];
        float mean_size[L::lists];
#pragma unroll
        for (int i = 0; i < L::lists; ++i) {
            lp[i] = p.densities + at.component(p, i) * p.slab_rows + at.first_row + first + at.lane;
            mean_size[i] = p.mean_sizes[at.component(p, i)];
            most[i] = -INFINITY;
        }
        unsigned mine = 0;
        constexpr int batch = 8; // reads that are on their way
        const float4* weights = p.weights + at.first_row + first + at.lane;
        int left = at.rows - first - at.lane;
        for (int word = 0; word < warp_rows / 32 && first + 32 * word < at.rows; word += batch) {
            float4 w[batch];
            float below[batch][L::lists];
#pragma unroll
            for (int b = 0; b < batch; ++b) {
                w[b] = 32 * b < left ? __ldg(weights + 32 * b) : make_float4(0, 0, 0, 0);
#pragma unroll
                for (int i = 0; i < L::lists; ++i)
                    below[b][i] = 32 * b < left ? __ldg(lp[i] + 32 * b) : 0.0f;
            }
            weights += 32 * batch, left -= 32 * batch;
#pragma unroll
            for (int i = 0; i < L::lists; ++i)
                lp[i] += 32 * batch;
#pragma unroll
            for (int b = 0; b < batch; ++b) {
                bool active = false;
#pragma unroll
                for (int i = 0; i < L::lists; ++i) {
                    below[b][i] -= w[b].x;
                    if (below[b][i] >= p.active && w[b].y > 0) {
                        most[i] = fmaxf(most[i], 0.5f * below[b][i] + fmaxf(w[b].z, w[b].w + mean_size[i]));
                        active = true;
                    }
                }
                const unsigned found = __ballot_sync(0xffffffffu, active);
                mine = at.lane == word + b ? found : mine;
            }
        }
        return mine;
    }

    /// Writes the rows of `mine` of all lanes, those of this lane from place `to` on.
    __device__ __forceinline__ static void write(const moment_place<D>& at, int first, unsigned mine, int to,
                                                 std::uint16_t* list) {
        for (int word = 0; word < warp_rows / 32; ++word) {
            const unsigned found = __shfl_sync(0xffffffffu, mine, word);
            const int place = __shfl_sync(0xffffffffu, to, word) + __popc(found & ((1u << at.lane) - 1));
            if (found >> at.lane & 1)
                list[place] = static_cast<std::uint16_t>(first + 32 * word + at.lane);
        }
    }
};

} // namespace elbo::kernels::cuda
