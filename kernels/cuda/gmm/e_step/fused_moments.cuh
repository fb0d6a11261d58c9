// The second product of the fused variant: statistics of a tile of rows, and how they leave the block.
#pragma once

#include "kernels/cuda/gmm/e_step/fused_block.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"

namespace elbo::kernels::cuda {

__device__ inline std::uint32_t bits_of(float v) {
    return __float_as_uint(v);
}
__device__ inline std::uint32_t bits_of(double v) {
    return static_cast<std::uint32_t>(__double2hiint(v) | __double2loint(v));
}

/// Σ g z and Σ g z² of moment_components components and four dimensions over a chain of rows, z = x − μ_k.
template <class T, fused_moments Moments>
struct moment_tile {
    quad<T> first[moment_components] = {};
    quad<T> second[moment_components] = {};

    /// Four rows: the first one's x at `x`, its g of component c at g + at[c]. Rows in which none of the components has
    /// a share add nothing, and where clusters lie apart most have none.
    __device__ void add(const T* x, int stride, const T* g, const int (&at)[moment_components],
                        const quad<T> (&mean)[moment_components]) {
        quad<T> share[moment_components];
        std::uint32_t any = 0;
#pragma unroll
        for (int c = 0; c < moment_components; ++c) {
            share[c] = load_quad(g + at[c]);
#pragma unroll
            for (int r = 0; r < 4; ++r)
                any |= bits_of(share[c].v[r]);
        }
        if (any == 0)
            return;
#pragma unroll
        for (int r = 0; r < 4; ++r) {
            const quad<T> row = load_quad(x + r * stride);
#pragma unroll
            for (int c = 0; c < moment_components; ++c)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const T z = row.v[i] - mean[c].v[i];
                    if constexpr (Moments == fused_moments::squares) {
                        const T gz = share[c].v[r] * z;
                        first[c].v[i] += gz;
                        second[c].v[i] += gz * z; // 0 · z first: no share of a far row is 0 · infinity
                    } else {
                        first[c].v[i] += share[c].v[r] * z;
                    }
                }
        }
    }
};

/// Where number i of the sums of a quad lies in the statistics of a component, so that neighbouring quads touch
/// different banks: means from 1 on, then squares.
__device__ inline int statistic_at(int i, int quad_index, int n) {
    return 1 + i * n + quad_index;
}

/// Σ g z and Σ g z² of a tile: a thread owns a micro-tile (and a part of the rows, where there are fewer micro-tiles
/// than threads) for the whole chunk.
template <class T, fused_moments Moments>
__device__ void tile_moments(const fused_arguments<T>& a, const fused_block<T>& b) {
    const int thread = thread_index();
    const int n = b.p / 4;
    const int groups = (b.count + moment_components - 1) / moment_components;
    const int tasks = n * groups;
    const int split = static_cast<int>(a.tuning.row_split);
    const int part_rows = b.rows / split;
    const int numbers = static_cast<int>(fused_statistics(a.shape.family, b.d));
    for (int index = thread; index < tasks * split; index += accumulate_threads) {
        const int part = index / tasks;
        const int group = (index - part * tasks) / n;
        const int tj = index - part * tasks - group * n;
        const int k = moment_components * group;
        quad<T> mean[moment_components];
        int at[moment_components];
#pragma unroll
        for (int c = 0; c < moment_components; ++c) {
            const int i = min(k + c, b.count - 1);
            mean[c] = load_quad(a.model.means + std::int64_t(b.first + i) * b.p + 4 * tj);
            at[c] = i * b.column;
        }
        for (int chain = part * part_rows; chain < (part + 1) * part_rows; chain += chain_rows) {
            const int end = min(chain + chain_rows, (part + 1) * part_rows);
            moment_tile<T, Moments> sums;
#pragma unroll 1
            for (int row = chain; row < end; row += 4)
                sums.add(b.tile + row * b.stride + 4 * tj, b.stride, b.densities + row, at, mean);
#pragma unroll
            for (int c = 0; c < moment_components; ++c) {
                if (k + c >= b.count)
                    break;
                asm volatile("" ::: "memory"); // sums are not read ahead: registers are full
                double* statistics = b.statistics + (part * a.tuning.span + k + c) * numbers;
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    statistics[statistic_at(i, tj, n)] += static_cast<double>(sums.first[c].v[i]);
                    if constexpr (Moments == fused_moments::squares)
                        statistics[statistic_at(4 + i, tj, n)] += static_cast<double>(sums.second[c].v[i]);
                }
            }
        }
    }
}

/// Σ g, and Σ g ‖x − μ‖² of the spherical family.
template <class T, fused_moments Moments>
__device__ void tile_weights(const fused_arguments<T>& a, const fused_block<T>& b) {
    const int thread = thread_index();
    const int split = static_cast<int>(a.tuning.row_split);
    const int part_rows = b.rows / split;
    const int numbers = static_cast<int>(fused_statistics(a.shape.family, b.d));
    for (int index = thread; index < b.count * split; index += accumulate_threads) {
        const int part = index / b.count;
        const int i = index - part * b.count;
        double* statistics = b.statistics + (part * a.tuning.span + i) * numbers;
        for (int chain = part * part_rows; chain < (part + 1) * part_rows; chain += chain_rows) {
            const int end = min(chain + chain_rows, (part + 1) * part_rows);
            T weight = 0, distance = 0;
            for (int row = chain; row < end; row += 4) {
                const quad<T> g = load_quad(b.densities + i * b.column + row);
                quad<T> q{};
                if constexpr (Moments == fused_moments::distance)
                    q = load_quad(b.distances + i * b.column + row);
#pragma unroll
                for (int r = 0; r < 4; ++r) {
                    weight += g.v[r];
                    if (Moments == fused_moments::distance && g.v[r] != T(0)) // the distance may be infinite
                        distance += g.v[r] * q.v[r];
                }
            }
            statistics[0] += static_cast<double>(weight);
            if constexpr (Moments == fused_moments::distance)
                statistics[numbers - 1] += static_cast<double>(distance);
        }
    }
}

/// Σ g z_i z_j of a square block of the upper triangle over a chain of rows, z = x − μ_k, `quads` x `quads` micro-tiles
/// of 4 x 4; on the diagonal Σ g z, too, and what lies below it stays zero.
template <class T>
struct square_tile {
    static constexpr int quads = square_quads(sizeof(T));
    T value[quads][quads][4][4] = {};
    T first[quads][4] = {};

    /// The second quads of rows and means lie next_i and next_j further.
    __device__ void add(T g, const T* xi, const T* xj, const T* mi, const T* mj, int next_i, int next_j,
                        bool diagonal) {
        T left[quads][4], right[quads][4];
        differences(right, xj, mj, next_j, T(1));
        if (diagonal) {
#pragma unroll
            for (int h = 0; h < quads; ++h)
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    left[h][c] = g * right[h][c];
                    first[h][c] += left[h][c];
                }
        } else {
            differences(left, xi, mi, next_i, g);
#pragma unroll
            for (int h = 1; h < quads; ++h)
#pragma unroll
                for (int l = 0; l < h; ++l)
                    multiply(left, right, h, l);
        }
#pragma unroll
        for (int h = 0; h < quads; ++h)
#pragma unroll
            for (int l = h; l < quads; ++l)
                multiply(left, right, h, l);
    }

private:
    __device__ static void differences(T (&z)[quads][4], const T* x, const T* mean, int next, T scale) {
#pragma unroll
        for (int h = 0; h < quads; ++h) {
            const quad<T> row = load_quad(x + h * next), m = load_quad(mean + h * next);
#pragma unroll
            for (int c = 0; c < 4; ++c)
                z[h][c] = scale * (row.v[c] - m.v[c]);
        }
    }
    __device__ void multiply(const T (&left)[quads][4], const T (&right)[quads][4], int h, int l) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j)
                value[h][l][i][j] += left[h][i] * right[l][j];
    }
};

/// Which of the chain_rows rows from g on have a share: bit r of row r. The others add nothing, and where clusters lie
/// apart most do not.
template <class T>
__device__ std::uint64_t rows_with_share(const T* g, int rows) {
    std::uint64_t active = 0;
#pragma unroll 1
    for (int row = 0; row < rows; row += 4) {
        const quad<T> share = load_quad(g + row);
#pragma unroll
        for (int r = 0; r < 4; ++r)
            active |= static_cast<std::uint64_t>(share.v[r] != T(0)) << (row + r);
    }
    return active;
}

/// Adds the sums of a chain to the statistics of a component, which this thread alone touches.
template <class T>
__device__ void add_square(double* statistics, const square_tile<T>& sums, int ti, int tj, int n) {
    constexpr int quads = square_tile<T>::quads;
    const int micro = static_cast<int>(triangle(n));
#pragma unroll
    for (int h = 0; h < quads; ++h) {
#pragma unroll
        for (int l = 0; l < quads; ++l) {
            const int i = ti + h, j = tj + l;
            if (i >= n || j >= n || i > j)
                continue;
            __threadfence_block(); // sums are not read ahead: registers are full
            double* second = statistics + 1 + 4 * n + packed_upper(i, j, n);
#pragma unroll
            for (int e = 0; e < 16; ++e)
                second[e * micro] += static_cast<double>(sums.value[h][l][e / 4][e % 4]);
        }
        if (ti == tj && ti + h < n)
#pragma unroll
            for (int c = 0; c < 4; ++c)
                statistics[statistic_at(c, ti + h, n)] += static_cast<double>(sums.first[h][c]);
    }
}

/// Σ g z and Σ g z zᵀ of a tile of `rows` rows in `split` parts under `count` components. A thread owns a square block
/// of a component (and a part of the rows, where there are fewer blocks than threads) for the whole chunk; neighbouring
/// threads take neighbouring components, each with the rows that it has a share in. A function of its own: the compiler
/// would give its registers to the other phases, too, and run out of them.
template <class T>
__device__ __noinline__ void add_squares(const T* tile, int stride, int rows, const T* densities, int column,
                                         const T* means, int p, double* statistics, int numbers, int count, int span,
                                         int split) {
    constexpr int quads = square_tile<T>::quads;
    const int n = p / 4;
    const int blocks = (n + quads - 1) / quads;
    const int columns = count * split;
    const int part_rows = rows / split;
    for (int index = static_cast<int>(threadIdx.x); index < static_cast<int>(triangle(blocks)) * columns;
         index += accumulate_threads) {
        const int part = index % columns / count;
        const int k = index % columns - part * count;
        int ti = 0, tj = 0;
        triangle_position(index / columns, blocks, ti, tj);
        ti *= quads, tj *= quads;
        // An odd number of quads has no second one at the end: the first is taken twice and left out in the end.
        const int next_i = ti + 1 < n ? 4 : 0, next_j = tj + 1 < n ? 4 : 0;
        const T* mean = means + std::int64_t(k) * p;
        for (int chain = part * part_rows; chain < (part + 1) * part_rows; chain += chain_rows) {
            const T* g = densities + k * column + chain;
            square_tile<T> sums;
#pragma unroll 1
            for (std::uint64_t active = rows_with_share(g, min(chain_rows, part_rows)); active != 0;
                 active &= active - 1) {
                const int row = __ffsll(static_cast<long long>(active)) - 1;
                const T* x = tile + (chain + row) * stride;
                sums.add(g[row], x + 4 * ti, x + 4 * tj, mean + 4 * ti, mean + 4 * tj, next_i, next_j, ti == tj);
            }
            add_square(statistics + (part * span + k) * numbers, sums, ti, tj, n);
        }
    }
}

/// Where statistic `entry` of a component (gmm_layout.hpp) lies among those of the block.
template <fused_moments Moments>
__device__ int position_of(int entry, int d, int n) {
    if (entry == 0)
        return 0;
    if (entry <= d)
        return statistic_at((entry - 1) % 4, (entry - 1) / 4, n);
    const int second = entry - 1 - d;
    if constexpr (Moments == fused_moments::squares) {
        return statistic_at(4 + second % 4, second / 4, n);
    } else if constexpr (Moments == fused_moments::full) {
        int i = 0, j = 0;
        triangle_position(second, d, i, j);
        const int block = static_cast<int>(packed_upper(i / 4, j / 4, n));
        return 1 + 4 * n + (i % 4 * 4 + j % 4) * static_cast<int>(triangle(n)) + block;
    } else {
        return 1 + 4 * n;
    }
}

/// Statistic `entry` of component k of the block over the chunk, parts in ascending order.
template <class T, fused_moments Moments>
__device__ double chunk_statistic(const fused_arguments<T>& a, const fused_block<T>& b, int k, int entry) {
    const int numbers = static_cast<int>(fused_statistics(a.shape.family, b.d));
    const int position = position_of<Moments>(entry, b.d, b.p / 4);
    double sum = 0;
    for (std::int64_t part = 0; part < a.tuning.row_split; ++part)
        sum += b.statistics[(part * a.tuning.span + k) * numbers + position];
    return sum;
}

/// The same about the mean, where the sums of x and x² are about the origin: Σ g (x − μ) = Σ g x − μ Σ g, and
/// Σ g (x − μ)² = Σ g x² − μ (2 Σ g x − μ Σ g). A sum of distances is about the mean already.
template <class T, fused_moments Moments>
__device__ double statistic_about_mean(const fused_arguments<T>& a, const fused_block<T>& b, int k, int entry) {
    const double sum = chunk_statistic<T, Moments>(a, b, k, entry);
    const bool second = Moments == fused_moments::squares && entry > b.d;
    if (entry == 0 || (entry > b.d && !second))
        return sum;
    const int first = second ? entry - b.d : entry;
    const double weight = chunk_statistic<T, Moments>(a, b, k, 0);
    const double mean = static_cast<double>(a.model.means[std::int64_t(b.first + k) * b.p + first - 1]);
    return second ? sum - mean * (2 * chunk_statistic<T, Moments>(a, b, k, first) - mean * weight)
                  : sum - mean * weight;
}

/// Adds the statistics of the chunk to the sums of the fit.
template <class T, fused_moments Moments>
__device__ void flush_statistics(const fused_arguments<T>& a, const fused_block<T>& b, bool about_origin) {
    const int thread = thread_index();
    const int size = static_cast<int>(statistics_size(a.shape.family, b.d));
    for (int i = thread; i < b.count * size; i += accumulate_threads) {
        const int k = i / size, entry = i - k * size;
        const double sum = about_origin ? statistic_about_mean<T, Moments>(a, b, k, entry)
                                        : chunk_statistic<T, Moments>(a, b, k, entry);
        add_fixed(a.sums.limbs, a.sums.count, std::int64_t(b.first) * size + i, sum, a.sums.component_exponent);
    }
}

} // namespace elbo::kernels::cuda
