// Rows in the order of their labels: a stable counting sort. Each warp counts the labels of some blocks of rows and
// ranks these among their like, one block adds the counts up, and each row finds its place.
#pragma once

#include "kernels/cuda/kmeans/clusters.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

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

} // namespace

} // namespace elbo::kernels::cuda
