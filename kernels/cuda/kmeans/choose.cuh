// k-means++ in one launch, three barriers of the grid a centre: every block draws the candidates and measures its tiles
// of rows to them; their potentials; the best becomes a centre. Sums follow the order of kernels/math/kmeans.hpp.
//
// Of a step: 8 N d bytes of rows for all candidates, 8 N a candidate twice, 40 N; 3 float64 operations a row, padded
// candidate and dimension. Predicted on an H200, not measured: 4 µs for the barriers, 8 µs for what waits for one
// another (docs/kernels.md section 6).
#pragma once

#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/core/grid.cuh"
#include "kernels/cuda/kmeans/distances.cuh"
#include "kernels/math/kmeans.hpp"

namespace elbo::kernels::cuda {

namespace {

static_assert(kmeans_lanes == 32);

/// Steps of k-means++ in device memory, [count x stride]: the row of the centre or −1, the number of candidates, and
/// for each of them a uniform.
struct choice_view {
    const double* steps;
    std::int64_t stride, count;
    std::int64_t first;           ///< centres before the first step
    bool adds;                    ///< else the candidates of one step are wanted
    double* mass;                 ///< [blocks] Σ w nearest
    double* block_weights;        ///< [blocks] Σ w
    double* distances;            ///< [candidates x rows]
    double* partial;              ///< [blocks x candidates] parts of the potentials
    std::int64_t* rows;           ///< of the centres
    kmeans_candidate* candidates; ///< where they are wanted
};

/// Σ w value(i) over the rows begin + i of a block of rows, by one warp; lane 0 gets the sum.
template <class Value>
__device__ double warp_mass(const sample_view& s, std::int64_t begin, const Value& value) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    double sum = 0;
#pragma unroll 8
    for (std::int64_t i = lane; i < min(kmeans_block_rows, s.rows - begin); i += kmeans_lanes)
        sum = fma(s.weights[begin + i], value(i), sum);
    for (int width = 16; width > 0; width /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, width);
    return sum;
}

__device__ inline void sum_weights(const sample_view& s, double* out) {
    for_grid_warps(kmeans_blocks(s.rows), [&](std::int64_t b) {
        const double sum = warp_mass(s, b * kmeans_block_rows, [](std::int64_t) { return 1.0; });
        if (threadIdx.x % 32 == 0)
            out[b] = sum;
    });
}

/// The row that a uniform leads to; for all lanes of a warp. `runs` is 32 doubles of shared memory.
__device__ inline std::int64_t draw_row(const sample_view& s, const row_mass& mass, const double* masses, double total,
                                        double uniform, double* runs) {
    const std::int64_t lane = threadIdx.x % 32;
    // Every lane finds the block, each sums one run of it, and every lane goes on with all runs.
    double target = 0;
    const auto add_block = [&](double sum, std::int64_t b) { return sum + masses[b]; };
    const std::int64_t first = kmeans_block_rows * find_mass(kmeans_blocks(s.rows), uniform, total, add_block, target);
    const std::int64_t last = min(s.rows, first + kmeans_block_rows);
    const std::int64_t begin = min(last, first + lane * kmeans_lanes);
    __syncwarp(); // the last draw has read the runs
    runs[lane] = mass.run(begin, min(last, begin + kmeans_lanes));
    __syncwarp();
    const auto add_run = [&](double sum, std::int64_t i) { return sum + runs[i]; };
    return draw_from_block(mass, first, last, target, add_run);
}

/// The candidates of a step, drawn by every block for itself, a warp each. `masses` takes those of the blocks of rows,
/// with 32 doubles a warp behind.
__device__ inline void draw_rows(const sample_view& s, const choice_view& v, const double* step, bool any_centre,
                                 double* masses, std::int64_t* drawn) {
    const std::int64_t blocks = kmeans_blocks(s.rows);
    const auto gather = [&](const double* from) {
        __syncthreads();
        for (std::int64_t b = threadIdx.x; b < blocks; b += tile_threads)
            masses[b] = from[b];
        __syncthreads();
        double sum = 0;
        for (std::int64_t b = 0; b < blocks; ++b)
            sum += masses[b];
        return sum;
    };
    row_mass mass{s.weights, s.nearest};
    double total = any_centre ? gather(v.mass) : 0;
    if (!(total > 0)) {
        mass.nearest = nullptr;
        total = gather(v.block_weights);
    }
    const int warp = static_cast<int>(threadIdx.x) / 32, count = static_cast<int>(step[1]);
    for (int c = warp; c < count; c += tile_threads / 32) {
        const std::int64_t row = draw_row(s, mass, masses, total, step[2 + c], masses + blocks + warp * 32);
        if (threadIdx.x % 32 == 0)
            drawn[c] = row;
    }
}

/// Squared distances [count x rows] to all candidates, the rows read once.
template <int Groups>
__device__ void measure_candidates(const sample_view& s, const std::int64_t* candidates, int count,
                                   typename distance_tile<Groups>::memory& memory, double* distances) {
    using tile_type = distance_tile<Groups>;
    for_grid_blocks((s.rows + tile_type::rows - 1) / tile_type::rows, [&](std::int64_t number) {
        const std::int64_t begin = number * tile_type::rows;
        tile_type tile;
        tile.compute(
            s, begin, count, [&](int c) { return s.x + candidates[c] * s.cols; }, memory);
#pragma unroll
        for (int c = 0; c < centres_each; ++c)
#pragma unroll
            for (int r = 0; r < rows_each; ++r)
                if (tile.first_centre() + c < count && begin + tile.row(r) < s.rows)
                    distances[(tile.first_centre() + c) * s.rows + begin + tile.row(r)] = tile.sum[c][r];
    });
}

/// A warp for 1024 rows and a candidate: its potential's part.
__device__ inline void sum_potentials(const sample_view& s, const double* distances, int count, double* partial) {
    for_grid_warps(kmeans_blocks(s.rows) * count, [&](std::int64_t item) {
        const std::int64_t begin = item / count * kmeans_block_rows;
        const double* distance = distances + item % count * s.rows + begin;
        const double sum = warp_mass(s, begin, [&](std::int64_t i) { return fmin(s.nearest[begin + i], distance[i]); });
        if (threadIdx.x % 32 == 0)
            partial[item] = sum;
    });
}

/// The potentials of the candidates into shared memory, a thread each.
__device__ inline void finish_potentials(const double* partial, std::int64_t blocks, int count, double* potentials) {
    if (static_cast<int>(threadIdx.x) < count) {
        double sum = 0;
#pragma unroll 16
        for (std::int64_t b = 0; b < blocks; ++b)
            sum += partial[b * count + threadIdx.x];
        potentials[threadIdx.x] = sum;
    }
    __syncthreads();
}

/// The candidate of least potential, the first at a tie.
__device__ inline int best_candidate(const double* potentials, int count) {
    int best = 0;
    for (int c = 1; c < count; ++c)
        if (potentials[c] < potentials[best])
            best = c;
    return best;
}

/// A centre with these distances and this label, a block for 1024 rows; the masses that follow. `nearest` is as many
/// doubles of shared memory.
__device__ inline void add_centre(const sample_view& s, const double* distances, std::int32_t label, double* nearest,
                                  double* mass) {
    for_grid_blocks(kmeans_blocks(s.rows), [&](std::int64_t block) {
        const std::int64_t begin = block * kmeans_block_rows;
        __syncthreads(); // the last ones have been read
        for (std::int64_t i = threadIdx.x; i < min(kmeans_block_rows, s.rows - begin); i += tile_threads) {
            const double distance = distances[begin + i];
            const double before = label > 0 ? s.nearest[begin + i] : INFINITY; // rows have no centre at first
            const bool nearer = distance < before;
            nearest[i] = nearer ? distance : before;
            if (nearer || label == 0) {
                s.nearest[begin + i] = nearest[i];
                s.labels[begin + i] = nearer ? label : -1;
            }
        }
        __syncthreads();
        if (threadIdx.x >= 32)
            return;
        const double sum = warp_mass(s, begin, [&](std::int64_t i) { return nearest[i]; });
        if (threadIdx.x == 0)
            mass[block] = sum;
    });
}

/// What a block keeps in shared memory.
template <int Groups>
struct choice_memory {
    union {
        typename distance_tile<Groups>::memory tile;
        double nearest[kmeans_block_rows];
    };
    double potentials[kmeans_candidate_limit];
    std::int64_t drawn[kmeans_candidate_limit];
};

// In dynamic shared memory the masses of the blocks of rows and 32 doubles a warp.
template <int Groups>
__global__ void __launch_bounds__(tile_threads) choose_centres(sample_view s, choice_view v) {
    extern __shared__ double masses[];
    __shared__ choice_memory<Groups> memory;
    const std::int64_t blocks = kmeans_blocks(s.rows);
    if (v.first == 0) {
        sum_weights(s, v.block_weights);
        grid_sync();
    }
    for (std::int64_t t = 0; t < v.count; ++t) {
        const double* step = v.steps + t * v.stride;
        const std::int64_t label = v.first + t;
        const int count = static_cast<int>(step[1]);
        const bool compares = count > 1 && label > 0;
        if (step[0] < 0)
            draw_rows(s, v, step, label > 0, masses, memory.drawn);
        else if (threadIdx.x == 0)
            memory.drawn[0] = static_cast<std::int64_t>(step[0]);
        __syncthreads();
        if (compares || v.adds) {
            measure_candidates<Groups>(s, memory.drawn, count, memory.tile, v.distances);
            grid_sync();
        }
        if (compares) {
            sum_potentials(s, v.distances, count, v.partial);
            grid_sync();
            finish_potentials(v.partial, blocks, count, memory.potentials);
        }
        const int best = compares ? best_candidate(memory.potentials, count) : 0;
        if (blockIdx.x == 0 && !v.adds && static_cast<int>(threadIdx.x) < count)
            v.candidates[threadIdx.x] = {memory.drawn[threadIdx.x], compares ? memory.potentials[threadIdx.x] : 0.0};
        if (!v.adds)
            return;
        if (blockIdx.x == 0 && threadIdx.x == 0)
            v.rows[label] = memory.drawn[best];
        add_centre(s, v.distances + best * s.rows, static_cast<std::int32_t>(label), memory.nearest, v.mass);
        if (t + 1 < v.count)
            grid_sync();
    }
}

} // namespace

} // namespace elbo::kernels::cuda
