// Strips of rows, eight columns a thread, as 16-byte accesses.
#pragma once

#include "kernels/cuda/vae/layer/warp.cuh"
#include "kernels/cuda/vae/wide/elementwise.hpp"

#include <cstdint>
#include <cstring>

namespace elbo::kernels::cuda {

struct eight {
    float v[thread_columns];
};

/// Columns column ... column + 7 of a row, 0 behind the last.
__device__ inline eight load_eight(const float* row, std::int64_t column, std::int64_t columns) {
    eight r = {};
#pragma unroll
    for (int q = 0; q < thread_columns; q += 4) {
        if (column + q + 4 <= columns) {
            const float4 v = *reinterpret_cast<const float4*>(row + column + q);
            r.v[q] = v.x;
            r.v[q + 1] = v.y;
            r.v[q + 2] = v.z;
            r.v[q + 3] = v.w;
            continue;
        }
#pragma unroll
        for (int i = q; i < q + 4; ++i)
            if (column + i < columns)
                r.v[i] = row[column + i];
    }
    return r;
}
__device__ inline eight load_eight(const __nv_bfloat16* row, std::int64_t column, std::int64_t columns) {
    eight r = {};
    if (column + thread_columns <= columns) {
        const uint4 q = *reinterpret_cast<const uint4*>(row + column);
        const std::uint32_t words[] = {q.x, q.y, q.z, q.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            r.v[2 * i] = __uint_as_float(words[i] << 16);
            r.v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
        }
        return r;
    }
#pragma unroll
    for (int i = 0; i < thread_columns; ++i)
        if (column + i < columns)
            r.v[i] = __bfloat162float(row[column + i]);
    return r;
}

/// Up to the end of the stride, a multiple of 4 numbers (float32) or 16 (bfloat16).
__device__ inline void store_eight(float* row, std::int64_t column, std::int64_t stride, const eight& r) {
#pragma unroll
    for (int q = 0; q < thread_columns; q += 4)
        if (column + q < stride)
            *reinterpret_cast<float4*>(row + column + q) = {r.v[q], r.v[q + 1], r.v[q + 2], r.v[q + 3]};
}
/// Eight numbers in 16 bits each; round(a, b) gives two of them.
template <class Round>
__device__ inline void store_rounded(void* to, const eight& r, Round round) {
    std::uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const auto pair = round(r.v[2 * i], r.v[2 * i + 1]);
        std::memcpy(&words[i], &pair, sizeof pair);
    }
    *reinterpret_cast<uint4*>(to) = {words[0], words[1], words[2], words[3]};
}
__device__ inline void store_eight(__nv_bfloat16* row, std::int64_t column, std::int64_t stride, const eight& r) {
    if (column < stride)
        store_rounded(row + column, r, [](float a, float b) { return __floats2bfloat162_rn(a, b); });
}

/// The rows of a warp in a strip, and the columns of a thread.
struct strip_place {
    std::int64_t column, row, end;

    __device__ explicit strip_place(std::int64_t rows)
        : column(std::int64_t(blockIdx.y) * strip_columns + threadIdx.x % 32 * thread_columns),
          row(std::int64_t(blockIdx.x) * strip_rows + threadIdx.x / 32),
          end(std::min(rows, (std::int64_t(blockIdx.x) + 1) * strip_rows)) {}
};
inline constexpr int strip_warps = strip_threads / 32;

/// Sums of the columns over the strip; every thread of the block calls it.
__device__ inline void store_sums(const eight& sum, std::int64_t columns, float* sums) {
    __shared__ float all[strip_warps][strip_columns + thread_columns];
    const int warp = static_cast<int>(threadIdx.x) / 32, first = static_cast<int>(threadIdx.x) % 32 * thread_columns;
#pragma unroll
    for (int q = 0; q < thread_columns; q += 4)
        *reinterpret_cast<float4*>(&all[warp][first + q]) = {sum.v[q], sum.v[q + 1], sum.v[q + 2], sum.v[q + 3]};
    __syncthreads();
    const std::int64_t column = std::int64_t(blockIdx.y) * strip_columns + threadIdx.x;
    if (column >= columns)
        return;
    float total = 0;
#pragma unroll
    for (int w = 0; w < strip_warps; ++w)
        total += all[w][threadIdx.x];
    sums[blockIdx.x * columns + column] = total;
}

/// The largest of what the threads of a block have, to what is there: whatever the order, one result.
__device__ inline void store_largest(float largest, largest_bits* to) {
    for (int distance = 16; distance > 0; distance /= 2)
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
    if (threadIdx.x % 32 == 0 && largest > 0)
        atomicMax(to, __float_as_uint(largest)); // of numbers that are not negative, in the order of their bits
}

inline launch_shape strips(std::int64_t rows, std::int64_t columns) {
    return {blocks_for(rows, strip_rows), strip_threads, 0, blocks_for(columns, strip_columns)};
}

} // namespace elbo::kernels::cuda
