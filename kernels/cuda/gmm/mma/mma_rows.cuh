// The first stage of a tile: rows from device memory to fp16 pieces and columns in shared memory. And the third: the
// row rule.
#pragma once

#include "kernels/cuda/core/cluster.cuh"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/mma/mma_block.cuh"

namespace elbo::kernels::cuda {

/// The rows of a tile, and zeros behind the end. Rows of weight zero become zero: they do not count, and
/// what lies there may have overflowed. Four threads a row, each with dimensions 2 t, 2 t + 1, 8 + 2 t, 9 + 2 t.
template <class Block>
__device__ __forceinline__ void load_tile(const mma_arguments& a, const Block& b, int tile) {
    typename Block::rows_memory& m = *b.rows;
    const int p = static_cast<int>(padded(a.shape.dimensions));
    const std::int64_t first = a.begin() + tile * mma_rows;
    for (int task = static_cast<int>(threadIdx.x); task < 4 * mma_rows; task += static_cast<int>(blockDim.x)) {
        const int row = task / 4, t = task % 4;
        float2 low{0, 0}, high{0, 0};
        float weight = 0;
        if (first + row < a.rows.rows) {
            const float* x = a.rows.x + (first + row) * a.rows.stride + 2 * t;
            weight = a.rows.weights ? __ldg(a.rows.weights + first + row) : 1.0f;
            low = __ldg(reinterpret_cast<const float2*>(x));
            if (8 + 2 * t < p)
                high = __ldg(reinterpret_cast<const float2*>(x + 8));
            if (first + row + mma_rows < a.rows.rows)
                asm volatile("prefetch.global.L2 [%0];" ::"l"(x + mma_rows * a.rows.stride));
        }
        if (weight == 0)
            low = high = make_float2(0, 0);
        float most = fmaxf(fmaxf(::fabsf(low.x), ::fabsf(low.y)), fmaxf(::fabsf(high.x), ::fabsf(high.y)));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        const power_scale power = scale_below(most);
        const float v0 = low.x * power.scale, v1 = low.y * power.scale;
        const float v2 = high.x * power.scale, v3 = high.y * power.scale;
        const unsigned h0 = pack_half(v0, v1), h1 = pack_half(v2, v3);
        uint4(&pieces)[2][32] = m.pieces[tile % 2][row / 16];
        unsigned* const h = reinterpret_cast<unsigned*>(&pieces[0][row % 8 * 4 + t]) + row / 8 % 2;
        unsigned* const l = reinterpret_cast<unsigned*>(&pieces[1][row % 8 * 4 + t]) + row / 8 % 2;
        h[0] = h0, h[2] = h1;
        l[0] = pack_half(v0 - low_half(h0), v1 - high_half(h0));
        l[2] = pack_half(v2 - low_half(h1), v3 - high_half(h1));
        float* column = m.columns[tile % Block::stages] + 2 * t * mma_line + (row ^ 8 * t);
        column[0] = low.x, column[mma_line] = low.y;
        column[8 * mma_line] = high.x, column[9 * mma_line] = high.y;
        if (t == 0) {
            m.unscale[tile % 2][row] = power.inverse;
            m.sizes[tile % Block::stages][row] = most;
            m.weights[tile % Block::stages][row] = weight;
        }
    }
}

/// Σ e_k and Σ e_k (m − lp_k) of a row or of a part of its components, e_k = 2^(lp_k − m), m their largest.
struct mma_row {
    float most, sum, spread;
};

inline constexpr int most_held = most_mma_components / 8;
/// The log-densities of a row in the lanes that share it: eight, each with every eighth component.
template <int Held>
struct held_densities {
    float* lp; ///< of the first one
    int part, slots;
    float v[Held];

    template <class Block>
    __device__ __forceinline__ held_densities(const Block& b, int tile, int row) {
        part = b.lane / 4, slots = b.slots;
        lp = b.densities_of(tile) + part * mma_column + (row ^ (part & 4));
#pragma unroll
        for (int j = 0; j < Held; ++j)
            v[j] = exists(j) ? lp[8 * j * mma_column] : -2e38f;
    }
    __device__ __forceinline__ bool exists(int j) const {
        return part + 8 * j < slots;
    }
    /// Of all eight lanes; v is less m then. All components count: what lies below the active set is less than 2^-24.
    __device__ __forceinline__ mma_row sums() {
        mma_row r{-3e38f, 0, 0}; // lp is finite, see mma_factors: no infinity meets a 0
#pragma unroll
        for (int j = 0; j < Held; ++j)
            r.most = fmaxf(r.most, v[j]);
        for (int distance = 4; distance < 32; distance *= 2)
            r.most = fmaxf(r.most, __shfl_xor_sync(0xffffffffu, r.most, distance));
        subtract(r.most);
#pragma unroll
        for (int j = 0; j < Held; ++j) {
            const float e = exp2_of(v[j]);
            r.sum += e;
            r.spread -= e * v[j];
        }
        for (int distance = 4; distance < 32; distance *= 2) {
            r.sum += __shfl_xor_sync(0xffffffffu, r.sum, distance);
            r.spread += __shfl_xor_sync(0xffffffffu, r.spread, distance);
        }
        return r;
    }
    __device__ __forceinline__ void subtract(float most) {
#pragma unroll
        for (int j = 0; j < Held; ++j)
            v[j] -= most;
    }
    /// √(w r) for the active set in the place of lp, zero elsewhere; `root` is √(w / Σ).
    __device__ __forceinline__ void store_shares(float root, float active) const {
#pragma unroll
        for (int j = 0; j < Held; ++j) {
            const float share = exp2_of(0.5f * v[j]) * root;
            if (exists(j))
                lp[8 * j * mma_column] = v[j] >= active ? share : 0.0f;
        }
    }
};

/// What the row rule says of a row, to the scalars, and its shares.
template <class Block, int Held>
__device__ __forceinline__ void finish_row(const mma_arguments& a, const Block& b, int tile, int row, const mma_row& r,
                                           const held_densities<Held>& lp) {
    lp.store_shares(square_root(b.rows->weights[tile % Block::stages][row] * reciprocal(r.sum)),
                    -24 - log2_of(static_cast<float>(a.shape.components)));
    if (b.lane < 4)
        b.rows->results[tile % 2][row] = make_float4(r.most, r.sum, r.spread, 0);
}

/// Row rule of a tile by one block.
template <int Held>
__device__ __forceinline__ void tile_shares_of(const mma_arguments& a, const mma_block<false>& b, int tile) {
    for (int row = 4 * b.warp + b.t; row < mma_rows; row += static_cast<int>(blockDim.x) / 8) {
        held_densities<Held> lp(b, tile, row);
        finish_row(a, b, tile, row, lp.sums(), lp);
    }
}
__device__ __forceinline__ void tile_shares(const mma_arguments& a, const mma_block<false>& b, int tile) {
    if (b.slots <= 16)
        tile_shares_of<2>(a, b, tile);
    else if (b.slots <= 32)
        tile_shares_of<4>(a, b, tile);
    else
        tile_shares_of<most_held>(a, b, tile);
}

/// The first half of it in a cluster: sums of the components of this rank, told to all ranks.
__device__ __forceinline__ void tell_parts(const mma_arguments& a, const mma_block<true>& b, int tile) {
    for (int row = 4 * b.warp + b.t; row < mma_rows; row += static_cast<int>(blockDim.x) / 8) {
        const mma_row r = held_densities<most_held>(b, tile, row).sums();
        if (b.lane / 4 < a.tuning.ranks)
            store_in_rank(&b.rows->exchange[tile % 2][cluster_rank()][row], b.lane / 4,
                          make_float4(r.most, r.sum, r.spread, 0));
    }
}

/// The second half: the sums of all ranks, in their order, and the shares of the components of this one.
__device__ __forceinline__ void join_parts(const mma_arguments& a, const mma_block<true>& b, int tile) {
    for (int row = 4 * b.warp + b.t; row < mma_rows; row += static_cast<int>(blockDim.x) / 8) {
        const float4(&parts)[most_mma_ranks][mma_rows] = b.rows->exchange[tile % 2];
        mma_row r{parts[0][row].x, 0, 0};
#pragma unroll 1
        for (int i = 1; i < a.tuning.ranks; ++i)
            r.most = fmaxf(r.most, parts[i][row].x);
#pragma unroll 1
        for (int i = 0; i < a.tuning.ranks; ++i) {
            const float4 part = parts[i][row];
            const float below = part.x - r.most, factor = exp2_of(below);
            r.sum += factor * part.y;
            r.spread += factor * (part.z - below * part.y);
        }
        held_densities<most_held> lp(b, tile, row);
        lp.subtract(r.most);
        finish_row(a, b, tile, row, r, lp);
    }
}

/// What the rows add to the scalars of the fit, a thread a row.
template <class Block>
__device__ __forceinline__ void add_scalars(const mma_arguments& a, const Block& b, int tile) {
    const int row = static_cast<int>(threadIdx.x);
    if (row >= mma_rows || b.rows->weights[tile % Block::stages][row] == 0)
        return;
    const float4 result = b.rows->results[tile % 2][row];
    const double w = static_cast<double>(b.rows->weights[tile % Block::stages][row]);
    const double log_sum = static_cast<double>(log2_of(result.y));
    const double spread = static_cast<double>(result.z * reciprocal(result.y));
    b.rows->scalars[scalar_log_likelihood][row] +=
        w * ((static_cast<double>(result.x) + log_sum) * ln_2 + *a.model.reference);
    b.rows->scalars[scalar_entropy][row] += w * ((log_sum + spread) * ln_2);
    b.rows->scalars[scalar_weight][row] += w;
}

} // namespace elbo::kernels::cuda
