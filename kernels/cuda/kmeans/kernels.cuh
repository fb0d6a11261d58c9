// The kernels of k-means. Rows lie by column, so that neighbouring threads read neighbouring numbers; a thread holds a
// tile of distances (rows x centres) in registers. Sums follow the order of kernels/math/kmeans.hpp; the only atomics
// are of integers.
#pragma once

#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/math/kmeans.hpp"

namespace elbo::kernels::cuda {

namespace {

constexpr int warp_threads = 32;
static_assert(kmeans_lanes == warp_threads);
constexpr int rows_each = 2; ///< rows of a thread
constexpr int block_threads = kmeans_block_rows / rows_each;
constexpr int assign_threads = 256;
constexpr int plain_threads = 256; ///< of kernels with one result a thread
constexpr int tile_centres = 4;

struct sample_view {
    const double* x;       ///< [cols x rows]
    const double* weights; ///< [rows]
    double* nearest;       ///< [rows]
    std::int32_t* labels;  ///< [rows]
    std::int64_t rows, cols;
};

struct draw_uniforms {
    double u[kmeans_candidate_limit];
};

/// Squared distances of the rows begin + thread, begin + thread + threads, ... to C centres whose numbers are `stride`
/// apart. Rows beyond the end give those of the last row.
template <int C>
struct distance_tile {
    double sum[C][rows_each];

    __device__ distance_tile(const sample_view& s, std::int64_t begin, const double* const (&centres)[C],
                             std::int64_t stride)
        : sum{} {
        const double* x[rows_each];
        for (int r = 0; r < rows_each; ++r)
            x[r] = s.x + min(begin + threadIdx.x + r * blockDim.x, s.rows - 1);
        for (std::int64_t j = 0; j < s.cols; ++j) {
            double row[rows_each];
#pragma unroll
            for (int r = 0; r < rows_each; ++r)
                row[r] = x[r][j * s.rows];
#pragma unroll
            for (int c = 0; c < C; ++c) {
                const double centre = centres[c][j * stride];
#pragma unroll
                for (int r = 0; r < rows_each; ++r) {
                    const double step = row[r] - centre;
                    sum[c][r] = fma(step, step, sum[c][r]);
                }
            }
        }
    }
};

/// Σ w value(i) over the rows begin + i of a block of rows, by one warp; lane 0 gets the sum.
template <class Value>
__device__ double warp_mass(const sample_view& s, std::int64_t begin, const Value& value) {
    const int lane = static_cast<int>(threadIdx.x) % warp_threads;
    double sum = 0;
    for (std::int64_t i = lane; i < min(kmeans_block_rows, s.rows - begin); i += kmeans_lanes)
        sum = fma(s.weights[begin + i], value(i), sum);
    for (int width = warp_threads / 2; width > 0; width /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, width);
    return sum;
}

/// Rows first ... first + count − 1, given by row, into x.
__global__ void __launch_bounds__(plain_threads)
    transpose(const double* rows, std::int64_t first, std::int64_t count, sample_view s, double* x) {
    const std::int64_t i = blockIdx.x * std::int64_t(plain_threads) + threadIdx.x;
    if (i < count * s.cols)
        x[i / count * s.rows + first + i % count] = rows[i % count * s.cols + i / count];
}

__global__ void __launch_bounds__(warp_threads) sum_weights(sample_view s, double* mass) {
    const double sum = warp_mass(s, blockIdx.x * kmeans_block_rows, [](std::int64_t) { return 1.0; });
    if (threadIdx.x == 0)
        mass[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(plain_threads) forget_centres(sample_view s) {
    const std::int64_t n = blockIdx.x * std::int64_t(plain_threads) + threadIdx.x;
    if (n >= s.rows)
        return;
    s.nearest[n] = INFINITY;
    s.labels[n] = -1;
}

// A block for 1024 rows.
__global__ void __launch_bounds__(block_threads)
    add_centre(sample_view s, std::int64_t row, std::int32_t label, double* mass) {
    __shared__ double nearest[kmeans_block_rows];
    const std::int64_t begin = blockIdx.x * kmeans_block_rows;
    const double* const centre[1] = {s.x + row};
    const distance_tile<1> tile(s, begin, centre, s.rows);
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
        const int i = static_cast<int>(threadIdx.x) + r * block_threads;
        const std::int64_t n = begin + i;
        if (n >= s.rows)
            break;
        nearest[i] = s.nearest[n];
        if (tile.sum[0][r] < nearest[i]) {
            s.nearest[n] = nearest[i] = tile.sum[0][r];
            s.labels[n] = label;
        }
    }
    __syncthreads();
    if (threadIdx.x >= warp_threads)
        return;
    const double sum = warp_mass(s, begin, [&](std::int64_t i) { return nearest[i]; });
    if (threadIdx.x == 0)
        mass[blockIdx.x] = sum;
}

// A warp for each candidate. The masses of the blocks are in shared memory, with those of the runs of one block behind.
__global__ void __launch_bounds__(warp_threads)
    draw_rows(sample_view s, const __grid_constant__ draw_uniforms uniforms, const double* block_mass,
              const double* block_weights, std::int64_t blocks, bool any_centre, kmeans_candidate* out) {
    extern __shared__ double masses[];
    double* runs = masses + blocks;
    const std::int64_t lane = threadIdx.x;
    const auto gather = [&](const double* from) {
        __syncwarp();
        for (std::int64_t b = lane; b < blocks; b += warp_threads)
            masses[b] = from[b];
        __syncwarp();
        double sum = 0;
        for (std::int64_t b = 0; b < blocks; ++b)
            sum += masses[b];
        return sum;
    };
    row_mass mass{s.weights, s.nearest};
    double total = any_centre ? gather(block_mass) : 0;
    if (!(total > 0)) {
        mass.nearest = nullptr;
        total = gather(block_weights);
    }
    // Every lane finds the block, each sums one run of it, and every lane goes on with all runs.
    double target = 0;
    const auto add_block = [&](double sum, std::int64_t b) { return sum + masses[b]; };
    const std::int64_t first = kmeans_block_rows * find_mass(blocks, uniforms.u[blockIdx.x], total, add_block, target);
    const std::int64_t last = min(s.rows, first + kmeans_block_rows);
    const std::int64_t begin = min(last, first + lane * kmeans_lanes);
    runs[lane] = mass.run(begin, min(last, begin + kmeans_lanes));
    __syncwarp();
    const auto add_run = [&](double sum, std::int64_t i) { return sum + runs[i]; };
    const std::int64_t row = draw_from_block(mass, first, last, target, add_run);
    if (lane == 0)
        out[blockIdx.x] = {row, 0};
}

// A block for 1024 rows and 4 candidates.
__global__ void __launch_bounds__(block_threads)
    sum_potentials(sample_view s, const kmeans_candidate* candidates, int count, double* partial) {
    __shared__ double value[tile_centres][kmeans_block_rows];
    const std::int64_t begin = blockIdx.x * kmeans_block_rows;
    const int first = static_cast<int>(blockIdx.y) * tile_centres;
    const double* centres[tile_centres];
#pragma unroll
    for (int c = 0; c < tile_centres; ++c)
        centres[c] = s.x + candidates[min(first + c, count - 1)].row;
    const distance_tile<tile_centres> tile(s, begin, centres, s.rows);
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
        const int i = static_cast<int>(threadIdx.x) + r * block_threads;
        if (begin + i >= s.rows)
            break;
#pragma unroll
        for (int c = 0; c < tile_centres; ++c)
            value[c][i] = fmin(s.nearest[begin + i], tile.sum[c][r]);
    }
    __syncthreads();
    const int c = static_cast<int>(threadIdx.x) / warp_threads;
    if (c >= tile_centres || first + c >= count)
        return;
    const double sum = warp_mass(s, begin, [&](std::int64_t i) { return value[c][i]; });
    if (threadIdx.x % warp_threads == 0)
        partial[blockIdx.x * count + first + c] = sum;
}

__global__ void __launch_bounds__(kmeans_candidate_limit)
    finish_potentials(const double* partial, std::int64_t blocks, int count, kmeans_candidate* candidates) {
    const int c = static_cast<int>(threadIdx.x);
    if (c >= count)
        return;
    double sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b)
        sum += partial[b * count + c];
    candidates[c].potential = sum;
}

__global__ void __launch_bounds__(assign_threads)
    assign_rows(sample_view s, const double* centres, std::int32_t k, unsigned long long* changed) {
    const std::int64_t begin = blockIdx.x * std::int64_t(assign_threads * rows_each);
    double best[rows_each];
    std::int32_t label[rows_each];
#pragma unroll
    for (int r = 0; r < rows_each; ++r)
        best[r] = INFINITY, label[r] = 0;
    for (std::int32_t first = 0; first < k; first += tile_centres) {
        const double* group[tile_centres];
#pragma unroll
        for (int c = 0; c < tile_centres; ++c)
            group[c] = centres + min(first + c, k - 1) * s.cols;
        const distance_tile<tile_centres> tile(s, begin, group, 1);
#pragma unroll
        for (int c = 0; c < tile_centres; ++c) // those beyond the last repeat it, and are never less
#pragma unroll
            for (int r = 0; r < rows_each; ++r)
                if (tile.sum[c][r] < best[r])
                    best[r] = tile.sum[c][r], label[r] = first + c;
    }
    int differ = 0;
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
        const std::int64_t n = begin + threadIdx.x + r * assign_threads;
        const bool inside = n < s.rows;
        differ += block_count(inside && s.labels[n] != label[r]);
        if (inside)
            s.labels[n] = label[r];
    }
    if (threadIdx.x == 0 && differ > 0)
        atomicAdd(changed, static_cast<unsigned long long>(differ));
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

__global__ void __launch_bounds__(plain_threads) count_up(std::int64_t* numbers, std::int64_t count) {
    const std::int64_t i = blockIdx.x * std::int64_t(plain_threads) + threadIdx.x;
    if (i < count)
        numbers[i] = i;
}

/// Begins [k + 1] of the clusters in the sorted labels, and how many chunks each has (0 for the end).
__global__ void __launch_bounds__(plain_threads)
    find_clusters(const std::int32_t* sorted, std::int64_t rows, std::int32_t k, std::int64_t* begins,
                  std::int64_t* chunks) {
    const auto c = static_cast<std::int32_t>(blockIdx.x * plain_threads + threadIdx.x);
    if (c > k)
        return;
    const std::int64_t begin = lower_bound(sorted, rows, c), end = lower_bound(sorted, rows, c + 1);
    begins[c] = begin;
    chunks[c] = (end - begin + kmeans_chunk_rows - 1) / kmeans_chunk_rows;
}

/// The rows in the order of their labels, and where clusters and their chunks begin there.
struct cluster_view {
    const std::int64_t* order;        ///< [rows]
    const std::int64_t* begins;       ///< [k + 1]
    const std::int64_t* first_chunks; ///< [k + 1]
    std::int64_t k;
};

// A thread for one column of one chunk; the last column is Σ w.
__global__ void __launch_bounds__(plain_threads) sum_chunks(sample_view s, cluster_view clusters, double* partial) {
    const std::int64_t i = blockIdx.x * std::int64_t(plain_threads) + threadIdx.x;
    const std::int64_t chunk = i / (s.cols + 1), column = i % (s.cols + 1);
    if (chunk >= clusters.first_chunks[clusters.k])
        return;
    const std::int64_t c = lower_bound(clusters.first_chunks, clusters.k + 1, chunk + 1) - 1;
    const std::int64_t first = clusters.begins[c] + (chunk - clusters.first_chunks[c]) * kmeans_chunk_rows;
    const std::int64_t last = min(first + kmeans_chunk_rows, clusters.begins[c + 1]);
    double sum = 0;
    for (std::int64_t at = first; at < last; ++at) {
        const std::int64_t n = clusters.order[at];
        sum = fma(s.weights[n], column < s.cols ? s.x[column * s.rows + n] : 1.0, sum);
    }
    partial[i] = sum;
}

__global__ void __launch_bounds__(plain_threads)
    add_chunks(const double* partial, cluster_view clusters, std::int64_t columns, double* sums) {
    const std::int64_t i = blockIdx.x * std::int64_t(plain_threads) + threadIdx.x;
    if (i >= clusters.k * columns)
        return;
    const std::int64_t c = i / columns;
    double sum = 0;
    for (std::int64_t chunk = clusters.first_chunks[c]; chunk < clusters.first_chunks[c + 1]; ++chunk)
        sum += partial[chunk * columns + i % columns];
    sums[i] = sum;
}

} // namespace

} // namespace elbo::kernels::cuda
