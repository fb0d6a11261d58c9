// Sums over the rows of clusters: chunks of 64 rows of a cluster in ascending order, then the chunks
// (kernels/math/kmeans.hpp).
#pragma once

#include "kernels/cuda/core/grid.cuh"
#include "kernels/cuda/kmeans/engine.hpp"
#include "kernels/math/kmeans.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

constexpr int scan_threads = 1024;

/// Inclusive sum over the threads of a block.
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

/// A thread for one column of one chunk; the last column is Σ w.
__device__ inline void sum_chunks(const sample_view& s, const cluster_view& clusters, double* partial) {
    for_grid_threads(clusters.first_chunks[clusters.k] * (s.cols + 1), [&](std::int64_t i) {
        const std::int64_t chunk = i / (s.cols + 1), column = i % (s.cols + 1);
        const std::int64_t c = lower_bound(clusters.first_chunks, clusters.k + 1, chunk + 1) - 1;
        const std::int64_t first = clusters.begins[c] + (chunk - clusters.first_chunks[c]) * kmeans_chunk_rows;
        const std::int64_t last = min(first + kmeans_chunk_rows, clusters.begins[c + 1]);
        double sum = 0;
#pragma unroll 16
        for (std::int64_t at = first; at < last; ++at) {
            const std::int64_t n = clusters.order[at];
            sum = fma(s.weights[n], column < s.cols ? s.x[n * s.cols + column] : 1.0, sum);
        }
        partial[i] = sum;
    });
}

/// Σ over the chunks of cluster c of a column.
__device__ inline double chunk_sum(const double* partial, const cluster_view& clusters, std::int64_t c,
                                   std::int64_t columns, std::int64_t column) {
    double sum = 0;
#pragma unroll 16
    for (std::int64_t chunk = clusters.first_chunks[c]; chunk < clusters.first_chunks[c + 1]; ++chunk)
        sum += partial[chunk * columns + column];
    return sum;
}

/// Where the sums over clusters go.
struct cluster_sums_view {
    double* partial; ///< [chunks x (cols + 1)]
    double* sums;    ///< [k x (cols + 1)]
    double* means;   ///< [k x cols] or null
    bool keeps;      ///< the mean of a cluster without weight stays as it is, else it becomes 0
};

/// A thread for one column of one cluster: the sums, and the means.
__device__ inline void finish_clusters(const cluster_view& clusters, std::int64_t cols, const cluster_sums_view& v) {
    for_grid_threads(clusters.k * (cols + 1), [&](std::int64_t i) {
        const std::int64_t c = i / (cols + 1), column = i % (cols + 1);
        const double sum = chunk_sum(v.partial, clusters, c, cols + 1, column);
        v.sums[i] = sum;
        if (column == cols || !v.means)
            return;
        const double count = chunk_sum(v.partial, clusters, c, cols + 1, cols);
        if (count > 0)
            v.means[c * cols + column] = sum / count;
        else if (!v.keeps)
            v.means[c * cols + column] = 0;
    });
}

/// Both.
__device__ inline void sum_over_clusters(const sample_view& s, const cluster_view& clusters,
                                         const cluster_sums_view& v) {
    sum_chunks(s, clusters, v.partial);
    grid_sync();
    finish_clusters(clusters, s.cols, v);
}

} // namespace

} // namespace elbo::kernels::cuda
