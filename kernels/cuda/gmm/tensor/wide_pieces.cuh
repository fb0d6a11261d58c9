// Operands of the products of more than 128 dimensions: rows, factors and z of the moments as fp16 pieces, h + l, in
// core matrices of 8 rows or columns by 8 terms, 128 contiguous bytes each (wide_layout.hpp).
//
// Rows and factors times a power of two each keep 23 of the 24 bits of a float. Reads each number once (rows and
// factors twice, for their powers), writes 4 bytes for it. For 1e5 x 784 x 10 on an H200: 0.3 GB of rows and 18 MB of
// factors read and written, 0.15 ms; z 3.1 GB read from L2 and 3.7 written, 0.9 ms at 4.27 TB/s.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/panels.cuh"
#include "kernels/cuda/gmm/tensor/row_weights.cuh"
#include "kernels/cuda/gmm/tensor/tensor.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int piece_threads = 1024;                       ///< of blocks for columns: a column each, ...
inline constexpr int piece_sharers = piece_threads / wide_block; ///< so many threads to share it
inline constexpr int row_piece_threads = 256;

/// Eight terms of row or column `line` of an operand, those from 8 · eighth on, to both pieces.
__device__ __forceinline__ void store_pieces(unsigned char* operand, int line, int eighth, const float (&v)[8]) {
    unsigned high[4], low[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        high[i] = pack_half(v[2 * i], v[2 * i + 1]);
        low[i] = pack_half(v[2 * i] - low_half(high[i]), v[2 * i + 1] - high_half(high[i]));
    }
    unsigned char* const at =
        operand + eighth / 2 * (2 * piece_bytes) + line / 8 * 256 + eighth % 2 * 128 + line % 8 * 16;
    *reinterpret_cast<uint4*>(at) = make_uint4(high[0], high[1], high[2], high[3]);
    *reinterpret_cast<uint4*>(at + piece_bytes) = make_uint4(low[0], low[1], low[2], low[3]);
}

/// Eight numbers of a row from 8 · eighth on, zeros beyond its end.
__device__ __forceinline__ void load_eighth(const float* row, int eighth, int p, float (&v)[8]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        float4 q = make_float4(0, 0, 0, 0);
        if (8 * eighth + 4 * i < p)
            q = __ldg(reinterpret_cast<const float4*>(row + 8 * eighth + 4 * i));
        v[4 * i] = q.x, v[4 * i + 1] = q.y, v[4 * i + 2] = q.z, v[4 * i + 3] = q.w;
    }
}

/// 128 rows a block, 8 of them a warp at a time: four lanes share a row. Rows that do not exist become zeros.
__global__ void __launch_bounds__(row_piece_threads)
    wide_rows(const float* x, std::int64_t stride, int rows, int p, int halves, float* sizes, const wide_view memory) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    unsigned char* const operands = memory.rows + std::int64_t(blockIdx.x) * halves * operand_bytes;
    for (int line = 8 * warp + lane % 8; line < wide_block; line += row_piece_threads / 4) {
        const int row = static_cast<int>(blockIdx.x) * wide_block + line;
        const int width = row < rows ? p : 0;
        const float* const from = x + std::int64_t(min(row, rows - 1)) * stride;
        float most = 0;
        for (int eighth = lane / 8; 8 * eighth < width; eighth += 4) {
            float v[8];
            load_eighth(from, eighth, width, v);
#pragma unroll
            for (int i = 0; i < 8; ++i)
                most = fmaxf(most, ::fabsf(v[i]));
        }
        __syncwarp();
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 8));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 16));
        const power_scale power = scale_below(most);
        if (lane / 8 == 0)
            memory.row_scales[row] = power.inverse, sizes[row] = most;
        for (int eighth = lane / 8; eighth < 8 * halves; eighth += 4) {
            float v[8];
            load_eighth(from, eighth, width, v);
#pragma unroll
            for (int i = 0; i < 8; ++i)
                v[i] *= power.scale;
            store_pieces(operands + eighth / 8 * operand_bytes, line, eighth % 8, v);
        }
    }
}

/// The power of two of each factor, and the size of its mean: a block a component. Reads p² + p floats.
__global__ void __launch_bounds__(piece_threads)
    wide_powers(int p, const device_model<float> model, float* mean_sizes, const wide_view memory) {
    __shared__ double scratch[32];
    const auto largest = [&](const float* v, int count) {
        double most = 0;
        for (int i = static_cast<int>(threadIdx.x); i < count; i += piece_threads)
            most = ::fmax(most, static_cast<double>(::fabsf(v[i])));
        return static_cast<float>(block_reduce(most, scratch, [](double a, double b) { return ::fmax(a, b); }));
    };
    const std::int64_t k = blockIdx.x;
    const power_scale power = scale_below(largest(model.factors + k * p * p, p * p));
    const float farthest = largest(model.means + k * p, p);
    if (threadIdx.x == 0) {
        memory.factor_powers[k] = make_float2(power.scale, power.inverse);
        mean_sizes[k] = log2_of(farthest);
    }
}

/// Sums of the threads that share a column, in order; the first of them gets the result.
__device__ inline double column_sum(double part, double* parts) {
    parts[threadIdx.x] = part;
    __syncthreads();
    const int column = static_cast<int>(threadIdx.x) % wide_block;
    double sum = parts[column];
    for (int i = 1; i < piece_sharers; ++i)
        sum += parts[i * wide_block + column];
    return sum;
}

/// Panel q of a factor, a block for each panel and component: pieces of its columns down to the diagonal, and b, in
/// float64 up to its rounding.
__global__ void __launch_bounds__(piece_threads)
    wide_factors(int p, const wide_shape shape, const device_model<float> model, unsigned char* factors,
                 const wide_view memory) {
    __shared__ double parts[piece_threads];
    const int panels = static_cast<int>(shape.panels);
    const int k = static_cast<int>(blockIdx.x) / panels, panel = static_cast<int>(blockIdx.x) % panels;
    const int line = static_cast<int>(threadIdx.x) % wide_block, column = panel * wide_block + line;
    const float scale = memory.factor_powers[k].x;
    const float* const u = model.factors + std::int64_t(k) * p * p + column;
    const float* const mean = model.means + std::int64_t(k) * p;
    unsigned char* const operands = factors + (k * shape.factor_stages() + shape.first_stage(panel)) * operand_bytes;
    const int eighths = 8 * static_cast<int>(shape.stages(panel));
    double shift = 0;
    for (int eighth = static_cast<int>(threadIdx.x) / wide_block; eighth < eighths; eighth += piece_sharers) {
        float v[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int term = 8 * eighth + i;
            const bool inside = term <= column && column < p;
            v[i] = inside ? __ldg(u + std::int64_t(term) * p) * scale : 0.0f;
            shift += static_cast<double>(v[i]) * static_cast<double>(inside ? __ldg(mean + term) : 0.0f);
        }
        store_pieces(operands + eighth / 8 * operand_bytes, line, eighth % 8, v);
    }
    const double sum = column_sum(shift, parts);
    if (threadIdx.x < wide_block)
        memory.shifts[std::int64_t(k) * panels * wide_block + column] = static_cast<float>(sum);
}

/// What the moments of a slab are about.
struct wide_moment_arguments {
    const float* x; ///< [rows x p], row i at i * stride
    std::int64_t stride;
    int rows, p, d;
    int components;
    float active;     ///< −Θ in units of ln 2
    float* densities; ///< [K x slab rows] lp, then √(w r) 2^e of the active rows
    std::int64_t slab_rows;
    const float4* weights;   ///< [slab rows] row_weights
    const float* means;      ///< [K x p]
    const float* mean_sizes; ///< [K] log2 max_j |μ_kj|
    wide_view memory;
    device_sums sums;

    /// Pairs are the units of the first component, of the second ...
    __device__ __forceinline__ int units() const {
        return (rows + static_cast<int>(unit_rows) - 1) / static_cast<int>(unit_rows);
    }
    __device__ __forceinline__ int component(int pair) const { return pair / units(); }
    __device__ __forceinline__ int first_row(int pair) const { return pair % units() * static_cast<int>(unit_rows); }
    __device__ __forceinline__ int count(int pair) const {
        return min(static_cast<int>(unit_rows), rows - first_row(pair));
    }
    /// Of the active rows, which wide_weights has counted.
    __device__ __forceinline__ int stages(int pair) const { return (memory.counts[pair] + wide_half - 1) / wide_half; }
    /// Where a pair begins in arrays [K x slab rows].
    __device__ __forceinline__ std::int64_t begin(int pair) const {
        return component(pair) * slab_rows + first_row(pair);
    }
    /// Of the sums of the component.
    __device__ __forceinline__ std::int64_t base(int pair) const {
        return component(pair) * statistics_size(gmm::family::full, d);
    }
};

/// From numbers of 32 words each to those before it, by a block of at least 128 threads; the sum of all.
__device__ inline int count_before(int* words) {
    constexpr int each = static_cast<int>(unit_rows) / 32 / 32; // of a lane
    __shared__ int all;
    __syncthreads();
    if (threadIdx.x < 32) {
        int own = 0;
        for (int i = 0; i < each; ++i)
            own += words[each * threadIdx.x + i];
        int upto = own;
        for (int distance = 1; distance < 32; distance *= 2) {
            const int before = __shfl_up_sync(0xffffffffu, upto, distance);
            upto += static_cast<int>(threadIdx.x) >= distance ? before : 0;
        }
        if (threadIdx.x == 31)
            all = upto;
        for (int i = each; i-- > 0;) {
            upto -= words[each * threadIdx.x + i];
            words[each * threadIdx.x + i] = upto;
        }
    }
    __syncthreads();
    return all;
}

/// The active rows of a pair in ascending order, and their √(w r) 2^e in the place of its log-densities, zeros up to
/// the end of a stage; N to the sums. A block a pair; reads 4 + 16 bytes a row, writes 6 for those that are active.
__global__ void __launch_bounds__(piece_threads) wide_weights(const wide_moment_arguments p) {
    __shared__ double scratch[32];
    __shared__ int before[unit_rows / 32]; // active rows before each 32
    constexpr int each = static_cast<int>(unit_rows) / piece_threads;
    const int pair = static_cast<int>(blockIdx.x), k = p.component(pair), lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t first = p.first_row(pair);
    const int count = p.count(pair);
    float* const lp = p.densities + p.begin(pair);
    std::uint16_t* const chosen = p.memory.chosen + p.begin(pair);
    const float mean_size = p.mean_sizes[k];
    double most = -INFINITY, total = 0;
    float s[each];
    unsigned active[each];
#pragma unroll
    for (int i = 0; i < each; ++i) {
        const int n = static_cast<int>(threadIdx.x) + i * piece_threads;
        const float4 w = n < count ? p.weights[first + n] : make_float4(0, 0, 0, 0);
        const float below = n < count ? lp[n] - w.x : 0.0f;
        const bool counts = below >= p.active && w.y > 0;
        if (counts)
            most = ::fmax(most, static_cast<double>(0.5f * below + fmaxf(w.z, w.w + mean_size)));
        s[i] = counts ? exp2_of(0.5f * below) * w.y : 0.0f;
        total += static_cast<double>(s[i]) * static_cast<double>(s[i]);
        active[i] = __ballot_sync(0xffffffffu, counts);
        if (lane == 0)
            before[n / 32] = __popc(active[i]);
    }
    const int exponent = exponent_below(
        static_cast<float>(block_reduce(most, scratch, [](double a, double b) { return ::fmax(a, b); })));
    const float scale = __int_as_float((127 + exponent) << 23);
    const int all = count_before(before);
#pragma unroll
    for (int i = 0; i < each; ++i) {
        const int n = static_cast<int>(threadIdx.x) + i * piece_threads;
        const int at = before[n / 32] + __popc(active[i] & ((1u << lane) - 1));
        if (active[i] >> lane & 1)
            lp[at] = s[i] * scale, chosen[at] = static_cast<std::uint16_t>(n);
    }
    const int at = all + static_cast<int>(threadIdx.x);
    if (at < (all + wide_half - 1) / wide_half * wide_half)
        lp[at] = 0, chosen[at] = 0;
    total = block_sum(total, scratch);
    if (threadIdx.x == 0) {
        p.memory.exponents[pair] = exponent, p.memory.counts[pair] = all;
        add_fixed(p.sums.limbs, p.sums.count, p.base(pair), total, p.sums.component_exponent);
    }
}

/// z of 128 dimensions of the active rows of a pair, a block for each panel and pair from `first_pair` on; S1 to the
/// sums. Reads 4 bytes of x and writes 4 for each of these and dimension, for panels of whole 128 dimensions.
__global__ void __launch_bounds__(piece_threads)
    wide_moment_pieces(const wide_moment_arguments p, const wide_shape shape, int first_pair) {
    __shared__ double parts[piece_threads];
    const int panels = static_cast<int>(shape.panels);
    const int place = static_cast<int>(blockIdx.x) / panels, panel = static_cast<int>(blockIdx.x) % panels;
    const int pair = first_pair + place, k = p.component(pair);
    const int line = static_cast<int>(threadIdx.x) % wide_block, dim = panel * wide_block + line;
    const int eighths = 8 * p.stages(pair);
    const bool exists = dim < p.p;
    const float* const x = p.x + p.first_row(pair) * p.stride + (exists ? dim : 0);
    const float mean = exists ? p.means[std::int64_t(k) * p.p + dim] : 0.0f;
    const float* const weights = p.densities + p.begin(pair);
    const std::uint16_t* const chosen = p.memory.chosen + p.begin(pair);
    unsigned char* const operands =
        p.memory.moments + (std::int64_t(place) * panels + panel) * (unit_rows / wide_half) * operand_bytes;
    double sum = 0;
    for (int eighth = static_cast<int>(threadIdx.x) / wide_block; eighth < eighths; eighth += piece_sharers) {
        float z[8], chain = 0;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const float s = weights[8 * eighth + i];
            const float v = __ldg(x + chosen[8 * eighth + i] * p.stride);
            z[i] = exists ? (v - mean) * s : 0.0f;
            chain += s * z[i];
        }
        sum += static_cast<double>(chain);
        store_pieces(operands + eighth / 8 * operand_bytes, line, eighth % 8, z);
    }
    sum = column_sum(sum, parts);
    if (threadIdx.x < wide_block && dim < p.d)
        add_fixed(p.sums.limbs, p.sums.count, p.base(pair) + 1 + dim, ::ldexp(sum, -2 * p.memory.exponents[pair]),
                  p.sums.component_exponent);
}

} // namespace elbo::kernels::cuda
