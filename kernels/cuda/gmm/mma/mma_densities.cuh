// The second stage of a tile: log-densities lp = offset − ½ log2(e) ‖U_kᵀx − b_k‖² of 64 rows under the four components
// of a warp, whose factors stay in registers.
//
//   Pieces   x and U_k, each times a power of two, are h + l in fp16 and keep 23 of the 24 bits of a float. Three
//            products: l h, h l, h h; the small ones first, into accumulators that start from 0; b is subtracted in the
//            epilogue. The power of a row follows from the row, that of U_k from U_k.
//   Triangle Columns 0 to 7 of U_k have rows 0 to 7 alone. There the terms of one instruction are h l and l h of eight
//            dimensions each, and those of half an instruction h h; columns 8 to 15 take three whole ones.
//
// Error: with e_j = (2⁻²¹ + 2⁻²²) (Σ_i |U_ij| |x_i| + |b_j|), |q̂ − q| <= Σ_j (2 |y_j| e_j + e_j²) + 16 · 2⁻²⁴ q,
// y = Uᵀx − b, as in tensor/density.cuh.
#pragma once

#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/mma/mma_block.cuh"

namespace elbo::kernels::cuda {

/// Fragments B of the factors of a warp's components.
struct mma_factors {
    unsigned high[mma_components][3], low[mma_components][3]; ///< columns 0 to 7; 8 to 15, rows 0 to 7 and 8 to 15

    /// Reads the factors, and writes what the block keeps of the warp's components.
    template <class Block>
    __device__ __forceinline__ void load(const mma_arguments& a, const Block& b) {
        const int p = static_cast<int>(padded(a.shape.dimensions)), count = a.count();
#pragma unroll
        for (int c = 0; c < mma_components; ++c) {
            const int k = a.first() + b.first + c;
            const bool exists = b.first + c < count;
            const float* u = a.model.factors + std::int64_t(exists ? k : 0) * p * p;
            float v[3][2], most = 0;
#pragma unroll
            for (int i = 0; i < 3; ++i)
#pragma unroll
                for (int e = 0; e < 2; ++e) {
                    const int row = 2 * b.t + e + (i == 2 ? 8 : 0), column = b.quad + (i > 0 ? 8 : 0);
                    v[i][e] = exists && row < p && column < p ? __ldg(u + row * p + column) : 0.0f;
                    most = fmaxf(most, ::fabsf(v[i][e]));
                }
            for (int distance = 1; distance < 32; distance *= 2)
                most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
            const power_scale power = scale_below(most);
#pragma unroll
            for (int i = 0; i < 3; ++i) {
                const float x = v[i][0] * power.scale, y = v[i][1] * power.scale;
                high[c][i] = pack_half(x, y);
                low[c][i] = pack_half(x - low_half(high[c][i]), y - high_half(high[c][i]));
            }
            keep(a, b, b.first + c, exists, power);
        }
    }

private:
    /// Component i of the block.
    template <class Block>
    __device__ __forceinline__ static void keep(const mma_arguments& a, const Block& b, int i, bool exists,
                                                const power_scale& power) {
        const int p = static_cast<int>(padded(a.shape.dimensions)), j = b.lane % mma_dimensions;
        const bool inside = exists && j < p;
        const std::int64_t k = a.first() + i;
        const float mean = inside ? a.model.means[k * p + j] : 0.0f;
        const float shift = inside ? a.model.whitened[k * p + j] * power.scale : 0.0f;
        float size = ::fabsf(mean);
        for (int distance = 1; distance < mma_dimensions; distance *= 2)
            size = fmaxf(size, __shfl_xor_sync(0xffffffffu, size, distance));
        if (b.lane < mma_dimensions) {
            b.components[i].means[j] = mean;
            reinterpret_cast<float*>(&b.components[i].shifts[j % 8 / 2])[j / 8 * 2 + j % 2] = shift;
        }
        if (b.lane == 0) {
            // −1e38 of a dropped component: log-densities stay finite.
            b.parameters[i] = make_float2(exists ? fmaxf(a.model.offsets[k], -1e38f) : -1e38f, power.inverse);
            b.mean_sizes[i] = size + 0x1p-30f;
        }
    }
};

template <class Block>
__device__ __forceinline__ void tile_log_densities(const Block& b, int tile, const mma_factors& u) {
    const float* const unscale = b.rows->unscale[tile % 2] + b.quad;
    // The lane keeps two components, and row quad or quad + 8, of every 16 rows.
    float* const out =
        b.densities_of(tile) + (b.first + b.t / 2 * 2) * mma_column + ((b.quad + b.t % 2 * 8) ^ 4 * b.flip());
    const float4 kept = reinterpret_cast<const float4*>(b.parameters)[(b.first + b.t / 2 * 2) / 2];
    const float2 parameters[2] = {{kept.x, kept.y}, {kept.z, kept.w}};
#pragma unroll 1
    for (int group = 0; group < mma_groups; ++group) {
        const uint4 h = b.rows->pieces[tile % 2][group][0][b.lane], l = b.rows->pieces[tile % 2][group][1][b.lane];
        const float power[2] = {unscale[16 * group], unscale[16 * group + 8]};
        float q[2][mma_components];
#pragma unroll
        for (int c = 0; c < mma_components; ++c) {
            float left[4], right[4];
            multiply_first(left, h.x, h.y, l.x, l.y, u.low[c][0], u.high[c][0]);
            multiply_first(right, l.x, l.y, l.z, l.w, u.high[c][1], u.high[c][2]);
            multiply_16(right, h.x, h.y, h.z, h.w, u.low[c][1], u.low[c][2]);
            multiply_8(left, h.x, h.y, u.high[c][0]);
            multiply_16(right, h.x, h.y, h.z, h.w, u.high[c][1], u.high[c][2]);
            const float4 shift = b.components[b.first + c].shifts[b.t];
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const float y0 = left[2 * i] * power[i] - shift.x, y1 = left[2 * i + 1] * power[i] - shift.y;
                const float y2 = right[2 * i] * power[i] - shift.z, y3 = right[2 * i + 1] * power[i] - shift.w;
                q[i][c] = y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3;
            }
        }
        float lp[2];
        panel_densities(q, parameters, b.t, lp);
        out[16 * group] = lp[0];
        out[16 * group + mma_column] = lp[1];
    }
}

} // namespace elbo::kernels::cuda
