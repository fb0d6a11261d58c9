#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/rows/ingest.hpp"
#include "kernels/math/weightless.hpp"

#include <cub/block/block_reduce.cuh>

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

inline constexpr int input_threads = 256;

/// Weights of either type, times the scale.
struct weight_reader {
    const void* data;
    std::int64_t stride;
    bool is_double;
    double scale;
    __device__ double operator()(std::int64_t row) const {
        if (!data)
            return 1;
        const double w = is_double ? static_cast<const double*>(data)[row * stride]
                                   : static_cast<double>(static_cast<const float*>(data)[row * stride]);
        return w * scale;
    }
};

weight_reader reader(const device_input& in) {
    return {in.weights.data, in.weights.stride, in.weights.type == element_type::float64, in.weight_scale};
}

/// Sums of the threads that share a column, in the order of their rows. Thread t has column t % columns.
template <class Operation>
__device__ double column_reduce(double value, int columns, double* scratch, Operation operation) {
    __syncthreads();
    scratch[threadIdx.x] = value;
    __syncthreads();
    const int column = static_cast<int>(threadIdx.x) % columns;
    double all = scratch[column];
    for (int other = column + columns; other < input_threads / columns * columns; other += columns)
        all = operation(all, scratch[other]);
    return all;
}

struct add {
    __device__ double operator()(double a, double b) const { return a + b; }
};
struct lower {
    __device__ double operator()(double a, double b) const { return a < b ? a : b; }
};
struct higher {
    __device__ double operator()(double a, double b) const { return a > b ? a : b; }
};
/// The lower of two weights; NaN stays.
struct lower_or_nan {
    __device__ double operator()(double a, double b) const { return a < b || a != a ? a : b; }
};

/// Scalars of the weights of the rows first ... last − 1, by the whole block.
__device__ void summarize_weights(const weight_reader& weight, std::int64_t first, std::int64_t last, double* out) {
    using reduce = cub::BlockReduce<double, input_threads, cub::BLOCK_REDUCE_WARP_REDUCTIONS>;
    __shared__ typename reduce::TempStorage storage;
    double sum = 0, largest = 0, smallest = INFINITY, positive = 0;
    for (std::int64_t row = first + threadIdx.x; row < last; row += input_threads) {
        const double w = weight(row);
        smallest = lower_or_nan()(smallest, w);
        if (!(w > 0))
            continue;
        sum += w;
        largest = higher()(largest, w);
        positive += 1;
    }
    sum = reduce(storage).Sum(sum);
    __syncthreads();
    largest = reduce(storage).Reduce(largest, higher());
    __syncthreads();
    smallest = reduce(storage).Reduce(smallest, lower_or_nan());
    __syncthreads();
    positive = reduce(storage).Sum(positive);
    if (threadIdx.x == 0) {
        out[summary_weight] = sum;
        out[summary_largest] = largest;
        out[summary_smallest] = smallest;
        out[summary_positive] = positive;
    }
}

/// Rows whose values a thread reads before it uses the first, to hide the latency of memory.
inline constexpr int rows_in_flight = 8;

/// use(row, value) of column j in the rows start, start + step, ... before `last`, in this order.
template <class X, class Use>
__device__ void for_column(const matrix_view<const X>& x, std::int64_t j, std::int64_t start, std::int64_t step,
                           std::int64_t last, Use use) {
    for (std::int64_t row = start; row < last; row += rows_in_flight * step) {
        X values[rows_in_flight];
#pragma unroll
        for (int i = 0; i < rows_in_flight; ++i)
            values[i] = row + i * step < last ? x.data[(row + i * step) * x.stride + j] : X(0);
#pragma unroll
        for (int i = 0; i < rows_in_flight; ++i)
            if (row + i * step < last)
                use(row + i * step, static_cast<double>(values[i]));
    }
}

// A block a unit and up to 256 of its columns; threads beyond a column's first share its rows.
//   two passes over the unit, the second from L2: mean, then Σ w (x − mean)²; float64, order fixed by the position in
//   the unit
template <class X>
__global__ void __launch_bounds__(input_threads) summarize(const matrix_view<const X> x, const weight_reader weight,
                                                           double* summaries, unsigned long long* first_bad) {
    __shared__ double scratch[input_threads];
    const std::int64_t d = x.cols;
    const std::int64_t first = blockIdx.x * unit_rows;
    const std::int64_t last = min(first + unit_rows, x.rows);
    double* out = summaries + blockIdx.x * summary_size(d);
    if (blockIdx.y == 0)
        summarize_weights(weight, first, last, out);
    unsigned long long bad = ~0ull;
    for (std::int64_t begin = blockIdx.y * input_threads; begin < d; begin += gridDim.y * std::int64_t(input_threads)) {
        const int columns = static_cast<int>(min(d - begin, std::int64_t(input_threads)));
        const int sharers = input_threads / columns; // threads of one column
        const std::int64_t j = begin + threadIdx.x % columns;
        const bool idle = static_cast<int>(threadIdx.x) >= sharers * columns;
        const std::int64_t start = idle ? last : first + threadIdx.x / columns;
        double sum = 0, total = 0, low = INFINITY, high = -INFINITY;
        for_column(x, j, start, sharers, last, [&](std::int64_t row, double value) {
            if (!::isfinite(value))
                bad = min(bad, static_cast<unsigned long long>(row * d + j));
            const double w = weight(row);
            if (!(w > 0))
                return;
            sum += w * value;
            total += w;
            low = lower()(low, value);
            high = higher()(high, value);
        });
        sum = column_reduce(sum, columns, scratch, add());
        total = column_reduce(total, columns, scratch, add());
        low = column_reduce(low, columns, scratch, lower());
        high = column_reduce(high, columns, scratch, higher());
        const double mean = total > 0 ? sum / total : 0;
        double squares = 0;
        for_column(x, j, start, sharers, last, [&](std::int64_t row, double value) {
            const double w = weight(row);
            if (w > 0)
                squares += w * (value - mean) * (value - mean);
        });
        squares = column_reduce(squares, columns, scratch, add());
        if (threadIdx.x < columns) {
            double* column = out + summary_scalars + j;
            column[0] = mean;
            column[d] = squares;
            column[2 * d] = low;
            column[3 * d] = high;
        }
    }
    if (bad != ~0ull)
        atomicMin(first_bad, bad);
}

template <class X, class T>
__global__ void __launch_bounds__(input_threads)
    normalize(const matrix_view<const X> x, const weight_reader weight, const double* centre, const double* scale,
              T* out, std::int64_t stride, T* out_weights) {
    const std::int64_t count = x.rows * stride;
    for (std::int64_t i = blockIdx.x * std::int64_t(input_threads) + threadIdx.x; i < count;
         i += gridDim.x * std::int64_t(input_threads)) {
        const std::int64_t row = i / stride;
        const std::int64_t j = i - row * stride;
        double value = 0;
        if (j < x.cols)
            value = (static_cast<double>(x.data[row * x.stride + j]) - centre[j]) / scale[j];
        if (out_weights && weight(row) == 0)
            value = weightless(value);
        out[i] = static_cast<T>(value);
        if (out_weights && j == 0)
            out_weights[row] = static_cast<T>(weight(row));
    }
}

template <class T, class X>
void start_normalize(const internal::cuda_state& state, const device_input& in, const double* centre,
                     const double* scale, T* out, std::int64_t stride, T* out_weights) {
    const std::int64_t blocks =
        std::min<std::int64_t>(blocks_for(in.x.rows * stride, input_threads), std::int64_t(state.multiprocessors) * 8);
    launch(state, "normalize", {blocks, input_threads}, normalize<X, T>, in.x.as<X>(), reader(in), centre, scale, out,
           stride, out_weights);
}

} // namespace

void summarize_units(const internal::cuda_state& state, const device_input& in, double* summaries,
                     unsigned long long* first_bad) {
    constexpr std::int64_t most = 65535; // blocks of a grid in y
    const launch_shape grid{blocks_for(in.x.rows, unit_rows), input_threads, 0,
                            std::min(most, blocks_for(in.x.cols, input_threads))};
    if (in.x.type == element_type::float32)
        launch(state, "summarize", grid, summarize<float>, in.x.as<float>(), reader(in), summaries, first_bad);
    else
        launch(state, "summarize", grid, summarize<double>, in.x.as<double>(), reader(in), summaries, first_bad);
}

template <class T>
void normalize_rows(const internal::cuda_state& state, const device_input& in, const double* centre,
                    const double* scale, T* out, std::int64_t stride, T* out_weights) {
    if (in.x.type == element_type::float32)
        start_normalize<T, float>(state, in, centre, scale, out, stride, out_weights);
    else
        start_normalize<T, double>(state, in, centre, scale, out, stride, out_weights);
}

template void normalize_rows(const internal::cuda_state&, const device_input&, const double*, const double*, float*,
                             std::int64_t, float*);
template void normalize_rows(const internal::cuda_state&, const device_input&, const double*, const double*, double*,
                             std::int64_t, double*);

} // namespace elbo::kernels::cuda
