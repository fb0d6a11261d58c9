// Lloyd's iterations in one launch, until no label changes: six barriers of the grid each (the order of the rows by
// label in three, sums of chunks, new centres, labels).
//
// Of an iteration: 8 N (2 d + 5) bytes; 3 float64 operations a row, padded centre and dimension. Predicted on an H200,
// not measured: 8 µs for the barriers, 10 µs for what waits for one another (docs/kernels.md section 6).
#pragma once

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/kmeans/distances.cuh"
#include "kernels/cuda/kmeans/order.cuh"

namespace elbo::kernels::cuda {

namespace {

struct lloyd_view {
    order_view order;
    cluster_sums_view sums;
    double* centres;             ///< [k x cols]
    const std::int64_t* rows;    ///< that are the centres, where those are not known yet, else null
    unsigned long long* changed; ///< [iterations] labels
    bool unlabelled;             ///< the rows have no labels yet
};

/// What a block keeps in shared memory to label a tile of rows.
template <int Groups>
struct label_memory {
    typename distance_tile<Groups>::memory tile;
    double nearest[Groups][distance_tile<Groups>::rows];
    std::int32_t labels[Groups][distance_tile<Groups>::rows];
};

/// Labels of a tile of rows; how many changed is added to `changed`.
template <int Groups>
__device__ void label_tile(const sample_view& s, std::int64_t begin, const lloyd_view& v, label_memory<Groups>& m,
                           unsigned long long* changed) {
    using tile_type = distance_tile<Groups>;
    const auto k = static_cast<std::int32_t>(v.order.k);
    tile_type tile;
    const int group = tile.first_centre() / centres_each;
    double best[rows_each];
    std::int32_t label[rows_each];
#pragma unroll
    for (int r = 0; r < rows_each; ++r)
        best[r] = INFINITY, label[r] = 0;
    for (std::int32_t first = 0; first < k; first += tile_type::centres) {
        tile.compute(
            s, begin, k - first, [&](int c) { return v.centres + (first + c) * s.cols; }, m.tile);
#pragma unroll
        for (int c = 0; c < centres_each; ++c) // those beyond the last repeat it, and are never less
#pragma unroll
            for (int r = 0; r < rows_each; ++r)
                if (tile.sum[c][r] < best[r] && first + tile.first_centre() + c < k)
                    best[r] = tile.sum[c][r], label[r] = first + tile.first_centre() + c;
    }
#pragma unroll
    for (int r = 0; r < rows_each; ++r)
        m.nearest[group][tile.row(r)] = best[r], m.labels[group][tile.row(r)] = label[r];
    __syncthreads();
    int differ = 0;
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
        const std::int64_t n = begin + tile.row(r);
        const bool inside = group == 0 && n < s.rows;
        for (int g = 1; inside && g < Groups; ++g) {
            const double other = m.nearest[g][tile.row(r)];
            const std::int32_t its = m.labels[g][tile.row(r)];
            if (other < best[r] || (other == best[r] && its < label[r]))
                best[r] = other, label[r] = its;
        }
        differ += block_count(inside && (v.unlabelled || s.labels[n] != label[r]));
        if (inside)
            s.labels[n] = label[r];
    }
    if (threadIdx.x == 0 && differ > 0)
        atomicAdd(changed, static_cast<unsigned long long>(differ));
}

// `iterations` labellings, between which the centres move; before the first, too, where `moves`. In dynamic shared
// memory counts of the labels of a block's rows.
template <int Groups>
__global__ void __launch_bounds__(tile_threads)
    move_centres(sample_view s, lloyd_view v, bool moves, std::int64_t iterations) {
    extern __shared__ std::int32_t label_counts[];
    __shared__ label_memory<Groups> memory;
    for_grid_threads(iterations, [&](std::int64_t t) { v.changed[t] = 0; });
    if (v.rows)
        for_grid_threads(v.order.k * s.cols,
                         [&](std::int64_t i) { v.centres[i] = s.x[v.rows[i / s.cols] * s.cols + i % s.cols]; });
    grid_sync();
    for (std::int64_t t = 0; t < iterations; ++t) {
        if (moves || t > 0) {
            order_rows(s, v.order, label_counts);
            sum_over_clusters(s, v.order.clusters(), v.sums);
            grid_sync();
        }
        constexpr std::int64_t rows = distance_tile<Groups>::rows;
        for_grid_blocks((s.rows + rows - 1) / rows,
                        [&](std::int64_t tile) { label_tile<Groups>(s, tile * rows, v, memory, v.changed + t); });
        if (t + 1 == iterations)
            return;
        grid_sync();
        if (v.changed[t] == 0)
            return;
    }
}

// Sums over clusters, of rows that may be others than those with the labels; before, where `orders`, the clusters.
__global__ void __launch_bounds__(tile_threads)
    sum_clusters(sample_view labelled, order_view order, bool orders, sample_view s, cluster_view clusters,
                 cluster_sums_view sums) {
    extern __shared__ std::int32_t label_counts[];
    if (orders)
        order_rows(labelled, order, label_counts);
    sum_over_clusters(s, clusters, sums);
}

} // namespace

} // namespace elbo::kernels::cuda
