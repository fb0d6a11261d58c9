// Operands of the products: rows and what they are multiplied with, in fp16 pieces h + l (layout.hpp).
//
// A row times a power of two, and the weights of a component times another, keep 23 of the 24 bits of a float, or lose
// 2⁻⁴⁰ of the largest number of the row. Rows of weight zero and those behind the end become zeros. Coordinates beyond
// 2⁵⁶ count as 2⁵⁶: their squares would overflow.
//
// Rows: reads and writes 4 bytes a term, 20 beside for a row, for tied components twice, after d²/2 multiply-adds for
// Uᵀx; components: a warp each. For 1e6 x 128 rows on an H200 0.25 ms, predicted.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/e_step/tile.cuh"
#include "kernels/cuda/gmm/products/layout.hpp"
#include "kernels/cuda/gmm/products/products.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int operand_threads = 256;
inline constexpr int weight_warps = operand_threads / 32; ///< a component each
inline constexpr float farthest_term = 0x1p56f, nearest_term = 0x1p-20f;
/// Squares of numbers below 2^14 are stored below that, too.
inline constexpr float square_power = 0x1p-14f;

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

__device__ __forceinline__ float clipped(float x) {
    return fminf(fmaxf(x, -farthest_term), farthest_term);
}

/// Terms 8 · eighth ... of `width`, zeros behind it.
__device__ __forceinline__ void load_terms(const float* from, int eighth, int width, float (&v)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const float x = 8 * eighth + i < width ? __ldg(from + 8 * eighth + i) : 0.0f;
        v[i] = clipped(x);
    }
}

/// Σ v² in a tree.
__device__ __forceinline__ float squares_of(const float (&v)[8]) {
    const auto pair = [&](int i) { return v[i] * v[i] + v[i + 1] * v[i + 1]; };
    return (pair(0) + pair(2)) + (pair(4) + pair(6));
}

/// Inverse of the power of two of a line, and the square of its length.
struct line_scale {
    float inverse, norm;
};

/// A line of rows by two threads, `half` of 0 and 1: its power of two from its largest number, then its pieces; with
/// Squares those of the squares, too, behind 64 terms. load(eighth, v) has the terms, length(eighth, v) the part of the
/// norm.
template <bool Squares, class Load, class Length>
__device__ line_scale write_line(unsigned char* operands, int stages, int line, int half,
                                 float2 (&halves)[2][product_lines], Load load, Length length) {
    const int eighths = Squares ? product_terms / 8 : 8 * stages;
    float most = 0, norm = 0, v[8];
    for (int eighth = half; eighth < eighths; eighth += 2) {
        load(eighth, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            most = fmaxf(most, ::fabsf(v[i]));
        norm += length(eighth, v);
    }
    __syncthreads(); // the halves of the last line have been read
    halves[half][line] = make_float2(most, norm);
    __syncthreads();
    most = fmaxf(halves[0][line].x, halves[1][line].x);
    const power_scale power = scale_below(fmaxf(most, nearest_term));
    for (int eighth = half; eighth < eighths; eighth += 2) {
        load(eighth, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            v[i] *= power.scale;
        store_terms(operands + eighth / 8 * operand_bytes, line, eighth % 8, v);
        if constexpr (Squares) {
#pragma unroll
            for (int i = 0; i < 8; ++i)
                v[i] *= v[i] * square_power;
            store_terms(operands + operand_bytes, line, eighth, v);
        }
    }
    // What is too far for its squares is far; finite, as it is multiplied by shares of 0.
    return {power.inverse, most > 0x1p50f ? 0x1p110f : halves[0][line].y + halves[1][line].y};
}

/// A tile of 128 rows a block, two threads a row; `memory`: of whitened_rows_bytes().
template <product_form Form>
__global__ void __launch_bounds__(operand_threads)
    product_rows(const device_rows<float> rows, int d, int components, int stages, const float* factors,
                 const product_view memory) {
    extern __shared__ __align__(16) float tiles[];
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
    const auto load = [&](int eighth, float(&v)[8]) { load_terms(x, eighth, width, v); };
    const auto length = [&](int eighth, const float(&v)[8]) {
        if constexpr (Form == product_form::squares) {
            return 0.0f;
        } else if constexpr (Form == product_form::scaled) {
            float y[8];
            load_terms(factors, eighth, d, y);
#pragma unroll
            for (int i = 0; i < 8; ++i)
                y[i] *= v[i];
            return squares_of(y);
        } else {
            return squares_of(v);
        }
    };
    const std::int64_t at = tile * stages * operand_bytes;
    const line_scale own =
        write_line<Form == product_form::squares>(memory.moments + at, stages, line, half, halves, load, length);
    line_scale terms = own;
    if constexpr (Form == product_form::whitened) {
        const int p = static_cast<int>(padded(d)), stride = static_cast<int>(tile_stride(d));
        float* const whitened = tiles + product_lines * stride;
        for (int j = half; j < p; j += 2)
            tiles[line * stride + j] = j < width ? clipped(x[j]) : 0.0f;
        __syncthreads();
        whiten_tile(tiles, whitened, stride, product_lines, factors, p);
        __syncthreads();
        const auto load_whitened = [&](int eighth, float(&v)[8]) {
#pragma unroll
            for (int i = 0; i < 8; ++i)
                v[i] = 8 * eighth + i < p ? clipped(whitened[line * stride + 8 * eighth + i]) : 0.0f;
        };
        terms = write_line<false>(memory.rows + at, stages, line, half, halves, load_whitened, length);
    }
    if (half == 0)
        memory.row_scales[row] = make_float4(terms.inverse, terms.norm, own.inverse, own.norm);
}

/// What the rows are multiplied with, eight terms of a component; of diagonal components the second half: −u² / 2.
template <product_form Form>
__device__ __forceinline__ void load_weights(const device_model<float>& model, std::int64_t at, int eighth, int width,
                                             bool second, float (&v)[8]) {
    load_terms((Form == product_form::whitened ? model.whitened : model.means) + at, eighth, width, v);
    if constexpr (Form == product_form::scaled || Form == product_form::squares) {
        float u[8];
        load_terms(model.factors + at, eighth, width, u);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            v[i] = second ? -0.5f * u[i] * u[i] : u[i] * u[i] * v[i];
    }
}

/// Whether the deviations of a component lie within the limit of each other; by a warp.
__device__ inline bool has_condition(const float* factors, int d, int lane) {
    float most = 0, least = INFINITY;
    for (int j = lane; j < d; j += 32)
        most = fmaxf(most, factors[j]), least = fminf(least, factors[j]);
    __syncwarp();
    for (int distance = 16; distance > 0; distance /= 2) {
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
        least = fminf(least, __shfl_xor_sync(0xffffffffu, least, distance));
    }
    return most <= scaled_condition * least;
}

/// The operands of a component by a warp; the inverse of its power of two.
template <product_form Form>
__device__ float write_weights(const device_model<float>& model, std::int64_t at, int width, bool second, int stages,
                               int line, unsigned char* operands) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    float most = 0, v[8];
    for (int eighth = lane; 8 * eighth < width; eighth += 32) {
        load_weights<Form>(model, at, eighth, width, second, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            most = fmaxf(most, ::fabsf(v[i]));
    }
    __syncwarp();
    for (int distance = 16; distance > 0; distance /= 2)
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
    const power_scale power = scale_below(most);
    for (int eighth = lane; eighth < 8 * stages; eighth += 32) {
        load_weights<Form>(model, at, eighth, width, second, v);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            v[i] *= power.scale;
        store_terms(operands + eighth / 8 * operand_bytes, line, eighth % 8, v);
    }
    return power.inverse;
}

/// A component a warp, with those that fill the last block of 128: its operands, its column of parameters, and whether
/// it is near: ‖U_kᵀμ_k‖ up to the limit of the dot form, or dropped.
template <product_form Form>
__global__ void __launch_bounds__(operand_threads)
    product_weights(const gmm_shape shape, const device_model<float> model, int stages, const product_view memory) {
    constexpr bool squares = Form == product_form::squares;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t k = blockIdx.x * std::int64_t(weight_warps) + static_cast<int>(threadIdx.x) / 32;
    const bool exists = k < shape.components;
    const int d = static_cast<int>(shape.dimensions), width = exists ? d : 0;
    const int line = static_cast<int>(k % product_lines);
    const std::int64_t at = exists ? k * padded(shape.dimensions) : 0;
    unsigned char* const operands = memory.weights + k / product_lines * stages * operand_bytes;
    const int own = squares ? 1 : stages;
    const float inverse = write_weights<Form>(model, at, width, false, own, line, operands);
    float scale = 1;
    if constexpr (squares)
        scale = write_weights<Form>(model, at, width, true, own, line, operands + operand_bytes);
    bool fits = true;
    if constexpr (squares || Form == product_form::scaled)
        fits = has_condition(model.factors + at, d, lane);
    if (lane != 0)
        return;
    if (!exists) {
        memory.columns[k] = make_float4(0, -INFINITY, 0, 0);
        return;
    }
    if constexpr (Form == product_form::plain)
        scale = model.factors[at];
    constexpr float limit = static_cast<float>(dot_form_limit * dot_form_limit);
    const float u = Form == product_form::plain ? scale : 1.0f, norm = model.norms[k], offset = model.offsets[k];
    const bool dropped = ::isinf(offset);
    memory.near[k] = dropped || (fits && norm <= 0x1p100f && norm * u * u <= limit);
    memory.columns[k] = make_float4(dropped ? 0.0f : norm, offset, scale, inverse);
}

} // namespace elbo::kernels::cuda
