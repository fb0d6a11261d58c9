// Numbers in pieces of float16: the largest of a matrix, and the pieces. Bytes of a number: 4 read, and 4 read with 4
// written.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/wide/strip.cuh"

namespace elbo::kernels::cuda {

namespace {

// Predicted for an H200, by bytes (4.27 TB/s): 0.9 us a million numbers (4 bytes read); the same of weights below.
__global__ void __launch_bounds__(strip_threads) wide_find_largest(const largest_arguments a) {
    strip_place at(a.extent.end);
    const std::int64_t rows = a.extent.rows();
    float largest = 0;
    for (; at.row < at.end && at.row < rows; at.row += strip_warps) {
        const eight r = load_eight(a.from.data + at.row * a.from.stride, at.column, a.from.columns);
#pragma unroll
        for (int i = 0; i < thread_columns; ++i)
            largest = fmaxf(largest, fabsf(r.v[i]));
    }
    store_largest(largest, a.largest);
}

__global__ void __launch_bounds__(strip_threads)
    wide_find_largest_weight(const float* weights, std::int64_t count, largest_bits* to) {
    float largest = 0;
    for (std::int64_t i = std::int64_t(blockIdx.x) * strip_threads + threadIdx.x; i < count;
         i += std::int64_t(gridDim.x) * strip_threads)
        largest = fmaxf(largest, fabsf(weights[i]));
    store_largest(largest, to);
}

/// e of a matrix; 0 where all is 0.
__device__ int exponent_of(largest_bits largest) {
    const int exponent = 14 - (static_cast<int>(largest >> 23) - 127);
    return largest == 0 ? 0 : max(least_exponent, min(most_exponent, exponent));
}
/// 2^e, e from -126 to 127.
__device__ float power_of_two(int e) {
    return __uint_as_float(static_cast<unsigned>(e + 127) << 23);
}

__device__ void store_halves(__half* row, std::int64_t column, std::int64_t stride, const eight& r) {
    if (column < stride)
        store_rounded(row + column, r, [](float a, float b) { return __floats2half2_rn(a, b); });
}

// Predicted likewise: 1.9 us a million numbers (4 bytes read, 2 + 2 written).
__global__ void __launch_bounds__(strip_threads) wide_split(const pieces_arguments a) {
    strip_place at(a.extent.end);
    const std::int64_t rows = a.extent.step.plan ? a.extent.rows() : a.extent.end;
    const int exponent = exponent_of(*a.largest);
    const float scale = power_of_two(exponent);
    if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x < 2 && a.products[threadIdx.x].scale)
        *a.products[threadIdx.x].scale = {power_of_two(-exponent - exponent_of(*a.products[threadIdx.x].other)), 0, 1};
    eight sum = {};
    for (; at.row < at.end; at.row += strip_warps) {
        eight r = {}, low = {};
        if (at.row < rows) {
            r = load_eight(a.from.data + at.row * a.from.stride, at.column, a.from.columns);
#pragma unroll
            for (int i = 0; i < thread_columns; ++i) {
                sum.v[i] += r.v[i];
                r.v[i] *= scale;
                low.v[i] = r.v[i] - __half2float(__float2half_rn(r.v[i])); // exact
            }
        }
        store_halves(a.out.high + at.row * a.out.stride, at.column, a.out.stride, r);
        store_halves(a.out.low + at.row * a.out.stride, at.column, a.out.stride, low);
    }
    if (a.sums)
        store_sums(sum, a.from.columns, a.sums);
}

} // namespace

void wide_largest(const internal::cuda_state& state, const largest_arguments& a) {
    launch(state, "wide_find_largest", strips(a.extent.end, a.from.columns), wide_find_largest, a);
}
void wide_largest_weight(const internal::cuda_state& state, const float* weights, std::int64_t count,
                         largest_bits* largest) {
    const std::int64_t blocks = std::min(blocks_for(count, 8 * strip_threads), std::int64_t(4) * state.multiprocessors);
    launch(state, "wide_find_largest_weight", {blocks, strip_threads}, wide_find_largest_weight, weights, count,
           largest);
}
void wide_pieces(const internal::cuda_state& state, const pieces_arguments& a) {
    launch(state, "wide_split", strips(a.extent.end, a.out.stride), wide_split, a);
}

} // namespace elbo::kernels::cuda
