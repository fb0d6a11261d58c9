// The last stage of a tile: weighted moments of the four components of a warp about their means,
//
//   z = s (x − μ_k), s = √(w r) 2^e, z = h + l (two fp16),  S2 = Σ z zᵀ,  S1 = Σ s z,  N = Σ w r.
//
// With H = Σ h hᵀ and L = Σ h lᵀ, S2 = H + L + Lᵀ but for l l. The contraction runs over 16 rows; lane (quad, t) has
// dimensions quad and quad + 8 of rows 4 t ... 4 t + 3, which are registers of A and of B at once: the order of rows is
// free, and the same for both. Groups of 16 rows in which no row has a share are left out: they would add zeros.
//
// e is that of the tile and component: the largest s (|x| + |μ|) lies below 2^14, so that z is off by 2⁻²³ |z| + 2⁻³⁸
// max at most. The accumulators, which the tensor cores truncate, start from zero in each tile: four steps of each
// product. Their values, times 2^−2e, are added to float32, 64 tiles a chain, and at the end of the chunk to the
// fixed-point sums.
#pragma once

#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/mma/mma_block.cuh"

namespace elbo::kernels::cuda {

/// Sums of the components of a warp over a chunk.
struct mma_sums {
    float second[mma_components][2][4] = {}; ///< H + 2 L, dimensions quad (+ 8) by 8 i + 2 t (+ 1)
    float first[mma_components][2] = {};     ///< of dimensions quad, quad + 8 over this lane's rows
    float weight = 0;                        ///< of component lane / 8, over this lane's rows
};

/// Which groups of 16 rows have a share in the components of a warp, and the inverses of their powers of two. Lanes
/// keep them until a component's turn comes: registers are full.
struct mma_shares {
    unsigned some[2]; ///< for each half of the tile a bit a lane: its quad of rows has a share in component lane / 8
    float inverse;    ///< of component lane / 8

    /// Bits 4 i ... 4 i + 3 are those of group i.
    __device__ __forceinline__ unsigned groups(int c) const {
        return (some[0] >> 8 * c & 0xff) | (some[1] >> 8 * c & 0xff) << 8;
    }
    __device__ __forceinline__ float unscale(int c) const { return __shfl_sync(0xffffffffu, inverse, 8 * c); }
};

/// Scales the shares of the warp's components by 2^e, adds up N; eight lanes a component, each with eight rows.
template <class Block>
__device__ __forceinline__ mma_shares scale_shares(const Block& b, int tile, mma_sums& sums) {
    const int c = b.lane / 8, q = b.lane % 8;
    float4* const own = reinterpret_cast<float4*>(b.densities_of(tile) + (b.first + c) * mma_column) + (q ^ b.flip());
    const float4* const sizes = reinterpret_cast<const float4*>(b.rows->sizes[tile % Block::stages]) + q;
    const float mean_size = b.mean_sizes[b.first + c];
    float4 s[2];
    float bound = 0, weight = 0;
    unsigned some[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float4 v = s[half] = own[8 * half], size = sizes[8 * half];
        weight += v.x * v.x;
        weight += v.y * v.y;
        weight += v.z * v.z;
        weight += v.w * v.w;
        const float reach = fmaxf(fmaxf(v.x * (size.x + mean_size), v.y * (size.y + mean_size)),
                                  fmaxf(v.z * (size.z + mean_size), v.w * (size.w + mean_size)));
        bound = fmaxf(bound, reach);
        some[half] = __ballot_sync(0xffffffffu, reach > 0);
    }
    sums.weight += weight;
    for (int distance = 1; distance < 8; distance *= 2)
        bound = fmaxf(bound, __shfl_xor_sync(0xffffffffu, bound, distance));
    const power_scale power = scale_below(bound);
#pragma unroll
    for (int half = 0; half < 2; ++half)
        own[8 * half] = make_float4(s[half].x * power.scale, s[half].y * power.scale, s[half].z * power.scale,
                                    s[half].w * power.scale);
    __syncwarp();
    return {{some[0], some[1]}, power.inverse};
}

/// Moments of component number c of the warp over the tile.
template <class Block>
__device__ __forceinline__ void add_component(const Block& b, int tile, int c, unsigned groups, float inverse,
                                              float (&second)[2][4], float (&first)[2]) {
    const float4* s =
        reinterpret_cast<const float4*>(b.densities_of(tile) + (b.first + c) * mma_column) + (b.t ^ b.flip());
    const float* const mean = b.components[b.first + c].means + b.quad;
    const float mean0 = mean[0], mean1 = mean[8];
    const float* columns = b.rows->columns[tile % Block::stages] + b.quad * mma_line;
    const int first_half = 4 * b.t ^ b.quad / 2 * 8, second_half = first_half ^ 16; // rows 4 t of two groups
    float high[2][4] = {}, low[2][4] = {}, sum0 = 0, sum1 = 0;
#pragma unroll 1
    for (int pair = 0; pair < mma_groups / 2; ++pair, groups >>= 8, s += 8, columns += 32)
#pragma unroll
        for (int group = 0; group < 2; ++group) {
            if ((groups & 15u << 4 * group) == 0)
                continue;
            const float4 scale = s[4 * group];
            const float* const x = columns + (group ? second_half : first_half);
            const float4 x0 = *reinterpret_cast<const float4*>(x);
            const float4 x1 = *reinterpret_cast<const float4*>(x + 8 * mma_line);
            const float z0[4] = {(x0.x - mean0) * scale.x, (x0.y - mean0) * scale.y, (x0.z - mean0) * scale.z,
                                 (x0.w - mean0) * scale.w};
            const float z1[4] = {(x1.x - mean1) * scale.x, (x1.y - mean1) * scale.y, (x1.z - mean1) * scale.z,
                                 (x1.w - mean1) * scale.w};
            sum0 += scale.x * z0[0], sum1 += scale.x * z1[0];
            sum0 += scale.y * z0[1], sum1 += scale.y * z1[1];
            sum0 += scale.z * z0[2], sum1 += scale.z * z1[2];
            sum0 += scale.w * z0[3], sum1 += scale.w * z1[3];
            unsigned h[4], l[4]; // dimensions quad, quad + 8 of rows 4 t, 4 t + 1; of rows 4 t + 2, 4 t + 3
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                h[2 * i] = pack_half(z0[2 * i], z0[2 * i + 1]);
                h[2 * i + 1] = pack_half(z1[2 * i], z1[2 * i + 1]);
                l[2 * i] = pack_half(z0[2 * i] - low_half(h[2 * i]), z0[2 * i + 1] - high_half(h[2 * i]));
                l[2 * i + 1] = pack_half(z1[2 * i] - low_half(h[2 * i + 1]), z1[2 * i + 1] - high_half(h[2 * i + 1]));
            }
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                multiply_16(high[i], h[0], h[1], h[2], h[3], h[i], h[2 + i]);
                multiply_16(low[i], h[0], h[1], h[2], h[3], l[i], l[2 + i]);
            }
        }
    const float unscale = inverse * inverse;
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e)
            second[i][e] += (high[i][e] + 2 * low[i][e]) * unscale;
    first[0] += sum0 * unscale;
    first[1] += sum1 * unscale;
}

template <class Block>
__device__ __forceinline__ void tile_moments(const Block& b, int tile, mma_sums& sums) {
    const mma_shares shares = scale_shares(b, tile, sums);
#pragma unroll
    for (int c = 0; c < mma_components; ++c)
        if (const unsigned groups = shares.groups(c); groups != 0)
            add_component(b, tile, c, groups, shares.unscale(c), sums.second[c], sums.first[c]);
}

/// Adds the sums of the warp's components over a chunk to those of the fit.
template <class Block>
__device__ __forceinline__ void flush_sums(const mma_arguments& a, const Block& b, const mma_sums& sums) {
    constexpr int width = mma_dimensions + 1;
    static_assert(mma_dimensions * width <= mma_components * mma_column);
    float* const matrix = b.densities + b.first * mma_column; // this warp's alone
    const int d = static_cast<int>(a.shape.dimensions);
    const std::int64_t size = statistics_size(gmm::family::full, d);
    const auto add = [&](int c, int entry, double value) {
        add_fixed(a.sums.limbs, a.sums.count, (a.first() + b.first + c) * size + entry, value,
                  a.sums.component_exponent);
    };
    double weight = static_cast<double>(sums.weight);
    for (int distance = 1; distance < 8; distance *= 2)
        weight += __shfl_xor_sync(0xffffffffu, weight, distance);
    if (b.lane % 8 == 0 && b.first + b.lane / 8 < a.count())
        add(b.lane / 8, 0, weight);
#pragma unroll
    for (int c = 0; c < mma_components; ++c) {
        if (b.first + c >= a.count())
            break;
        double first[2] = {static_cast<double>(sums.first[c][0]), static_cast<double>(sums.first[c][1])};
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            first[i] += __shfl_xor_sync(0xffffffffu, first[i], 1);
            first[i] += __shfl_xor_sync(0xffffffffu, first[i], 2);
        }
        if (b.t < 2 && b.quad + 8 * b.t < d)
            add(c, 1 + b.quad + 8 * b.t, b.t ? first[1] : first[0]);
        __syncwarp(); // that of the component before has been read
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
            for (int e = 0; e < 4; ++e)
                matrix[(b.quad + e / 2 * 8) * width + 8 * i + 2 * b.t + e % 2] = sums.second[c][i][e];
        __syncwarp();
        // Rows i and 15 − i of the triangle have 17 numbers together.
#pragma unroll 1
        for (int at = b.lane; at < mma_dimensions / 2 * width; at += 32) {
            const int line = at / width, place = at % width;
            const bool upper = place < mma_dimensions - line;
            const int i = upper ? line : mma_dimensions - 1 - line;
            const int j = upper ? line + place : place - 1;
            if (j < d)
                add(c, 1 + d + static_cast<int>(packed_upper(i, j, d)),
                    0.5 * (static_cast<double>(matrix[i * width + j]) + static_cast<double>(matrix[j * width + i])));
        }
    }
}

} // namespace elbo::kernels::cuda
