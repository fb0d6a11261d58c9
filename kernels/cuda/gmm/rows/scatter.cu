// Σ w x̃ x̃ᵀ for the tied families, once a fit, and the carries of fixed-point sums.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/e_step/tile.cuh"

namespace elbo::kernels::cuda {

namespace {

inline constexpr int scatter_threads = 128;

// One entry a thread, one unit a block column, float64 sums over the rows of the unit; rows come through L1.
template <class T>
__global__ void __launch_bounds__(scatter_threads)
    scatter_units(const gmm_shape shape, const device_rows<T> rows, std::int64_t* limbs, std::int64_t entries,
                  int exponent) {
    const std::int64_t entry = blockIdx.x * std::int64_t(scatter_threads) + threadIdx.x;
    const std::int64_t d = shape.dimensions;
    const bool matrix = shape.family == gmm::family::tied;
    if (entry >= (matrix ? entries : d))
        return;
    int i = static_cast<int>(entry);
    int j = i;
    if (matrix)
        triangle_position(entry, d, i, j);
    const std::int64_t begin = blockIdx.y * unit_rows;
    const std::int64_t end = min(begin + unit_rows, rows.rows);
    double sum = 0;
    for (std::int64_t row = begin; row < end; ++row) {
        const double weight = rows.weights ? static_cast<double>(rows.weights[row]) : 1.0;
        if (weight == 0)
            continue;
        const T* x = rows.x + row * rows.stride;
        sum += weight * static_cast<double>(x[i]) * static_cast<double>(x[j]);
    }
    // tied_spherical: the squares of all dimensions meet in one sum; each is a partial of its own.
    add_fixed(limbs, entries, shape.family == gmm::family::tied_spherical ? 0 : entry, sum, exponent);
}

inline constexpr int carry_threads = 256;

__global__ void __launch_bounds__(carry_threads) carry_limbs(const device_sums sums) {
    const std::int64_t i = blockIdx.x * std::int64_t(carry_threads) + threadIdx.x;
    if (i >= sums.count)
        return;
    carry_fixed(sums.limbs, sums.count, i);
}

} // namespace

template <class T>
void accumulate_scatter(const internal::cuda_state& state, const gmm_shape& shape, const device_rows<T>& rows,
                        std::int64_t* limbs, std::int64_t entries, int exponent) {
    const std::int64_t threads = shape.family == gmm::family::tied ? entries : shape.dimensions;
    constexpr std::int64_t most_rows = 32768 * unit_rows; // a grid has at most 65535 rows of blocks
    for (std::int64_t first = 0; first < rows.rows; first += most_rows) {
        const device_rows<T> part{rows.x + first * rows.stride, rows.weights ? rows.weights + first : nullptr,
                                  rows.stride, std::min(most_rows, rows.rows - first)};
        const launch_shape grid{blocks_for(threads, scatter_threads), scatter_threads, 0,
                                blocks_for(part.rows, unit_rows)};
        launch(state, "scatter_units", grid, scatter_units<T>, shape, part, limbs, entries, exponent);
    }
}

template void accumulate_scatter(const internal::cuda_state&, const gmm_shape&, const device_rows<float>&,
                                 std::int64_t*, std::int64_t, int);
template void accumulate_scatter(const internal::cuda_state&, const gmm_shape&, const device_rows<double>&,
                                 std::int64_t*, std::int64_t, int);

void carry_sums(const internal::cuda_state& state, const device_sums& sums) {
    launch(state, "carry_limbs", {blocks_for(sums.count, carry_threads), carry_threads}, carry_limbs, sums);
}

} // namespace elbo::kernels::cuda
