// The fused variant: rows are read once, log-densities, responsibilities and statistics stay on chip.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/e_step/tile.cuh"
#include "kernels/cuda/gmm/rows/known_rows.cuh"

namespace elbo::kernels::cuda {

namespace {

template <class T>
struct fused_arguments {
    gmm_shape shape;
    device_model<T> model;
    device_rows<T> rows;
    device_sums sums;
    fused_shape tuning;
};

/// Shared memory of a block.
template <class T>
struct fused_memory {
    double* statistics; ///< [row_split][K][chunk_statistics]
    T* tile;            ///< [tile_rows x stride]
    T* whitened;        ///< the same, tied only: else the tile itself
    T* densities;       ///< [tile_rows x (K + 1)]: lp, then w r; the odd row length spreads the banks
    T* weights;         ///< [tile_rows]
};

template <class T, density_form Form>
__device__ fused_memory<T> partition(const fused_arguments<T>& a, unsigned char* memory) {
    const std::int64_t statistics =
        a.tuning.row_split * a.shape.components * chunk_statistics(a.shape.family, a.shape.dimensions);
    const std::int64_t tile = a.tuning.tile_rows * tile_stride(a.shape.dimensions);
    fused_memory<T> m;
    m.statistics = reinterpret_cast<double*>(memory);
    m.tile = reinterpret_cast<T*>(m.statistics + (statistics + 1) / 2 * 2); // quads need 16-byte alignment
    m.whitened = Form == density_form::whitened ? m.tile + tile : m.tile;
    m.densities = m.whitened + tile;
    m.weights = m.densities + a.tuning.tile_rows * (a.shape.components + 1);
    return m;
}

/// Row rule of a tile, four lanes a row, the first one being row `first`. Rows of weight zero and those behind the end
/// get g = 0. Adds to the thread's scalars; which rows a thread has depends on the position in the chunk alone.
template <class T>
__device__ void tile_row_rule(const fused_arguments<T>& a, const fused_memory<T>& m, std::int64_t first,
                              double reference, double scalars[scalar_count]) {
    const int components = static_cast<int>(a.shape.components);
    const int lane = static_cast<int>(threadIdx.x) % 4;
    const bool labelled = a.rows.labelled();
    for (int row = static_cast<int>(threadIdx.x) / 4; row < a.tuning.tile_rows; row += accumulate_threads / 4) {
        const T weight = m.weights[row];
        T* lp = m.densities + row * (components + 1);
        if (labelled)
            apply_known<T, 4>(a.rows, first + row, a.model.offsets, components, lane, lp);
        const row_result r = row_rule<T, 4>(lp, components, weight, lane);
        if (labelled && a.rows.log_factors && weight != T(0))
            scalars[scalar_log_factors] += ln_2 * log_factor_sum<T, 4>(a.rows, first + row, components, lane, lp);
        if (lane == 0 && weight != T(0)) {
            const double w = static_cast<double>(weight);
            scalars[scalar_log_likelihood] += w * (r.lse * ln_2 + reference);
            scalars[scalar_entropy] += w * (r.entropy * ln_2);
            scalars[scalar_weight] += w;
        }
    }
}

/// Adds the sums of a chain to the float64 statistics of a component, which this thread alone touches.
template <class T>
__device__ void add_products(double* second, const product_sums<T>& sums, int i0, int j0, int d) {
    for (int a = 0; a < 4; ++a) {
        const int i = i0 + a;
        if (i >= d)
            return;
        double* row = second + packed_upper(i, i, d) - i;
        for (int b = 0; b < 4; ++b)
            if (j0 + b >= i && j0 + b < d)
                row[j0 + b] += static_cast<double>(sums.value[a][b]);
    }
}

template <class T, moment_form Moments>
__device__ void add_means(double* statistics, const mean_sums<T>& sums, int i0, int d) {
    if (i0 == 0)
        statistics[0] += static_cast<double>(sums.weight);
    for (int a = 0; a < 4 && i0 + a < d; ++a) {
        statistics[1 + i0 + a] += static_cast<double>(sums.first[a]);
        if constexpr (Moments == moment_form::squares)
            statistics[1 + d + i0 + a] += static_cast<double>(sums.second[a]);
    }
}

/// Statistics of a tile. A thread owns a micro-tile of a component (and a part of the rows, where there are fewer
/// micro-tiles than threads) for the whole chunk.
template <class T, moment_form Moments>
__device__ void tile_statistics(const fused_arguments<T>& a, const fused_memory<T>& m) {
    const int d = static_cast<int>(a.shape.dimensions);
    const int p = static_cast<int>(padded(d));
    const int components = static_cast<int>(a.shape.components);
    const int stride = static_cast<int>(tile_stride(d));
    const int mean_tasks = p / 4;
    const int product_tasks = Moments == moment_form::full ? static_cast<int>(triangle(mean_tasks)) : 0;
    const int tasks = components * (product_tasks + mean_tasks);
    const int part_rows = static_cast<int>(a.tuning.tile_rows / a.tuning.row_split);
    const std::int64_t numbers = chunk_statistics(a.shape.family, d);

    for (int index = static_cast<int>(threadIdx.x); index < tasks * a.tuning.row_split; index += accumulate_threads) {
        const int part = index / tasks;
        const int task = index - part * tasks;
        const bool products = task < components * product_tasks;
        const int within = products ? task : task - components * product_tasks;
        const int k = within / (products ? product_tasks : mean_tasks);
        int ti = within - k * (products ? product_tasks : mean_tasks);
        int tj = ti;
        if (products)
            triangle_position(ti, mean_tasks, ti, tj);
        const quad<T> mi = load_quad(a.model.means + std::int64_t(k) * p + 4 * ti);
        const quad<T> mj = load_quad(a.model.means + std::int64_t(k) * p + 4 * tj);
        double* statistics = m.statistics + (part * a.shape.components + k) * numbers;
        for (int chain = part * part_rows; chain < (part + 1) * part_rows; chain += chain_rows) {
            const int end = min(chain + chain_rows, (part + 1) * part_rows);
            product_sums<T> product;
            mean_sums<T> mean;
            for (int row = chain; row < end; ++row) {
                const T g = m.densities[row * (components + 1) + k];
                if (g == T(0))
                    continue;
                const quad<T> xi = load_quad(m.tile + row * stride + 4 * ti);
                if (Moments == moment_form::full && products)
                    product.add(g, xi, load_quad(m.tile + row * stride + 4 * tj), mi, mj);
                else
                    mean.add(g, xi, mi);
            }
            if (Moments == moment_form::full && products)
                add_products(statistics + 1 + d, product, 4 * ti, 4 * tj, d);
            else
                add_means<T, Moments>(statistics, mean, 4 * ti, d);
        }
    }
}

/// Adds the statistics of the chunk to the sums of the fit: parts in ascending order, for the spherical family the
/// squares of all dimensions in ascending order.
template <class T>
__device__ void flush_statistics(const fused_arguments<T>& a, const fused_memory<T>& m) {
    const std::int64_t d = a.shape.dimensions;
    const std::int64_t size = statistics_size(a.shape.family, d);
    const std::int64_t numbers = chunk_statistics(a.shape.family, d);
    for (std::int64_t i = threadIdx.x; i < a.shape.components * size; i += accumulate_threads) {
        const std::int64_t k = i / size;
        const std::int64_t entry = i - k * size;
        const std::int64_t terms = entry == size - 1 ? numbers - entry : 1;
        double sum = 0;
        for (std::int64_t part = 0; part < a.tuning.row_split; ++part)
            for (std::int64_t t = 0; t < terms; ++t)
                sum += m.statistics[(part * a.shape.components + k) * numbers + entry + t];
        add_fixed(a.sums.limbs, a.sums.count, i, sum, a.sums.component_exponent);
    }
}

// E-step and statistics of chunks of rows.
//   reads 4 N (d + [1]) bytes of rows once; parameters through L1; statistics in shared memory as float64
//   about N K (d(d+1)/2 + d) multiply-adds for the densities, as many for the statistics of rows with r > 0
//   integer atomics only: equal input, equal bits, for any grid
template <class T, density_form Form, moment_form Moments>
__global__ void __launch_bounds__(accumulate_threads, 1) accumulate_chunks(const fused_arguments<T> a) {
    extern __shared__ __align__(16) unsigned char memory[];
    __shared__ double scratch[32];
    const fused_memory<T> m = partition<T, Form>(a, memory);
    const int d = static_cast<int>(a.shape.dimensions);
    const int p = static_cast<int>(padded(d));
    const int stride = static_cast<int>(tile_stride(d));
    const int components = static_cast<int>(a.shape.components);
    const int tile_rows = static_cast<int>(a.tuning.tile_rows);
    const std::int64_t statistics = a.tuning.row_split * components * chunk_statistics(a.shape.family, d);
    const double reference = *a.model.reference;

    const std::int64_t chunk_rows = a.tuning.chunk_rows;
    for (std::int64_t begin = blockIdx.x * chunk_rows; begin < a.rows.rows; begin += gridDim.x * chunk_rows) {
        const std::int64_t end = min(begin + chunk_rows, a.rows.rows);
        double scalars[scalar_count] = {};
        for (std::int64_t i = threadIdx.x; i < statistics; i += accumulate_threads)
            m.statistics[i] = 0;
        for (std::int64_t first = begin; first < end; first += tile_rows) {
            const int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, end - first));
            __syncthreads(); // the tile before has been read
            load_tile(a.rows.x + first * a.rows.stride, a.rows.stride, rows, d, m.tile, stride, tile_rows);
            for (int i = static_cast<int>(threadIdx.x); i < tile_rows; i += accumulate_threads)
                m.weights[i] = i >= rows ? T(0) : a.rows.weights ? a.rows.weights[first + i] : T(1);
            __syncthreads();
            if constexpr (Form == density_form::whitened) {
                whiten_tile(m.tile, m.whitened, stride, tile_rows, a.model.factors, p);
                __syncthreads();
            }
            log_densities<T, Form>(m.whitened, stride, tile_rows, tile_rows, a.model, p, 0, components,
                                   [&](int row, int k, T lp) { m.densities[row * (components + 1) + k] = lp; });
            __syncthreads();
            tile_row_rule(a, m, first, reference, scalars);
            __syncthreads();
            tile_statistics<T, Moments>(a, m);
        }
        __syncthreads();
        flush_statistics(a, m);
        for (int i = 0; i < scalar_count; ++i) {
            if (i == scalar_log_factors && !a.rows.log_factors)
                continue;
            const double sum = block_sum(scalars[i], scratch);
            if (threadIdx.x == 0)
                add_fixed(a.sums.limbs, a.sums.count, a.sums.count - scalar_count + i, sum, a.sums.scalar_exponent);
        }
        __syncthreads(); // the statistics have been read before the next chunk clears them
    }
}

template <class T, density_form Form, moment_form Moments>
void start(const internal::cuda_state& state, const fused_arguments<T>& a, std::int64_t blocks) {
    const launch_shape shape{std::min(blocks, blocks_for(a.rows.rows, a.tuning.chunk_rows)), accumulate_threads,
                             a.tuning.shared_bytes};
    launch(state, "accumulate_chunks", shape, accumulate_chunks<T, Form, Moments>, a);
}

} // namespace

template <class T>
void accumulate_fused(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                      const device_rows<T>& rows, const device_sums& sums, std::int64_t blocks) {
    const fused_arguments<T> a{shape, model, rows, sums, shape_fused(shape, sizeof(T))};
    using enum gmm::family;
    switch (shape.family) {
    case full:
        return start<T, density_form::full, moment_form::full>(state, a, blocks);
    case diagonal:
    case spherical:
        return start<T, density_form::diagonal, moment_form::squares>(state, a, blocks);
    case tied:
        return start<T, density_form::whitened, moment_form::none>(state, a, blocks);
    default:
        return start<T, density_form::diagonal, moment_form::none>(state, a, blocks);
    }
}

template void accumulate_fused(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                               const device_rows<float>&, const device_sums&, std::int64_t);
template void accumulate_fused(const internal::cuda_state&, const gmm_shape&, const device_model<double>&,
                               const device_rows<double>&, const device_sums&, std::int64_t);

} // namespace elbo::kernels::cuda
