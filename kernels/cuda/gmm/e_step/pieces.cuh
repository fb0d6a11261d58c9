// Numbers in two fp16 pieces, x = h + l, for matrix instructions, and log-densities from the squares of products of
// them.
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"

namespace elbo::kernels::cuda {

/// Two floats to fp16, the first in the low half.
__device__ __forceinline__ unsigned pack_half(float low, float high) {
    unsigned r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
__device__ __forceinline__ float low_half(unsigned v) {
    float r;
    asm("{\n.reg .b16 l, h;\nmov.b32 {l, h}, %1;\ncvt.f32.f16 %0, l;\n}" : "=f"(r) : "r"(v));
    return r;
}
__device__ __forceinline__ float high_half(unsigned v) {
    float r;
    asm("{\n.reg .b16 l, h;\nmov.b32 {l, h}, %1;\ncvt.f32.f16 %0, h;\n}" : "=f"(r) : "r"(v));
    return r;
}
/// Both halves times two.
__device__ __forceinline__ unsigned twice_half(unsigned v) {
    unsigned r;
    asm("add.rn.f16x2 %0, %1, %1;" : "=r"(r) : "r"(v));
    return r;
}

/// Power of two s with |v| s < 2^14 for |v| <= most, and its inverse; both are normal numbers.
struct power_scale {
    float scale, inverse;
};
__device__ inline power_scale scale_below(float most) {
    // 2^(e − 127) <= most < 2^(e − 126): the scale is 2^(140 − e).
    const int e = min(max(__float_as_int(most) >> 23, 14), 253);
    return {__int_as_float((267 - e) << 23), __int_as_float((e - 13) << 23)};
}

/// lp from the sum of squares of a component: parameters are its offset, and the inverse of the power of its factor.
__device__ __forceinline__ float log_density(float sum, float2 parameters) {
    // An overflow counts as very far away.
    const float q2 = fminf(sum * parameters.y * parameters.y, 1e38f);
    // ½ log2 e in two parts: its rounding alone would be the same relative error of q in every row.
    constexpr float half = static_cast<float>(0.5 * log2_e);
    constexpr float rest = static_cast<float>(0.5 * log2_e - static_cast<double>(half));
    return parameters.x - rest * q2 - half * q2;
}

/// Sums over the four lanes of a row, each lane keeping a quarter of the 2 x components values, then lp.
template <int Components>
__device__ __forceinline__ void panel_densities(const float (&q)[2][Components], const float2* parameters, int t,
                                                float (&lp)[Components / 2]) {
    constexpr int kept = Components / 2;
    const bool second = t & 1;
    float w[Components];
#pragma unroll
    for (int c = 0; c < Components; ++c) {
        const float mine = second ? q[1][c] : q[0][c], other = second ? q[0][c] : q[1][c];
        w[c] = mine + __shfl_xor_sync(0xffffffffu, other, 1);
    }
#pragma unroll
    for (int i = 0; i < kept; ++i) {
        const float mine = t >> 1 ? w[kept + i] : w[i], other = t >> 1 ? w[i] : w[kept + i];
        const float sum = mine + __shfl_xor_sync(0xffffffffu, other, 2);
        lp[i] = log_density(sum, parameters[i]);
    }
}

} // namespace elbo::kernels::cuda
