// A hidden layer: its activations stay in registers, where they are the operand of the next.
#pragma once

#include "kernels/cuda/vae/bound/products.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

/// f(product + bias) of a lane's two columns of eight for its two pairs, and the largest of them for each of the pairs;
/// c: bias and inverse of the power of two of both columns.
__device__ __forceinline__ void activate_four(vae::activation form, float (&v)[4], const float4& c,
                                              const float (&unscale)[2], float (&most)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        v[2 * row] = activate(form, v[2 * row] * (unscale[row] * c.y) + c.x);
        v[2 * row + 1] = activate(form, v[2 * row + 1] * (unscale[row] * c.w) + c.z);
        most[row] = fmaxf(most[row], fmaxf(::fabsf(v[2 * row]), ::fabsf(v[2 * row + 1])));
    }
}

/// Of accumulators that are parked. `columns`: those of the lane.
template <int Groups, int Unrolled>
__device__ __forceinline__ void activate_parked(vae::activation form, float4* parked, const float4* columns,
                                                const float (&unscale)[2], float (&most)[2]) {
#pragma unroll Unrolled
    for (int i = 0; i < Groups; ++i) {
        const float4 from = parked[i * bound_consumers];
        float v[4] = {from.x, from.y, from.z, from.w};
        activate_four(form, v, columns[4 * i], unscale, most);
        parked[i * bound_consumers] = make_float4(v[0], v[1], v[2], v[3]);
    }
}

/// Of accumulators in registers.
template <int N>
__device__ __forceinline__ void activate_registers(vae::activation form, float (&acc)[N], const float4* columns,
                                                   const float (&unscale)[2], float (&most)[2]) {
#pragma unroll
    for (int i = 0; i < N / 4; ++i) {
        float v[4] = {acc[4 * i], acc[4 * i + 1], acc[4 * i + 2], acc[4 * i + 3]};
        activate_four(form, v, columns[4 * i], unscale, most);
#pragma unroll
        for (int j = 0; j < 4; ++j)
            acc[4 * i + j] = v[j];
    }
}
/// The same with the code of the activation there once: the accumulators pass by.
template <int N>
__device__ __forceinline__ void activate_passing(vae::activation form, float (&acc)[N], const float4* columns,
                                                 const float (&unscale)[2], float (&most)[2]) {
#pragma unroll 1
    for (int i = 0; i < N / 4; ++i) {
        float v[4] = {acc[0], acc[1], acc[2], acc[3]};
        activate_four(form, v, columns[4 * i], unscale, most);
#pragma unroll
        for (int j = 0; j < N; ++j)
            acc[j] = j < N - 4 ? acc[j + 4] : v[j - (N - 4)];
    }
}

/// x becomes f(x W + b). The first half of the outputs waits in `parked`, [columns / 8][thread], for the second: what
/// is multiplied is needed until then, and the power of two of a pair follows from all of its activations.
template <int Count, int Steps>
__device__ __forceinline__ void hidden_layer(pair_pieces<Steps>& x, weight_ring<Steps>& ring, vae::activation form,
                                             const float2* columns, float4* parked) {
    using tile = bound_tile<Steps>;
    constexpr int N = tile::accumulators;
    float acc[N], most[2] = {};
    const auto* const first = reinterpret_cast<const float4*>(columns + 2 * (thread_index() % 4));
    const float4* const second = first + tile::columns / 2;
    multiply_pairs<Count>(acc, x, ring);
#pragma unroll
    for (int i = 0; i < N / 4; ++i)
        parked[i * bound_consumers] = make_float4(acc[4 * i], acc[4 * i + 1], acc[4 * i + 2], acc[4 * i + 3]);
    if (form == vae::activation::tanh)
        activate_parked<N / 4, 4>(vae::activation::tanh, parked, first, x.unscale, most);
    else
        activate_parked<N / 4, 1>(form, parked, first, x.unscale, most);
    multiply_pairs<Count>(acc, x, ring);
    if (form == vae::activation::tanh)
        activate_registers(vae::activation::tanh, acc, second, x.unscale, most);
    else
        activate_passing(form, acc, second, x.unscale, most);
    const power_scale powers[2] = {pair_scale(most[0]), pair_scale(most[1])};
    x.unscale[0] = powers[0].inverse;
    x.unscale[1] = powers[1].inverse;
#pragma unroll
    for (int i = 0; i < 2 * Steps; ++i) { // eight columns: two of this lane
        const int at = 4 * (i % Steps);
        float4 v = make_float4(acc[at], acc[at + 1], acc[at + 2], acc[at + 3]);
        if (i < Steps)
            v = parked[i * bound_consumers];
        x.set(i / 2, i % 2, 0, v.x, v.y, powers[0].scale);
        x.set(i / 2, i % 2, 1, v.z, v.w, powers[1].scale);
    }
}

} // namespace elbo::kernels::cuda
