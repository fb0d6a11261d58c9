#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/rows/ingest.hpp"
#include "kernels/math/weightless.hpp"

#include <cub/block/block_reduce.cuh>

#include <cstdint>

namespace elbo::kernels::cuda {

namespace {

/// Of a block; with rows_in_flight loads each, two blocks (one of float64) have 32 KB on the way, what it takes to
/// keep its share of the memory busy.
inline constexpr int summary_threads = 512;
/// Of a block of summaries: few, so that wide rows have enough blocks, and whole lines of memory.
inline constexpr int summary_columns = 128;
inline constexpr int normalize_threads = 256;

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

struct higher {
    __device__ double operator()(double a, double b) const { return a > b ? a : b; }
};
/// The lower of two weights; NaN stays.
struct lower_or_nan {
    __device__ double operator()(double a, double b) const { return a < b || a != a ? a : b; }
};

/// Scalars of the weights of the rows first ... last − 1, by the whole block.
__device__ void summarize_weights(const weight_reader& weight, std::int64_t first, std::int64_t last, double* out) {
    using reduce = cub::BlockReduce<double, summary_threads, cub::BLOCK_REDUCE_WARP_REDUCTIONS>;
    __shared__ typename reduce::TempStorage storage;
    double sum = 0, largest = 0, smallest = INFINITY, positive = 0;
    for (std::int64_t row = first + threadIdx.x; row < last; row += summary_threads) {
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

/// use(row, values, count) with the values of column j in the `count` rows row, row + step, ..., rows_in_flight of them
/// but for the last time, from row `start` until `last`; beyond `count` values are 0.
template <class X, class Use>
__device__ void for_column(const matrix_view<const X>& x, std::int64_t j, std::int64_t start, std::int64_t step,
                           std::int64_t last, Use use) {
    const std::int64_t hop = step * x.stride;
    const X* at = x.data + start * x.stride + j;
    X values[rows_in_flight];
    std::int64_t row = start;
    for (; row + (rows_in_flight - 1) * step < last; row += rows_in_flight * step) {
#pragma unroll
        for (int i = 0; i < rows_in_flight; ++i, at += hop)
            values[i] = *at;
        use(row, values, rows_in_flight);
    }
    if (row >= last)
        return;
    int count = 0;
#pragma unroll
    for (int i = 0; i < rows_in_flight; ++i, at += hop) {
        const bool is_there = row + i * step < last;
        values[i] = is_there ? *at : X(0);
        count += is_there;
    }
    use(row, values, count);
}

/// Moments of some values of a column.
struct column_moments {
    double weight, mean, m2, low, high;

    __device__ static column_moments none() { return {0, 0, 0, INFINITY, -INFINITY}; }

    /// Adds those of other values (Chan, Golub and LeVeque 1983, weighted).
    __device__ void add(const column_moments& other) {
        if (!(other.weight > 0))
            return;
        const double total = weight + other.weight, share = other.weight / total, step = other.mean - mean;
        mean += step * share;
        m2 += other.m2 + step * step * weight * share;
        weight = total;
        low = other.low < low ? other.low : low;
        high = other.high > high ? other.high : high;
    }
};

/// Of values whose weight(i) is positive; the mean first, so that nothing cancels. Weights are read twice, which costs
/// fewer registers than keeping them.
template <class X, class Weight>
__device__ column_moments moments_of(const X (&values)[rows_in_flight], const Weight& weight) {
    double total = 0, sum = 0;
    X low = INFINITY, high = -INFINITY;
#pragma unroll
    for (int i = 0; i < rows_in_flight; ++i) {
        const double w = weight(i);
        if (!(w > 0))
            continue;
        total += w;
        sum += w * static_cast<double>(values[i]);
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    const double mean = sum / total; // NaN where nothing counts, and nobody reads it then
    double m2 = 0;
#pragma unroll
    for (int i = 0; i < rows_in_flight; ++i) {
        const double w = weight(i), step = static_cast<double>(values[i]) - mean;
        m2 += w > 0 ? w * step * step : 0;
    }
    return {total, mean, m2, static_cast<double>(low), static_cast<double>(high)};
}

// A block a unit and up to 128 of its columns; threads beyond a column's first share its rows, and the halves of them
// are added again and again: an order that follows from the position in the unit and from d.
//   one pass over the rows: 4 N d bytes; 9 float64 operations and 26 PTX instructions a number (d = 2: 11, 58).
//   Predicted for 1e6 x 128 on an H200, not measured: 0.12 ms at 4.27 TB/s, 0.2 at 0.6 of it; 245 blocks, two a
//   multiprocessor
template <class X>
__global__ void __launch_bounds__(summary_threads, 8 / sizeof(X))
    summarize(const matrix_view<const X> x, const weight_reader weight, double* summaries,
              unsigned long long* first_bad) {
    __shared__ column_moments shared[summary_threads];
    const std::int64_t d = x.cols;
    const std::int64_t first = blockIdx.x * unit_rows;
    const std::int64_t last = min(first + unit_rows, x.rows);
    double* out = summaries + blockIdx.x * summary_size(d);
    if (blockIdx.y == 0)
        summarize_weights(weight, first, last, out);
    unsigned long long bad = ~0ull;
    for (std::int64_t begin = blockIdx.y * summary_columns; begin < d; begin += gridDim.y * summary_columns) {
        const int columns = static_cast<int>(min(d - begin, std::int64_t(summary_columns)));
        const int sharers = summary_threads / columns; // threads of one column
        const int sharer = static_cast<int>(threadIdx.x) / columns;
        const std::int64_t j = begin + threadIdx.x % columns;
        column_moments mine = column_moments::none();
        for_column(x, j, sharer < sharers ? first + sharer : last, sharers, last,
                   [&](std::int64_t row, const X(&values)[rows_in_flight], int count) {
#pragma unroll
                       for (int i = 0; i < rows_in_flight; ++i)
                           if (!::isfinite(values[i]))
                               bad = min(bad, static_cast<unsigned long long>((row + i * sharers) * d + j));
                       mine.add(moments_of(values, [&](int i) { return i < count ? weight(row + i * sharers) : 0.0; }));
                   });
        __syncthreads(); // what the columns before left has been read
        shared[threadIdx.x] = mine;
        for (int reach = summary_threads / 2; reach > 0; reach /= 2) {
            __syncthreads();
            if (sharer < reach && sharer + reach < sharers)
                shared[threadIdx.x].add(shared[threadIdx.x + reach * columns]);
        }
        if (sharer == 0) {
            const column_moments& all = shared[threadIdx.x];
            double* column = out + summary_scalars + j;
            column[0] = all.mean;
            column[d] = all.m2;
            column[2 * d] = all.low;
            column[3 * d] = all.high;
        }
    }
    if (bad != ~0ull)
        atomicMin(first_bad, bad);
}

// A thread has one column and strides over the rows, so that it divides and asks for the frame once.
//   4 N (d + stride) bytes; 2 float64 operations and 23 to 28 PTX instructions a number. Predicted for 1e6 x 128 on an
//   H200, not measured: 0.24 ms, 0.4 at 0.6 of the rate; 1056 blocks, eight for each of 132 multiprocessors
template <class X, class T>
__global__ void __launch_bounds__(normalize_threads)
    normalize(const matrix_view<const X> x, const weight_reader weight, const double* centre, const double* scale,
              T* out, std::int64_t stride, T* out_weights) {
    for (std::int64_t begin = blockIdx.y * std::int64_t(normalize_threads); begin < stride;
         begin += gridDim.y * std::int64_t(normalize_threads)) {
        const int columns = static_cast<int>(min(stride - begin, std::int64_t(normalize_threads)));
        const int sharers = normalize_threads / columns;
        const int sharer = static_cast<int>(threadIdx.x) / columns;
        if (sharer >= sharers)
            continue;
        const std::int64_t j = begin + threadIdx.x % columns;
        const bool padding = j >= x.cols;
        const std::int64_t from = padding ? 0 : j;                     // a column that is there
        const double middle = centre[from], inverse = 1 / scale[from]; // exact: a power of two
        const std::int64_t step = gridDim.x * std::int64_t(sharers);
        for_column(x, from, blockIdx.x * std::int64_t(sharers) + sharer, step, x.rows,
                   [&](std::int64_t row, const X(&values)[rows_in_flight], int count) {
                       T* to = out + row * stride + j;
#pragma unroll
                       for (int i = 0; i < rows_in_flight; ++i, row += step, to += step * stride) {
                           if (i >= count)
                               return;
                           double value = padding ? 0 : (static_cast<double>(values[i]) - middle) * inverse;
                           if (out_weights) {
                               const double w = weight(row);
                               if (w == 0)
                                   value = weightless(value);
                               if (j == 0)
                                   out_weights[row] = static_cast<T>(w);
                           }
                           *to = static_cast<T>(value);
                       }
                   });
    }
}

constexpr std::int64_t most_blocks_y = 65535;

template <class T, class X>
void start_normalize(const internal::cuda_state& state, const device_input& in, const double* centre,
                     const double* scale, T* out, std::int64_t stride, T* out_weights) {
    const std::int64_t across = std::min(most_blocks_y, blocks_for(stride, normalize_threads));
    const std::int64_t sharers = normalize_threads / std::min<std::int64_t>(stride, normalize_threads);
    const std::int64_t down = std::min(blocks_for(in.x.rows, sharers * rows_in_flight),
                                       blocks_for(std::int64_t(state.multiprocessors) * 8, across));
    launch(state, "normalize", {down, normalize_threads, 0, across}, normalize<X, T>, in.x.as<X>(), reader(in), centre,
           scale, out, stride, out_weights);
}

} // namespace

void summarize_units(const internal::cuda_state& state, const device_input& in, double* summaries,
                     unsigned long long* first_bad) {
    const launch_shape grid{blocks_for(in.x.rows, unit_rows), summary_threads, 0,
                            std::min(most_blocks_y, blocks_for(in.x.cols, summary_columns))};
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
