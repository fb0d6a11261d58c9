// Operands of the products: rows and what they are multiplied with, in fp16 pieces h + l (layout.hpp).
//
// A row times a power of two, and the weights of a component times another, keep 23 of the 24 bits of a float, or lose
// 2⁻⁴⁰ of the largest number of the row. Rows of weight zero and those behind the end become zeros. Coordinates beyond
// 2⁵⁶ count as 2⁵⁶: their squares would overflow.
//
// Rows: reads and writes 4 bytes a term, 24 beside for a row; components: a warp each. For 1e6 x 128 rows on an H200
// 0.25 ms, predicted.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/products/layout.hpp"
#include "kernels/cuda/gmm/products/products.hpp"
#include "kernels/cuda/gmm/tensor/hopper.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int operand_threads = 256;
inline constexpr int weight_warps = operand_threads / 32; ///< a component each
inline constexpr float farthest_term = 0x1p56f, nearest_term = 0x1p-20f;

/// Eight terms of a line to both pieces of an operand.
__device__ __forceinline__ void store_terms(unsigned char* operand, int line, int eighth, const float (&v)[8]) {
    unsigned high[4], low[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        high[i] = pack_half(v[2 * i], v[2 * i + 1]);
        low[i] = pack_half(v[2 * i] - low_half(high[i]), v[2 * i + 1] - high_half(high[i]));
    }
    unsigned char* const to = operand + eighth * term_group_bytes + line / 8 * line_group_bytes + line % 8 * 16;
    *reinterpret_cast<uint4*>(to) = make_uint4(high[0], high[1], high[2], high[3]);
    *reinterpret_cast<uint4*>(to + product_piece_bytes) = make_uint4(low[0], low[1], low[2], low[3]);
}

/// Terms 8 · eighth ... of `width`, zeros behind it.
__device__ __forceinline__ void load_terms(const float* from, int eighth, int width, float (&v)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const float x = 8 * eighth + i < width ? __ldg(from + 8 * eighth + i) : 0.0f;
        v[i] = fminf(fmaxf(x, -farthest_term), farthest_term);
    }
}

/// Σ v² in a tree.
__device__ __forceinline__ float squares_of(const float (&v)[8]) {
    const auto pair = [&](int i) { return v[i] * v[i] + v[i + 1] * v[i + 1]; };
    return (pair(0) + pair(2)) + (pair(4) + pair(6));
}

/// A tile of 128 rows a block, two threads a row.
__global__ void __launch_bounds__(operand_threads)
    product_rows(const device_rows<float> rows, int d, int components, int stages, const product_view memory) {
    __shared__ float2 halves[2][product_lines];
    if (!all_near(memory.near, components))
        return;
    const int line = static_cast<int>(threadIdx.x) % product_lines,
              half = static_cast<int>(threadIdx.x) / product_lines;
    const std::int64_t tile = blockIdx.x;
    const std::int64_t row = tile * product_lines + line / 16 * 16 + row_of_line(line % 16);
    const bool counts = row < rows.rows && (!rows.weights || rows.weights[row] != 0);
    const int width = counts ? d : 0;
    const float* const x = rows.x + min(row, rows.rows - 1) * rows.stride;
    float most = 0, norm = 0, v[8];
    for (int eighth = half; 8 * eighth < width; eighth += 2) {
        load_terms(x, eighth, width, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            most = fmaxf(most, ::fabsf(v[i]));
        norm += squares_of(v);
    }
    halves[half][line] = make_float2(most, norm);
    __syncthreads();
    most = fmaxf(halves[0][line].x, halves[1][line].x);
    norm = halves[0][line].y + halves[1][line].y;
    const power_scale power = scale_below(fmaxf(most, nearest_term));
    if (half == 0)
        memory.row_scales[row] = make_float2(power.inverse, norm);
    unsigned char* const operands = memory.rows + tile * stages * operand_bytes;
    for (int eighth = half; eighth < 8 * stages; eighth += 2) {
        load_terms(x, eighth, width, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            v[i] *= power.scale;
        store_terms(operands + eighth / 8 * operand_bytes, line, eighth % 8, v);
    }
}

/// A component a warp, with those that fill the last block of 128: the centre in pieces, its column of parameters, and
/// whether it is near: ‖U_kᵀμ_k‖ up to the limit of the dot form, or dropped.
__global__ void __launch_bounds__(operand_threads)
    product_weights(const gmm_shape shape, const device_model<float> model, int stages, const product_view memory) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t k = blockIdx.x * std::int64_t(weight_warps) + static_cast<int>(threadIdx.x) / 32;
    const std::int64_t p = padded(shape.dimensions);
    const bool exists = k < shape.components;
    const int width = exists ? static_cast<int>(shape.dimensions) : 0;
    const float* const centre = model.means + (exists ? k * p : 0);
    float most = 0, v[8];
    for (int eighth = lane; 8 * eighth < width; eighth += 32) {
        load_terms(centre, eighth, width, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            most = fmaxf(most, ::fabsf(v[i]));
    }
    __syncwarp();
    for (int distance = 16; distance > 0; distance /= 2)
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
    const power_scale power = scale_below(fmaxf(most, nearest_term));
    unsigned char* const operands = memory.weights + k / product_lines * stages * operand_bytes;
    for (int eighth = lane; eighth < 8 * stages; eighth += 32) {
        load_terms(centre, eighth, width, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            v[i] *= power.scale;
        store_terms(operands + eighth / 8 * operand_bytes, static_cast<int>(k % product_lines), eighth % 8, v);
    }
    if (lane != 0)
        return;
    if (!exists) {
        memory.columns[k] = make_float4(0, -INFINITY, 0, 0);
        return;
    }
    constexpr float limit = static_cast<float>(dot_form_limit * dot_form_limit);
    const float u = model.factors[k * p], norm = model.norms[k], offset = model.offsets[k];
    const bool dropped = ::isinf(offset);
    memory.near[k] = dropped || (norm <= 0x1p100f && norm * u * u <= limit);
    memory.columns[k] = make_float4(dropped ? 0.0f : norm, offset, u, power.inverse);
}

} // namespace elbo::kernels::cuda
