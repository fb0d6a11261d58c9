// The kernels of k-means++ and of the labels. Squared distances come from tiles of rows and centres in shared memory,
// from which a thread takes 2 rows x 4 centres into registers: for up to 32 centres the rows are read once. Sums follow
// the order of kernels/math/kmeans.hpp; the only atomics are of integers.
#pragma once

#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/kmeans/engine.hpp"
#include "kernels/math/kmeans.hpp"

namespace elbo::kernels::cuda {

namespace {

constexpr int warp_threads = 32;
static_assert(kmeans_lanes == warp_threads);
constexpr int block_threads = 256; ///< of a block for kmeans_block_rows rows
constexpr int plain_threads = 256; ///< of kernels with one result a thread
constexpr int tile_threads = 256;
constexpr int rows_each = 2; ///< rows and centres of a thread
constexpr int centres_each = 4;
constexpr int tile_depth = 8; ///< dimensions of a tile in shared memory

struct draw_uniforms {
    double u[kmeans_candidate_limit];
};

/// Squared distances of a tile of rows to Groups x 4 centres.
template <int Groups>
struct distance_tile {
    static constexpr int row_threads = tile_threads / Groups;
    static constexpr int rows = rows_each * row_threads;
    static constexpr int centres = centres_each * Groups;
    struct memory {
        double x[tile_depth][rows + 2]; // two more: what a half warp writes lies in as many banks
        double centre[tile_depth][centres];
    };
    double sum[centres_each][rows_each];

    /// The row of the tile that is number r of this thread, and its first centre.
    __device__ static int row(int r) { return static_cast<int>(threadIdx.x) % row_threads + r * row_threads; }
    __device__ static int first_centre() { return static_cast<int>(threadIdx.x) / row_threads * centres_each; }

    /// For the rows from `begin` on and the `count` centres whose numbers begin at centre(i). Rows beyond the end give
    /// those of the last row, centres those of the last centre.
    template <class Centre>
    __device__ void compute(const sample_view& s, std::int64_t begin, int count, const Centre& centre, memory& m) {
#pragma unroll
        for (auto& of_centre : sum)
#pragma unroll
            for (double& v : of_centre)
                v = 0;
        for (std::int64_t j = 0; j < s.cols; j += tile_depth) {
            const int depth = static_cast<int>(min(std::int64_t(tile_depth), s.cols - j));
            __syncthreads(); // the last tile has been read
            for (int e = static_cast<int>(threadIdx.x); e < rows * tile_depth; e += tile_threads)
                if (e % tile_depth < depth)
                    m.x[e % tile_depth][e / tile_depth] =
                        s.x[min(begin + e / tile_depth, s.rows - 1) * s.cols + j + e % tile_depth];
            for (int e = static_cast<int>(threadIdx.x); e < centres * tile_depth; e += tile_threads)
                if (e % tile_depth < depth)
                    m.centre[e % tile_depth][e / tile_depth] =
                        centre(min(e / tile_depth, count - 1))[j + e % tile_depth];
            __syncthreads();
#pragma unroll 4
            for (int t = 0; t < depth; ++t) {
                double x[rows_each];
#pragma unroll
                for (int r = 0; r < rows_each; ++r)
                    x[r] = m.x[t][row(r)];
#pragma unroll
                for (int c = 0; c < centres_each; ++c) {
                    const double at = m.centre[t][first_centre() + c];
#pragma unroll
                    for (int r = 0; r < rows_each; ++r) {
                        const double step = x[r] - at;
                        sum[c][r] = fma(step, step, sum[c][r]);
                    }
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
#pragma unroll 8
    for (std::int64_t i = lane; i < min(kmeans_block_rows, s.rows - begin); i += kmeans_lanes)
        sum = fma(s.weights[begin + i], value(i), sum);
    for (int width = warp_threads / 2; width > 0; width /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, width);
    return sum;
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

__global__ void name_candidate(kmeans_candidate* candidates, std::int64_t row) {
    *candidates = {row, 0};
}

// Squared distances [count x rows] to all candidates, the rows read once.
template <int Groups>
__global__ void __launch_bounds__(tile_threads)
    measure_candidates(sample_view s, const kmeans_candidate* candidates, int count, double* distances) {
    using tile_type = distance_tile<Groups>;
    __shared__ typename tile_type::memory memory;
    const std::int64_t begin = blockIdx.x * std::int64_t(tile_type::rows);
    tile_type tile;
    tile.compute(
        s, begin, count, [&](int c) { return s.x + candidates[c].row * s.cols; }, memory);
#pragma unroll
    for (int c = 0; c < centres_each; ++c)
#pragma unroll
        for (int r = 0; r < rows_each; ++r)
            if (tile.first_centre() + c < count && begin + tile.row(r) < s.rows)
                distances[(tile.first_centre() + c) * s.rows + begin + tile.row(r)] = tile.sum[c][r];
}

// A warp for 1024 rows and a candidate: its potential's part.
__global__ void __launch_bounds__(warp_threads)
    sum_potentials(sample_view s, const double* distances, double* partial) {
    const std::int64_t begin = blockIdx.x * kmeans_block_rows;
    const double* distance = distances + blockIdx.y * s.rows + begin;
    const double sum = warp_mass(s, begin, [&](std::int64_t i) { return fmin(s.nearest[begin + i], distance[i]); });
    if (threadIdx.x == 0)
        partial[std::int64_t(blockIdx.x) * gridDim.y + blockIdx.y] = sum;
}

/// The candidate of least potential, the first at a tie; for all threads. There are 1 to 32.
__device__ inline int best_candidate(const double* partial, std::int64_t blocks, int count) {
    __shared__ double potential[kmeans_candidate_limit];
    if (count == 1)
        return 0;
    if (static_cast<int>(threadIdx.x) < count) {
        double sum = 0;
#pragma unroll 8
        for (std::int64_t b = 0; b < blocks; ++b)
            sum += partial[b * count + threadIdx.x];
        potential[threadIdx.x] = sum;
    }
    __syncthreads();
    int best = 0;
    for (int c = 1; c < count; ++c)
        if (potential[c] < potential[best])
            best = c;
    return best;
}

// A block for 1024 rows: the best of the candidates becomes centre number `label`. `rows` takes its row.
__global__ void __launch_bounds__(block_threads)
    add_centre(sample_view s, const kmeans_candidate* candidates, int count, const double* partial,
               const double* distances, std::int32_t label, double* mass, std::int64_t* rows) {
    __shared__ double nearest[kmeans_block_rows];
    const int best = best_candidate(partial, gridDim.x, count);
    if (blockIdx.x == 0 && threadIdx.x == 0)
        rows[label] = candidates[best].row;
    const std::int64_t begin = blockIdx.x * kmeans_block_rows;
    for (std::int64_t i = threadIdx.x; i < min(kmeans_block_rows, s.rows - begin); i += block_threads) {
        const double distance = distances[best * s.rows + begin + i];
        nearest[i] = s.nearest[begin + i];
        if (distance < nearest[i]) {
            s.nearest[begin + i] = nearest[i] = distance;
            s.labels[begin + i] = label;
        }
    }
    __syncthreads();
    if (threadIdx.x >= warp_threads)
        return;
    const double sum = warp_mass(s, begin, [&](std::int64_t i) { return nearest[i]; });
    if (threadIdx.x == 0)
        mass[blockIdx.x] = sum;
}

// The rows that are centres [k x cols].
__global__ void __launch_bounds__(plain_threads)
    gather_centres(sample_view s, const std::int64_t* rows, std::int64_t k, double* centres) {
    const std::int64_t i = blockIdx.x * std::int64_t(plain_threads) + threadIdx.x;
    if (i < k * s.cols)
        centres[i] = s.x[rows[i / s.cols] * s.cols + i % s.cols];
}

// Labels of a tile of rows; how many changed is added to `changed`. Nothing where nothing changed `before`.
template <int Groups>
__global__ void __launch_bounds__(tile_threads)
    assign_rows(sample_view s, const double* centres, std::int32_t k, const unsigned long long* before,
                unsigned long long* changed) {
    using tile_type = distance_tile<Groups>;
    __shared__ typename tile_type::memory memory;
    __shared__ double nearest[Groups][tile_type::rows];
    __shared__ std::int32_t labels[Groups][tile_type::rows];
    if (settled(before))
        return;
    const std::int64_t begin = blockIdx.x * std::int64_t(tile_type::rows);
    tile_type tile;
    const int group = tile.first_centre() / centres_each;
    double best[rows_each];
    std::int32_t label[rows_each];
#pragma unroll
    for (int r = 0; r < rows_each; ++r)
        best[r] = INFINITY, label[r] = 0;
    for (std::int32_t first = 0; first < k; first += tile_type::centres) {
        tile.compute(
            s, begin, k - first, [&](int c) { return centres + (first + c) * s.cols; }, memory);
#pragma unroll
        for (int c = 0; c < centres_each; ++c) // those beyond the last repeat it, and are never less
#pragma unroll
            for (int r = 0; r < rows_each; ++r)
                if (tile.sum[c][r] < best[r] && first + tile.first_centre() + c < k)
                    best[r] = tile.sum[c][r], label[r] = first + tile.first_centre() + c;
    }
#pragma unroll
    for (int r = 0; r < rows_each; ++r)
        nearest[group][tile.row(r)] = best[r], labels[group][tile.row(r)] = label[r];
    __syncthreads();
    int differ = 0;
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
        const std::int64_t n = begin + tile.row(r);
        const bool inside = group == 0 && n < s.rows;
        for (int g = 1; inside && g < Groups; ++g) {
            const double other = nearest[g][tile.row(r)];
            const std::int32_t its = labels[g][tile.row(r)];
            if (other < best[r] || (other == best[r] && its < label[r]))
                best[r] = other, label[r] = its;
        }
        differ += block_count(inside && s.labels[n] != label[r]);
        if (inside)
            s.labels[n] = label[r];
    }
    if (threadIdx.x == 0 && differ > 0)
        atomicAdd(changed, static_cast<unsigned long long>(differ));
}

} // namespace

} // namespace elbo::kernels::cuda
