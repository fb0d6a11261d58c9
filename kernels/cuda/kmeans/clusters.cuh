// Rows in the order of their labels, and sums over them: chunks of 64 rows of a cluster in ascending order, then the
// chunks (kernels/math/kmeans.hpp). The order is a stable counting sort: each warp counts the labels of some blocks of
// rows and ranks these among their like, and one block adds the counts up.
#pragma once

#include "kernels/cuda/kmeans/engine.hpp"
#include "kernels/math/kmeans.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

constexpr int cluster_threads = 256;
constexpr int scan_threads = 1024;

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

// A warp for `span` rows: how many of them have each label, into counts [blocks x k], and the rank of each row among
// those before it. Rows without a label have no rank.
__global__ void __launch_bounds__(32)
    rank_rows(sample_view s, std::int64_t span, std::int64_t k, bool in_shared, const unsigned long long* before,
              std::int32_t* counts, std::int32_t* ranks) {
    extern __shared__ std::int32_t shared_counts[];
    if (settled(before))
        return;
    std::int32_t* const own = counts + blockIdx.x * k;
    std::int32_t* const count = in_shared ? shared_counts : own;
    for (std::int64_t c = threadIdx.x; c < k; c += 32)
        count[c] = 0;
    __syncwarp();
    const std::int64_t begin = blockIdx.x * span, end = min(s.rows, begin + span);
    for (std::int64_t first = begin; first < end; first += 32) {
        const std::int64_t n = first + threadIdx.x;
        const std::int32_t label = n < end ? s.labels[n] : -1;
        const unsigned alike = __match_any_sync(0xffffffffu, label);
        const int earlier = __popc(alike & ((1u << threadIdx.x) - 1));
        const std::int32_t so_far = label >= 0 ? count[label] : 0;
        __syncwarp(); // all have read it
        if (label >= 0) {
            ranks[n] = so_far + earlier;
            if (earlier == 0)
                count[label] = so_far + __popc(alike);
        }
        __syncwarp();
    }
    for (std::int64_t c = threadIdx.x; in_shared && c < k; c += 32)
        own[c] = count[c];
}

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

// One block: where the rows of each label and of each block begin, where the clusters and their chunks do.
__global__ void __launch_bounds__(scan_threads)
    place_clusters(const std::int32_t* __restrict__ counts, std::int64_t blocks, std::int64_t k,
                   const unsigned long long* before, std::int32_t* __restrict__ offsets, std::int64_t* begins,
                   std::int64_t* first_chunks) {
    __shared__ std::int64_t scratch[32], ends[2];
    if (settled(before))
        return;
    std::int64_t rows_before = 0, chunks_before = 0;
    for (std::int64_t first = 0; first < k; first += scan_threads) {
        const std::int64_t c = first + threadIdx.x;
        std::int32_t rows = 0;
        if (c < k) {
#pragma unroll 8
            for (std::int64_t b = 0; b < blocks; ++b) {
                offsets[b * k + c] = rows;
                rows += counts[b * k + c];
            }
        }
        const std::int64_t chunks = (rows + kmeans_chunk_rows - 1) / kmeans_chunk_rows;
        const std::int64_t last_row = rows_before + block_scan(rows, scratch);
        const std::int64_t last_chunk = chunks_before + block_scan(chunks, scratch);
        if (c < k) {
            begins[c] = last_row - rows;
            first_chunks[c] = last_chunk - chunks;
        }
        if (threadIdx.x == scan_threads - 1)
            ends[0] = last_row, ends[1] = last_chunk;
        __syncthreads();
        rows_before = ends[0], chunks_before = ends[1];
    }
    if (threadIdx.x == 0)
        begins[k] = rows_before, first_chunks[k] = chunks_before;
}

__global__ void __launch_bounds__(cluster_threads)
    order_rows(sample_view s, std::int64_t span, std::int64_t k, const unsigned long long* before,
               const std::int32_t* ranks, const std::int32_t* offsets, const std::int64_t* begins,
               std::int64_t* order) {
    const std::int64_t n = blockIdx.x * std::int64_t(cluster_threads) + threadIdx.x;
    if (n >= s.rows || settled(before) || s.labels[n] < 0)
        return;
    const std::int64_t c = s.labels[n];
    order[begins[c] + offsets[n / span * k + c] + ranks[n]] = n;
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
