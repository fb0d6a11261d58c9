// The kernels of the sphere model. A block has a chunk of rows: distances by groups of neighbouring threads, then the
// special functions with one thread a row, then the sums of the columns. A chunk never crosses a unit, and its sums
// have an order that depends on d alone.
#pragma once

#include "kernels/contract/sphere_engine.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"

namespace elbo::kernels::cuda {

namespace {

constexpr int sphere_chunk = 256; ///< rows of a block, and its threads
static_assert(unit_rows % sphere_chunk == 0);

/// Normalised rows and the centre, in device memory.
struct sphere_rows {
    const double* x;       ///< [rows x d]
    const double* weights; ///< [rows], null for all 1
    const double* centre;  ///< [d]
    std::int64_t rows, d;
};

/// Threads that share a row: neighbours, so that their reads are.
constexpr int sphere_group(std::int64_t d) {
    int group = 1;
    while (group < 32 && group * 4 < d)
        group *= 2;
    return group;
}

/// ‖x − m‖ of the rows of the chunk that begins at row `begin`, into shared memory.
__device__ inline void find_distances(const sphere_rows& s, std::int64_t begin, int group, double* distances) {
    const int lane = static_cast<int>(threadIdx.x) % group, step = sphere_chunk / group;
    for (int i = static_cast<int>(threadIdx.x) / group; i < sphere_chunk; i += step) {
        const double* const x = s.x + min(begin + i, s.rows - 1) * s.d; // every thread takes part in the shuffles
        double sum = 0;
        for (std::int64_t j = lane; j < s.d; j += group) {
            const double offset = x[j] - s.centre[j];
            sum = fma(offset, offset, sum);
        }
        for (int distance = group / 2; distance > 0; distance /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        if (lane == 0)
            distances[i] = sqrt(sum);
    }
    __syncthreads();
}

/// Σ_i a_i y_ij and Σ_i b_i y_ij over the rows of the chunk, for all columns j, into the sums. `scratch` is [2][chunk].
__device__ inline void add_columns(const sphere_rows& s, std::int64_t begin, const double* a, const double* b,
                                   double* scratch, std::int64_t* limbs, int exponent) {
    const int count = static_cast<int>(min(std::int64_t(sphere_chunk), s.rows - begin));
    for (std::int64_t first = 0; first < s.d; first += sphere_chunk) {
        const int columns = static_cast<int>(min(s.d - first, std::int64_t(sphere_chunk)));
        const int sharers = sphere_chunk / columns; // threads of one column
        const std::int64_t j = first + threadIdx.x % columns;
        double sum_a = 0, sum_b = 0;
        if (static_cast<int>(threadIdx.x) < sharers * columns)
            for (int i = static_cast<int>(threadIdx.x) / columns; i < count; i += sharers) {
                const double offset = s.x[(begin + i) * s.d + j] - s.centre[j];
                sum_a = fma(a[i], offset, sum_a);
                sum_b = fma(b[i], offset, sum_b);
            }
        __syncthreads(); // the scratch of the last columns has been read
        scratch[threadIdx.x] = sum_a;
        scratch[sphere_chunk + threadIdx.x] = sum_b;
        __syncthreads();
        if (static_cast<int>(threadIdx.x) >= columns)
            continue;
        for (int other = static_cast<int>(threadIdx.x) + columns; other < sharers * columns; other += columns) {
            sum_a += scratch[other];
            sum_b += scratch[sphere_chunk + other];
        }
        const std::int64_t sums = sphere_sum_count(s.d);
        add_fixed(limbs, sums, j, sum_a, exponent);
        add_fixed(limbs, sums, s.d + j, sum_b, exponent);
    }
}

__global__ void __launch_bounds__(sphere_chunk)
    sum_sphere_rows(const sphere_rows s, const sphere_scales scales, int group, std::int64_t* limbs,
                    const sphere_exponents exponents) {
    __shared__ double distances[sphere_chunk], direction[sphere_chunk], residual[sphere_chunk];
    __shared__ double scratch[2 * sphere_chunk];
    const std::int64_t begin = blockIdx.x * std::int64_t(sphere_chunk), n = begin + threadIdx.x;
    find_distances(s, begin, group, distances);
    const double w = n >= s.rows ? 0 : s.weights ? s.weights[n] : 1;
    sphere_row row{};
    if (w > 0)
        row = make_sphere_row(scales, distances[threadIdx.x]);
    direction[threadIdx.x] = w * row.direction;
    residual[threadIdx.x] = w * row.residual;
    double scalars[sphere_scalars];
    scalars[sphere_weight] = w;
    scalars[sphere_alignment] = w * row.alignment;
    scalars[sphere_squared_error] = w * row.squared_error;
    scalars[sphere_log_density] = w * row.log_density;
    scalars[sphere_negative_kl] = w * row.negative_kl;
#pragma unroll
    for (int i = 0; i < sphere_scalars; ++i) {
        const double sum = block_sum(scalars[i], scratch);
        if (threadIdx.x == 0)
            add_fixed(limbs, sphere_sum_count(s.d), 2 * s.d + i, sum, exponent_of(exponents, i));
    }
    add_columns(s, begin, direction, residual, scratch, limbs, exponents.lengths);
}

/// log p, κ and, unless null, ū of each row.
__global__ void __launch_bounds__(sphere_chunk)
    infer_sphere_rows(const sphere_rows s, const sphere_scales scales, int group, double* log_density,
                      double* concentrations, double* means) {
    __shared__ double distances[sphere_chunk], direction[sphere_chunk];
    const std::int64_t begin = blockIdx.x * std::int64_t(sphere_chunk), n = begin + threadIdx.x;
    find_distances(s, begin, group, distances);
    if (n < s.rows) {
        const sphere_row row = make_sphere_row(scales, distances[threadIdx.x]);
        log_density[n] = row.log_density;
        concentrations[n] = row.concentration;
        direction[threadIdx.x] = row.direction;
    }
    __syncthreads();
    const std::int64_t numbers = min(std::int64_t(sphere_chunk), s.rows - begin) * s.d;
    for (std::int64_t i = threadIdx.x; means && i < numbers; i += sphere_chunk)
        means[begin * s.d + i] = direction[i / s.d] * (s.x[begin * s.d + i] - s.centre[i % s.d]);
}

} // namespace

} // namespace elbo::kernels::cuda
