// The rows that a start looks at, drawn and normalised where they lie: each by a Philox number of its own, in their
// order (host/gmm/start/start_sample.cpp). Blocks count, one block adds the counts up, blocks list the rows.
#pragma once

#include "elbo/matrix_view.hpp"
#include "kernels/cuda/kmeans/clusters.cuh"
#include "kernels/math/philox.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

constexpr int draw_threads = 256;
constexpr std::int64_t draw_rows_each = 16; ///< rows of a thread, next to one another
constexpr std::int64_t draw_span = draw_threads * draw_rows_each;

/// Which rows are taken: all, or each with probability `share`.
struct row_draw {
    std::uint64_t seed;
    double share;
    std::int64_t rows;

    __device__ bool takes(std::int64_t n) const {
        if (n >= rows || share >= 1)
            return n < rows;
        const philox_block words = random_block(seed, random_purpose::row_choice, n);
        return uniform_double(words.word[0], words.word[1]) < share;
    }
};

/// The rows of this thread that are taken, a bit each.
__device__ inline unsigned taken_rows(const row_draw& draw) {
    const std::int64_t first = blockIdx.x * draw_span + threadIdx.x * draw_rows_each;
    unsigned taken = 0;
    for (int i = 0; i < draw_rows_each; ++i)
        taken |= static_cast<unsigned>(draw.takes(first + i)) << i;
    return taken;
}

/// Σ over the threads before this one, and over all of the block.
__device__ inline int block_offset(int count, int* scratch, int& all) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    int sum = count;
    for (int distance = 1; distance < 32; distance *= 2) {
        const int other = __shfl_up_sync(0xffffffffu, sum, distance);
        if (lane >= distance)
            sum += other;
    }
    if (lane == 31)
        scratch[warp] = sum;
    __syncthreads();
    int before = 0;
    all = 0;
    for (int w = 0; w < draw_threads / 32; ++w) {
        before += w < warp ? scratch[w] : 0;
        all += scratch[w];
    }
    return before + sum - count;
}

__global__ void __launch_bounds__(draw_threads) count_taken(row_draw draw, std::int64_t* counts) {
    __shared__ int scratch[draw_threads / 32];
    int all = 0;
    block_offset(__popc(taken_rows(draw)), scratch, all);
    if (threadIdx.x == 0)
        counts[blockIdx.x] = all;
}

// One block: the counts [blocks + 1] become how many rows were taken before each block, and in all.
__global__ void __launch_bounds__(scan_threads) add_counts(std::int64_t* counts, std::int64_t blocks) {
    __shared__ std::int64_t scratch[32], end;
    std::int64_t before = 0;
    for (std::int64_t first = 0; first < blocks; first += scan_threads) {
        const std::int64_t b = first + threadIdx.x, own = b < blocks ? counts[b] : 0;
        const std::int64_t last = before + block_scan(own, scratch);
        if (b < blocks)
            counts[b] = last - own;
        if (threadIdx.x == scan_threads - 1)
            end = last;
        __syncthreads();
        before = end;
    }
    if (threadIdx.x == 0)
        counts[blocks] = before;
}

__global__ void __launch_bounds__(draw_threads)
    list_taken(row_draw draw, const std::int64_t* before, std::int64_t* rows) {
    __shared__ int scratch[draw_threads / 32];
    const unsigned taken = taken_rows(draw);
    int all = 0;
    std::int64_t at = before[blockIdx.x] + block_offset(__popc(taken), scratch, all);
    const std::int64_t first = blockIdx.x * draw_span + threadIdx.x * draw_rows_each;
    for (int i = 0; i < draw_rows_each; ++i)
        if (taken >> i & 1)
            rows[at++] = first + i;
}

// A thread for a number: (value − centre) / scale in float64. Without `rows` all of x in order.
template <class X>
__global__ void __launch_bounds__(draw_threads)
    normalize_taken(const matrix_view<const X> x, const std::int64_t* rows, std::int64_t count, const double* centre,
                    const double* scale, double* out) {
    const std::int64_t i = blockIdx.x * std::int64_t(draw_threads) + threadIdx.x;
    if (i >= count * x.cols)
        return;
    const std::int64_t j = i % x.cols;
    out[i] =
        (static_cast<double>(x.data[(rows ? rows[i / x.cols] : i / x.cols) * x.stride + j]) - centre[j]) / scale[j];
}

// A thread for a row: 1 if its values lie in the ranges [2][cols] of what is usual, else 0; how many do.
template <class X>
__global__ void __launch_bounds__(draw_threads)
    find_usual(const matrix_view<const X> x, const std::int64_t* rows, std::int64_t count, const double* ranges,
               double* usual, unsigned long long* usual_rows) {
    const std::int64_t n = blockIdx.x * std::int64_t(draw_threads) + threadIdx.x;
    if (n >= count)
        return;
    bool inside = true;
    for (std::int64_t j = 0; j < x.cols; ++j) {
        const auto value = static_cast<double>(x.data[(rows ? rows[n] : n) * x.stride + j]);
        inside = inside && value >= ranges[j] && value <= ranges[x.cols + j];
    }
    usual[n] = inside ? 1 : 0;
    if (inside)
        atomicAdd(usual_rows, 1ull);
}

__global__ void __launch_bounds__(draw_threads) fill_numbers(double* to, std::int64_t count, double value) {
    const std::int64_t n = blockIdx.x * std::int64_t(draw_threads) + threadIdx.x;
    if (n < count)
        to[n] = value;
}

} // namespace

} // namespace elbo::kernels::cuda
