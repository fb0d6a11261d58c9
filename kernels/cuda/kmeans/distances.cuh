// Squared distances of rows to centres, from tiles of both in shared memory, of which a thread takes 2 rows x 4 centres
// into registers: for up to 32 centres the rows are read once.
#pragma once

#include "kernels/cuda/kmeans/engine.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

constexpr int tile_threads = 256;
constexpr int rows_each = 2; ///< rows and centres of a thread
constexpr int centres_each = 4;
constexpr int tile_depth = 8; ///< dimensions of a tile in shared memory

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

} // namespace

} // namespace elbo::kernels::cuda
