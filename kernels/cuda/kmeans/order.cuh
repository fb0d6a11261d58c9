// Rows in the order of their labels: a stable counting sort, between barriers of the grid. Blocks count the labels of
// some rows and rank these among their like, one block adds the counts up, and each row finds its place.
#pragma once

#include "kernels/cuda/core/grid.cuh"
#include "kernels/cuda/kmeans/clusters.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

/// Ranks of the rows first ... last − 1 among those of the same label before them, by one warp, and how many there are
/// of each label. Rows without a label have no rank.
__device__ inline void rank_run(const sample_view& s, std::int64_t first, std::int64_t last, std::int32_t* count,
                                std::int32_t* ranks) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (std::int64_t begin = first; begin < last; begin += 32) {
        const std::int64_t n = begin + lane;
        const std::int32_t label = n < last ? s.labels[n] : -1;
        const unsigned alike = __match_any_sync(0xffffffffu, label);
        const int earlier = __popc(alike & ((1u << lane) - 1));
        const std::int32_t so_far = label >= 0 ? count[label] : 0;
        __syncwarp(); // all have read it
        if (label >= 0) {
            ranks[n] = so_far + earlier;
            if (earlier == 0)
                count[label] = so_far + __popc(alike);
        }
        __syncwarp();
    }
}

/// The labels of each span of rows: how many rows have each, into counts [spans x k], and the rank of each row among
/// those of its span. The warps of a block share a span, if there is room for counts of each in `shared`.
__device__ inline void rank_rows(const sample_view& s, const order_view& v, std::int32_t* shared) {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    const int parts = max(v.parts, 1);
    for_grid_blocks(v.spans, [&](std::int64_t span) {
        std::int32_t* const own = v.counts + span * v.k;
        std::int32_t* const counts = v.parts > 0 ? shared : own;
        __syncthreads(); // those of the last span have been read
        for (std::int64_t i = threadIdx.x; i < parts * v.k; i += blockDim.x)
            counts[i] = 0;
        __syncthreads();
        const std::int64_t end = min(s.rows, (span + 1) * v.span), run = v.span / parts;
        const std::int64_t first = min(end, span * v.span + warp * run), last = min(end, first + run);
        if (warp < parts)
            rank_run(s, first, last, counts + warp * v.k, v.ranks);
        __syncthreads();
        if (v.parts == 0)
            return;
        for (std::int64_t c = threadIdx.x; c < v.k; c += blockDim.x) {
            std::int32_t before = 0;
            for (int p = 0; p < parts; ++p) {
                const std::int32_t rows = counts[p * v.k + c];
                counts[p * v.k + c] = before;
                before += rows;
            }
            own[c] = before;
        }
        __syncthreads();
        for (std::int64_t n = first + lane; warp < parts && n < last; n += 32)
            if (s.labels[n] >= 0)
                v.ranks[n] += counts[warp * v.k + s.labels[n]];
    });
}

/// By one block: where the rows of each label and of each span begin, where the clusters and their chunks do. Some
/// lanes share a label, each with a part of the spans.
__device__ inline void place_clusters(const order_view& v) {
    __shared__ std::int64_t scratch[32], ends[2];
    const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
    int lanes = 1;
    while (lanes < 32 && 2 * lanes * v.k <= threads)
        lanes *= 2;
    const std::int64_t each = (v.spans + lanes - 1) / lanes, lane = thread % lanes;
    const std::int64_t begin = min(v.spans, lane * each), end = min(v.spans, begin + each);
    std::int64_t rows_before = 0, chunks_before = 0;
    for (std::int64_t first = 0; first < v.k; first += threads / lanes) {
        const std::int64_t c = first + thread / lanes;
        int own = 0; // rows of this thread
#pragma unroll 8
        for (std::int64_t b = begin; b < end; ++b)
            own += c < v.k ? v.counts[b * v.k + c] : 0;
        int last = own;
        for (int distance = 1; distance < lanes; distance *= 2) {
            const int other = __shfl_up_sync(0xffffffffu, last, distance, lanes);
            last += lane >= distance ? other : 0;
        }
        const int rows = __shfl_sync(0xffffffffu, last, lanes - 1, lanes);
        int before = last - own;
#pragma unroll 8
        for (std::int64_t b = begin; b < end && c < v.k; ++b) {
            v.offsets[b * v.k + c] = before;
            before += v.counts[b * v.k + c];
        }
        const std::int64_t chunks = (rows + kmeans_chunk_rows - 1) / kmeans_chunk_rows;
        __syncwarp();
        const std::int64_t last_row = rows_before + block_scan(lane == 0 ? rows : 0, scratch);
        const std::int64_t last_chunk = chunks_before + block_scan(lane == 0 ? chunks : 0, scratch);
        if (c < v.k && lane == 0) {
            v.begins[c] = last_row - rows;
            v.first_chunks[c] = last_chunk - chunks;
        }
        if (thread == threads - 1)
            ends[0] = last_row, ends[1] = last_chunk;
        __syncthreads();
        rows_before = ends[0], chunks_before = ends[1];
    }
    if (thread == 0)
        v.begins[v.k] = rows_before, v.first_chunks[v.k] = chunks_before;
}

/// All of it; with a barrier behind.
__device__ inline void order_rows(const sample_view& s, const order_view& v, std::int32_t* shared) {
    rank_rows(s, v, shared);
    grid_sync();
    if (blockIdx.x == 0)
        place_clusters(v);
    grid_sync();
    for_grid_threads(s.rows, [&](std::int64_t n) {
        const std::int64_t c = s.labels[n];
        if (c >= 0)
            v.order[v.begins[c] + v.offsets[n / v.span * v.k + c] + v.ranks[n]] = n;
    });
    grid_sync();
}

} // namespace

} // namespace elbo::kernels::cuda
