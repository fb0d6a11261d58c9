// Sums over the rows of clusters: chunks of 64 rows of a cluster in ascending order, then the chunks
// (kernels/math/kmeans.hpp).
#pragma once

#include "kernels/cuda/kmeans/engine.hpp"
#include "kernels/math/kmeans.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

constexpr int cluster_threads = 256;
constexpr int scan_threads = 1024;

/// Inclusive sum over the threads of a block of scan_threads.
__device__ inline std::int64_t block_scan(std::int64_t value, std::int64_t* scratch) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    for (int distance = 1; distance < 32; distance *= 2) {
        const std::int64_t other = __shfl_up_sync(0xffffffffu, value, distance);
        if (lane >= distance)
            value += other;
    }
    __syncthreads(); // the scratch of the last call has been read
    if (lane == 31)
        scratch[warp] = value;
    __syncthreads();
    for (int w = 0; w < warp; ++w)
        value += scratch[w];
    return value;
}

/// The first index at which the ascending `values` are at least `wanted`.
template <class T>
__device__ std::int64_t lower_bound(const T* values, std::int64_t count, T wanted) {
    std::int64_t low = 0, high = count;
    while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (values[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// A thread for one column of one chunk; the last column is Σ w.
__global__ void __launch_bounds__(cluster_threads)
    sum_chunks(sample_view s, cluster_view clusters, const unsigned long long* before, double* partial) {
    const std::int64_t i = blockIdx.x * std::int64_t(cluster_threads) + threadIdx.x;
    const std::int64_t chunk = i / (s.cols + 1), column = i % (s.cols + 1);
    if (settled(before) || chunk >= clusters.first_chunks[clusters.k])
        return;
    const std::int64_t c = lower_bound(clusters.first_chunks, clusters.k + 1, chunk + 1) - 1;
    const std::int64_t first = clusters.begins[c] + (chunk - clusters.first_chunks[c]) * kmeans_chunk_rows;
    const std::int64_t last = min(first + kmeans_chunk_rows, clusters.begins[c + 1]);
    double sum = 0;
#pragma unroll 8
    for (std::int64_t at = first; at < last; ++at) {
        const std::int64_t n = clusters.order[at];
        sum = fma(s.weights[n], column < s.cols ? s.x[n * s.cols + column] : 1.0, sum);
    }
    partial[i] = sum;
}

/// Σ over the chunks of cluster c of a column.
__device__ inline double chunk_sum(const double* partial, const cluster_view& clusters, std::int64_t c,
                                   std::int64_t columns, std::int64_t column) {
    double sum = 0;
#pragma unroll 8
    for (std::int64_t chunk = clusters.first_chunks[c]; chunk < clusters.first_chunks[c + 1]; ++chunk)
        sum += partial[chunk * columns + column];
    return sum;
}

// A thread for one column of one cluster: the sums [k x (cols + 1)], and the centres [k x cols] that they move to where
// there is weight.
__global__ void __launch_bounds__(cluster_threads)
    finish_clusters(const double* partial, cluster_view clusters, std::int64_t cols, const unsigned long long* before,
                    double* sums, double* centres) {
    const std::int64_t i = blockIdx.x * std::int64_t(cluster_threads) + threadIdx.x;
    if (i >= clusters.k * (cols + 1) || settled(before))
        return;
    const std::int64_t c = i / (cols + 1), column = i % (cols + 1);
    const double sum = chunk_sum(partial, clusters, c, cols + 1, column);
    sums[i] = sum;
    if (column == cols || !centres)
        return;
    const double count = chunk_sum(partial, clusters, c, cols + 1, cols);
    if (count > 0)
        centres[c * cols + column] = sum / count;
}

} // namespace

} // namespace elbo::kernels::cuda
