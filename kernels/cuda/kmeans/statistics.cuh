// The kernels of a start beside k-means (contract/start_engine.hpp), float64: covariances of clusters, coordinates,
// factors, log-densities. Rows of a cluster are summed in segments of the order by label: a segment ends where a
// cluster does and at every multiple of `span`, so its number, position / span + cluster, needs no list, and sums
// depend on the labels alone.
#pragma once

#include "kernels/contract/start_engine.hpp"
#include "kernels/cuda/gmm/m_step/covariance.cuh"
#include "kernels/cuda/kmeans/engine.hpp"

namespace elbo::kernels::cuda {

namespace {

constexpr int statistic_threads = 256;
constexpr int moment_depth = 16; ///< rows of a tile in shared memory
constexpr int transform_depth = 16;
constexpr int transform_tile = 64;

/// What the covariances of components are made of.
struct start_moments {
    const double* sums;        ///< [k x (d + 1)] Σ w x, Σ w
    const double* means;       ///< [k x d]
    const double* covariances; ///< [k x size], size = d² or d
    const double* pooled;      ///< [size]
    const double* lambda;      ///< [d]
    std::int64_t k, d;

    __device__ double weight(std::int64_t c) const { return sums[c * (d + 1) + d]; }
    /// Of a component without rows that of one row.
    __device__ double counted(std::int64_t c) const { return fmax(weight(c), 1.0); }
    __device__ double total() const {
        double sum = 0;
        for (std::int64_t c = 0; c < k; ++c)
            sum += counted(c);
        return sum;
    }
    /// Entry e of the covariance of component c, without λ: with its share of the pooled one.
    __device__ double entry(std::int64_t c, std::int64_t size, std::int64_t e, bool tied) const {
        if (tied)
            return pooled[e];
        const double share = counted(c) / (counted(c) + static_cast<double>(d + 1));
        return share * covariances[c * size + e] + (1 - share) * pooled[e];
    }
};

/// The rows of segment `number`, first ... last − 1 of the order, and their cluster; none where first ≥ last.
struct segment {
    std::int64_t cluster, first, last;

    __device__ segment(const cluster_view& clusters, std::int64_t span, std::int64_t number) {
        std::int64_t low = 0, high = clusters.k - 1; // the last cluster that begins at or before it
        while (low < high) {
            const std::int64_t middle = (low + high + 1) / 2;
            if (clusters.begins[middle] / span + middle <= number)
                low = middle;
            else
                high = middle - 1;
        }
        cluster = low;
        first = max(clusters.begins[low], (number - low) * span);
        last = min(clusters.begins[low + 1], (number - low + 1) * span);
    }
};

// All rows as one cluster, with the weights of those that are usual.
__global__ void __launch_bounds__(statistic_threads)
    take_usual(const double* weights, double* usual, std::int64_t rows, std::int64_t* begins,
               std::int64_t* first_chunks, std::int64_t* order) {
    const std::int64_t n = blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x;
    if (n < rows)
        order[n] = n, usual[n] *= weights[n];
    if (n == 0) {
        begins[0] = first_chunks[0] = 0, begins[1] = rows;
        first_chunks[1] = (rows + kmeans_chunk_rows - 1) / kmeans_chunk_rows;
    }
}

// A thread for a column of a segment: Σ w (x − mean)².
__global__ void __launch_bounds__(statistic_threads)
    sum_squares(sample_view s, cluster_view clusters, std::int64_t span, std::int64_t segments, const double* means,
                double* partial) {
    const std::int64_t i = blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x;
    if (i >= segments * s.cols)
        return;
    const segment part(clusters, span, i / s.cols);
    const std::int64_t j = i % s.cols;
    const double mean = means[part.cluster * s.cols + j];
    double sum = 0;
#pragma unroll 4
    for (std::int64_t at = part.first; at < part.last; ++at) {
        const std::int64_t n = clusters.order[at];
        const double z = s.x[n * s.cols + j] - mean;
        sum = fma(s.weights[n] * z, z, sum);
    }
    partial[i] = sum;
}

// A block for a tile of 16 Each x 16 Each entries of the second moments of a segment, on or above the diagonal: Σ w (x
// − mean)(x − mean)ᵀ. A thread has Each x Each of them.
template <int Each>
__global__ void __launch_bounds__(statistic_threads, 2)
    sum_products(sample_view s, cluster_view clusters, std::int64_t span, const double* means, double* partial) {
    constexpr int tile = 16 * Each;
    __shared__ double left[moment_depth][tile], right[moment_depth][tile];
    const std::int64_t d = s.cols, side = (d + tile - 1) / tile, tiles = side * (side + 1) / 2;
    const std::int64_t number = blockIdx.x / tiles;
    std::int64_t across = blockIdx.x % tiles, down = 0;
    while (across >= side - down)
        across -= side - down, ++down;
    across += down;
    const segment part(clusters, span, number);
    const double* mean = means + part.cluster * d;
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
    double sum[Each][Each] = {};
    for (std::int64_t at = part.first; at < part.last; at += moment_depth) {
        __syncthreads(); // the last tile has been read
        for (int e = static_cast<int>(threadIdx.x); e < moment_depth * tile; e += statistic_threads) {
            const std::int64_t i = down * tile + e % tile, j = across * tile + e % tile;
            const bool row = at + e / tile < part.last;
            const std::int64_t n = row ? clusters.order[at + e / tile] : 0;
            left[e / tile][e % tile] = row && i < d ? s.weights[n] * (s.x[n * d + i] - mean[i]) : 0;
            right[e / tile][e % tile] = row && j < d ? s.x[n * d + j] - mean[j] : 0;
        }
        __syncthreads();
#pragma unroll 4
        for (int t = 0; t < moment_depth; ++t) {
            double a[Each], b[Each];
#pragma unroll
            for (int i = 0; i < Each; ++i)
                a[i] = left[t][y + 16 * i], b[i] = right[t][x + 16 * i];
#pragma unroll
            for (int i = 0; i < Each; ++i)
#pragma unroll
                for (int j = 0; j < Each; ++j)
                    sum[i][j] = fma(a[i], b[j], sum[i][j]);
        }
    }
#pragma unroll
    for (int i = 0; i < Each; ++i)
#pragma unroll
        for (int j = 0; j < Each; ++j) {
            const std::int64_t row = down * tile + y + 16 * i, column = across * tile + x + 16 * j;
            if (row <= column && column < d)
                partial[(number * d + row) * d + column] = sum[i][j];
        }
}

// A thread for an entry of a covariance: the segments of its cluster in their order, divided by its weight; the lower
// triangle as the upper one. 0 for a cluster without rows.
__global__ void __launch_bounds__(statistic_threads)
    finish_covariances(const double* partial, cluster_view clusters, std::int64_t span, const double* sums,
                       std::int64_t d, bool matrix, double* covariances) {
    const std::int64_t size = matrix ? d * d : d;
    const std::int64_t i = blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x;
    if (i >= clusters.k * size)
        return;
    const std::int64_t c = i / size, e = i % size;
    const std::int64_t row = e / d, column = e % d, from = matrix && row > column ? column * d + row : e;
    const std::int64_t begin = clusters.begins[c], end = clusters.begins[c + 1];
    double sum = 0;
    for (std::int64_t part = begin / span; begin < end && part <= (end - 1) / span; ++part)
        sum += partial[(part + c) * size + from];
    const double weight = sums[c * (d + 1) + d];
    covariances[i] = weight > 0 ? sum / weight : 0;
}

// Σ_k N_k C_k / Σ_k N_k, an entry a thread; the first k threads beyond them the logarithms of the weights.
__global__ void __launch_bounds__(statistic_threads)
    pool_covariances(start_moments m, std::int64_t size, double* pooled, double* log_weights) {
    const std::int64_t i = blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x;
    if (i >= size + m.k)
        return;
    const double total = m.total();
    if (i >= size) {
        log_weights[i - size] = ::log(m.counted(i - size) / total);
        return;
    }
    double sum = 0;
    for (std::int64_t c = 0; c < m.k; ++c)
        sum += m.weight(c) * m.covariances[c * size + i];
    pooled[i] = sum / total;
}

// A team for a matrix: its factor U = L^-T, with zeros below the diagonal. The diagonal is raised until the matrix is
// safely positive definite; `failed` is set where no ridge helps. `in_shared`: factor_limit() of the device.
template <class Team, class Entry>
__device__ void factor_with_ridge(const Team& team, std::int64_t d, std::int64_t in_shared, const Entry& entry,
                                  double* out, int* failed) {
    extern __shared__ double shared[];
    const matrix_memory m = place_matrix({gmm::family::full, d, 1}, in_shared, shared, out);
    for (double ridge = first_ridge; ridge <= largest_ridge; ridge *= ridge_growth) {
        team.sync(); // the matrix of the last try is done with
        for (std::int64_t e = team.rank(); e < d * d; e += team.size()) {
            const std::int64_t i = e / d, j = e % d;
            if (j > i)
                continue;
            const double c = entry(i, j);
            m.matrix[i * m.ld + j] = i == j ? c + ridge * fmax(c, smallest_total_variance) : c;
        }
        team.sync();
        if (!factor_and_invert(team, m, static_cast<int>(d), 0))
            continue;
        team.sync();
        for (std::int64_t e = team.rank(); e < d * d; e += team.size()) {
            const std::int64_t i = e / d, j = e % d;
            out[e] = j >= i ? m.matrix[i * m.ld + j] : 0;
        }
        return;
    }
    for (std::int64_t e = team.rank(); e < d * d; e += team.size())
        out[e] = NAN;
    if (team.rank() == 0)
        *failed = 1;
}

template <class Team>
__global__ void __launch_bounds__(Team::most_threads, 1)
    factor_total(const double* covariance, std::int64_t d, std::int64_t in_shared, double* out, int* failed) {
    factor_with_ridge(
        make_team<Team>(), d, in_shared, [&](std::int64_t i, std::int64_t j) { return covariance[i * d + j]; }, out,
        failed);
}

template <class Team>
__global__ void __launch_bounds__(Team::most_threads, 1)
    factor_components(start_moments m, bool tied, std::int64_t in_shared, double* factors, int* failed) {
    const Team team = make_team<Team>();
    const std::int64_t c = blockIdx.x / team.blocks(), d = m.d;
    const auto entry = [&](std::int64_t i, std::int64_t j) {
        return m.entry(c, d * d, i * d + j, tied) + (i == j ? m.lambda[i] : 0);
    };
    factor_with_ridge(team, d, in_shared, entry, factors + c * d * d, failed);
}

// Reciprocals of standard deviations: a thread for each, of a spherical family for a component.
__global__ void __launch_bounds__(statistic_threads)
    invert_deviations(start_moments m, bool tied, bool spherical, double* factors) {
    const std::int64_t each = spherical ? 1 : m.d;
    const std::int64_t i = blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x;
    if (i >= (tied ? 1 : m.k) * each)
        return;
    double variance = 0;
    if (spherical) {
        double lambda = 0;
        for (std::int64_t j = 0; j < m.d; ++j)
            variance += m.entry(i, m.d, j, tied), lambda += m.lambda[j];
        variance = variance / static_cast<double>(m.d) + lambda / static_cast<double>(m.d);
    } else {
        variance = m.entry(i / each, m.d, i % each, tied) + m.lambda[i % each];
    }
    factors[i] = 1 / ::sqrt(fmax(variance, smallest_start_variance));
}

// The rows divided by the standard deviations; those of a matrix lie `stride` apart.
__global__ void __launch_bounds__(statistic_threads)
    scale_rows(const double* x, const double* variances, std::int64_t stride, std::int64_t rows, std::int64_t d,
               double* y) {
    const std::int64_t i = blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x;
    if (i < rows * d)
        y[i] = x[i] / ::sqrt(fmax(variances[i % d * stride], smallest_total_variance));
}

// y = Uᵀ x, row by row: a block for 64 rows x 64 columns, a thread for 4 x 4.
__global__ void __launch_bounds__(statistic_threads)
    whiten_rows(const double* x, const double* u, std::int64_t rows, std::int64_t d, double* y) {
    constexpr int each = transform_tile / 16;
    __shared__ double left[transform_depth][transform_tile + 1], right[transform_depth][transform_tile];
    const std::int64_t side = (d + transform_tile - 1) / transform_tile;
    const std::int64_t row = blockIdx.x / side * transform_tile, column = blockIdx.x % side * transform_tile;
    const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
    double sum[each][each] = {};
    for (std::int64_t at = 0; at < min(d, column + transform_tile); at += transform_depth) {
        __syncthreads(); // the last tile has been read
        for (int e = static_cast<int>(threadIdx.x); e < transform_depth * transform_tile; e += statistic_threads) {
            const std::int64_t n = row + e / transform_depth, i = at + e % transform_depth;
            left[e % transform_depth][e / transform_depth] = n < rows && i < d ? x[n * d + i] : 0;
            const std::int64_t from = at + e / transform_tile, j = column + e % transform_tile;
            right[e / transform_tile][e % transform_tile] = from <= j && j < d ? u[from * d + j] : 0;
        }
        __syncthreads();
#pragma unroll 4
        for (int t = 0; t < transform_depth; ++t) {
            double a[each], b[each];
#pragma unroll
            for (int i = 0; i < each; ++i)
                a[i] = left[t][ty + 16 * i], b[i] = right[t][tx + 16 * i];
#pragma unroll
            for (int i = 0; i < each; ++i)
#pragma unroll
                for (int j = 0; j < each; ++j)
                    sum[i][j] = fma(a[i], b[j], sum[i][j]);
        }
    }
#pragma unroll
    for (int i = 0; i < each; ++i)
#pragma unroll
        for (int j = 0; j < each; ++j)
            if (row + ty + 16 * i < rows && column + tx + 16 * j < d)
                y[(row + ty + 16 * i) * d + column + tx + 16 * j] = sum[i][j];
}

/// Parameters that were formed.
struct formed_view {
    const double *log_weights, *means, *factors;
    gmm::family_geometry geometry;
    std::int64_t k, d;
};

// A warp for a row and a component: log α_k + log N(x; k).
__global__ void __launch_bounds__(statistic_threads)
    log_densities(const double* x, std::int64_t rows, formed_view p, double* out) {
    const std::int64_t pair = (blockIdx.x * std::int64_t(statistic_threads) + threadIdx.x) / 32;
    if (pair >= rows * p.k)
        return;
    const std::int64_t n = pair / p.k, c = pair % p.k, d = p.d;
    const double *row = x + n * d, *mean = p.means + c * d;
    const double* u = p.factors + c * p.geometry.stride(d);
    double squares = 0, logs = 0;
    for (std::int64_t j = static_cast<std::int64_t>(threadIdx.x) % 32; j < d; j += 32) {
        double y = 0;
        if (p.geometry.matrix())
            for (std::int64_t i = 0; i <= j; ++i)
                y = fma(u[i * d + j], row[i] - mean[i], y);
        else
            y = (row[j] - mean[j]) * u[p.geometry.at(j, j, d)];
        squares = fma(y, y, squares);
        logs += ::log(u[p.geometry.at(j, j, d)]);
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        squares += __shfl_xor_sync(0xffffffffu, squares, distance);
        logs += __shfl_xor_sync(0xffffffffu, logs, distance);
    }
    constexpr double half_log_2pi = 0.91893853320467274178;
    if (threadIdx.x % 32 == 0)
        out[pair] = p.log_weights[c] + logs - static_cast<double>(d) * half_log_2pi - 0.5 * squares;
}

// One block: Σ w log Σ_k exp(lp) over the rows.
__global__ void __launch_bounds__(statistic_threads)
    sum_log_likelihood(const double* log_joint, const double* weights, std::int64_t rows, std::int64_t k, double* out) {
    __shared__ double scratch[32];
    double sum = 0;
    for (std::int64_t n = threadIdx.x; n < rows; n += statistic_threads) {
        const double* lp = log_joint + n * k;
        double largest = lp[0], all = 0;
        for (std::int64_t c = 1; c < k; ++c)
            largest = fmax(largest, lp[c]);
        for (std::int64_t c = 0; c < k; ++c)
            all += ::exp(lp[c] - largest);
        sum = fma(weights[n], largest + ::log(all), sum);
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0)
        *out = sum;
}

} // namespace

} // namespace elbo::kernels::cuda
