// The weights of a decoder in fp16 pieces, as the kernel of the bound streams them.
#pragma once

#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/vae/bound/bound.hpp"

#include <cuda_fp16.h>

namespace elbo::kernels::cuda {

inline constexpr int bound_weight_threads = 256;

/// A layer, and where it goes.
struct bound_layer {
    layer_view layer;
    int steps;        ///< of the contraction
    int tile_columns; ///< of bound_tile
    bool latents;     ///< the inputs are latents: in the order in which draws are made, four a thread
    float padding;    ///< bias of columns that do not exist
    unsigned char* panels;
    float2* columns;
};

/// Where the number for input i of a step and column n of an instruction lies in it.
__device__ __forceinline__ int place_in_step(int n, int i) {
    return n / 8 * 256 + i / 8 * 128 + n % 8 * 16 + i % 8 * 2;
}

/// A block for eight columns: reads them twice, 8 bytes a weight, and writes 4 bytes for each: predicted for an
/// H200 2.8 us a million weights (4.27 TB/s), so that for most decoders the launch decides. Each column is multiplied
/// by a power of two, so that h and l keep 22 bits of its largest weight and of those down to 2^-17 of it.
__global__ void __launch_bounds__(bound_weight_threads) write_bound_layer(const bound_layer to) {
    constexpr int lines = bound_weight_threads / 8;
    __shared__ float largest[lines][8];
    const int n = static_cast<int>(threadIdx.x) % 8, line = static_cast<int>(threadIdx.x) / 8;
    const int column = static_cast<int>(blockIdx.x) * 8 + n;
    const int inputs = static_cast<int>(to.layer.inputs), outputs = static_cast<int>(to.layer.outputs);
    const bool exists = column < outputs;
    const matrix& w = to.layer.weights;
    float most = 0;
    for (int k = line; k < inputs && exists; k += lines)
        most = fmaxf(most, ::fabsf(w(k, column)));
    largest[line][n] = most;
    __syncthreads();
    for (int i = 0; i < lines; ++i)
        most = fmaxf(most, largest[i][n]);
    const power_scale power = scale_below(most);
    if (line == 0)
        to.columns[column] = exists ? make_float2(to.layer.bias[column], power.inverse) : make_float2(to.padding, 0);
    unsigned char* const low = to.panels + std::int64_t(column / to.tile_columns) * 64 * to.tile_columns * to.steps;
    unsigned char* const high = low + 32 * to.tile_columns * to.steps;
    for (int at = line; at < 16 * to.steps; at += lines) {
        const int s = at / 16, i = at % 16;
        const int k = to.latents ? 16 * s + 4 * (i % 8 / 2) + 2 * (i / 8) + i % 2 : at;
        const float v = exists && k < inputs ? w(k, column) * power.scale : 0.0f;
        const __half h = __float2half_rn(v);
        const int place = s * 32 * to.tile_columns + place_in_step(column % to.tile_columns, i);
        *reinterpret_cast<__half*>(low + place) = __float2half_rn(v - __half2float(h));
        *reinterpret_cast<__half*>(high + place) = h;
    }
}

} // namespace elbo::kernels::cuda
