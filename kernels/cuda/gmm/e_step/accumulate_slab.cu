// The slab variant: for shapes whose statistics do not fit on chip. The log-densities of a few units lie in device
// memory (mostly in L2) between three kernels; the memory is bounded, whatever the number of rows.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/infer.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/rows/known_rows.cuh"

namespace elbo::kernels::cuda {

namespace {

// y = Uᵀx of 64 rows a block (tied).
template <class T>
__global__ void __launch_bounds__(accumulate_threads)
    whiten_rows(const gmm_shape shape, const device_model<T> model, const device_rows<T> rows, T* out) {
    const int d = static_cast<int>(shape.dimensions);
    const int p = static_cast<int>(padded(d));
    const std::int64_t first = blockIdx.x * std::int64_t(64);
    const int count = static_cast<int>(std::min<std::int64_t>(64, rows.rows - first));
    for (int i = static_cast<int>(threadIdx.x); i < count * p; i += accumulate_threads) {
        const int row = i / p;
        const int column = i - row * p;
        const T* x = rows.x + (first + row) * rows.stride;
        T y = 0;
        for (int j = 0; j <= min(column, d - 1); ++j)
            y += __ldg(x + j) * model.factors[std::int64_t(j) * p + column];
        out[(first + row) * p + column] = y;
    }
}

// Log-densities of 64 rows under up to 64 components a block.
//   rows [rows x width], row i at i * stride, staged in shared memory where they fit; out [rows x K]
template <class T, density_form Form>
__global__ void __launch_bounds__(accumulate_threads, 1)
    density_slab(const gmm_shape shape, const device_model<T> model, const device_rows<T> rows, bool staged, T* out) {
    extern __shared__ __align__(16) unsigned char memory[];
    T* tile = reinterpret_cast<T*>(memory);
    const int d = static_cast<int>(shape.dimensions);
    const std::int64_t first_row = blockIdx.x * density_tile_rows;
    const int count = static_cast<int>(std::min<std::int64_t>(+density_tile_rows, rows.rows - first_row));
    const int first = static_cast<int>(blockIdx.y * density_components);
    const int last = static_cast<int>(std::min<std::int64_t>(first + density_components, shape.components));
    const T* source = rows.x + first_row * rows.stride;
    std::int64_t stride = rows.stride;
    if (staged) {
        stride = tile_stride(d);
        load_tile(source, rows.stride, count, d, tile, static_cast<int>(stride), density_tile_rows);
        __syncthreads();
        source = tile;
    }
    log_densities<T, Form>(source, stride, density_tile_rows, count, model, static_cast<int>(padded(d)), first, last,
                           [&](int row, int k, T lp) {
                               if (row < count)
                                   out[(first_row + row) * shape.components + k] = lp;
                           });
}

// What is known of the rows into the log-densities of the slab, a warp a row.
template <class T>
__global__ void __launch_bounds__(accumulate_threads)
    know_slab(int components, const device_model<T> model, const device_rows<T> rows, T* densities) {
    const std::int64_t row = blockIdx.x * std::int64_t(accumulate_threads / 32) + threadIdx.x / 32;
    if (row < rows.rows) // the same for the whole warp
        apply_known<T, 32>(rows, row, model.offsets, components, static_cast<int>(threadIdx.x) % 32,
                           row_span<T>{densities + row * components, 0, components});
}

// Row rule, a warp a row, a block a unit: lp becomes w r; the scalars of the unit go to the sums.
template <class T>
__global__ void __launch_bounds__(accumulate_threads)
    posterior_slab(const gmm_shape shape, const device_model<T> model, const device_rows<T> rows, T* densities,
                   const device_sums sums) {
    __shared__ double scratch[32];
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t begin = blockIdx.x * unit_rows;
    const std::int64_t end = min(begin + unit_rows, rows.rows);
    const double reference = *model.reference;
    double scalars[scalar_log_factors] = {}; // all but that one
    for (std::int64_t row = begin + threadIdx.x / 32; row < end; row += accumulate_threads / 32) {
        const T weight = rows.weights ? rows.weights[row] : T(1);
        const row_result r =
            row_rule<T, 32>({densities + row * shape.components, 0, static_cast<int>(shape.components)}, weight, lane);
        if (lane == 0 && weight != T(0)) {
            const double w = static_cast<double>(weight);
            scalars[scalar_log_likelihood] += w * (r.lse * ln_2 + reference);
            scalars[scalar_entropy] += w * (r.entropy * ln_2);
            scalars[scalar_weight] += w;
        }
    }
    for (int i = 0; i < scalar_log_factors; ++i) {
        const double sum = block_sum(scalars[i], scratch);
        if (threadIdx.x == 0)
            add_fixed(sums.limbs, sums.count, sums.count - scalar_count + i, sum, sums.scalar_exponent);
    }
}

// Σ w r log π of the factors, after the row rule; a warp a row, a block a unit.
template <class T>
__global__ void __launch_bounds__(accumulate_threads)
    log_factor_slab(int components, const device_rows<T> rows, T* responsibilities, const device_sums sums) {
    __shared__ double scratch[32];
    const std::int64_t begin = blockIdx.x * unit_rows;
    const std::int64_t end = min(begin + unit_rows, rows.rows);
    double total = 0;
    for (std::int64_t row = begin + threadIdx.x / 32; row < end; row += accumulate_threads / 32)
        total += log_factor_sum<T, 32>(rows, row, components, static_cast<int>(threadIdx.x) % 32,
                                       row_span<T>{responsibilities + row * components, 0, components});
    total = block_sum(ln_2 * total, scratch);
    if (threadIdx.x == 0)
        add_fixed(sums.limbs, sums.count, sums.count - scalar_count + scalar_log_factors, total, sums.scalar_exponent);
}

// Row rule for inference, a warp a row.
//   reads densities [rows x K] in units of ln 2, less the reference; writes the results, 8 K bytes of each matrix a row
template <class T>
__global__ void __launch_bounds__(accumulate_threads)
    infer_slab(int components, const device_model<T> model, std::int64_t rows, T* densities,
               const inference_results to) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t row = blockIdx.x * std::int64_t(accumulate_threads / 32) + threadIdx.x / 32;
    if (row >= rows)
        return; // the whole warp leaves together
    infer_row<T, 32>({densities + row * components, 0, components}, row, true, *model.reference, to, lane);
}

/// Float64 sums of one thread over a unit.
struct unit_sums {
    double value[16] = {};
    double weight = 0;
};

template <class T, moment_form Moments>
__device__ void flush_task(const gmm_shape& shape, const device_sums& sums, std::int64_t k, bool products, int ti,
                           int tj, const unit_sums& total) {
    const int d = static_cast<int>(shape.dimensions);
    const std::int64_t base = k * statistics_size(shape.family, d);
    const auto add = [&](std::int64_t entry, double value) {
        add_fixed(sums.limbs, sums.count, base + entry, value, sums.component_exponent);
    };
    if (products) {
        for (int a = 0; a < 4; ++a)
            for (int b = 0; b < 4; ++b) {
                const int i = 4 * ti + a, j = 4 * tj + b;
                if (j >= i && j < d)
                    add(1 + d + packed_upper(i, j, d), total.value[4 * a + b]);
            }
        return;
    }
    if (ti == 0)
        add(0, total.weight);
    for (int a = 0; a < 4 && 4 * ti + a < d; ++a) {
        add(1 + 4 * ti + a, total.value[a]);
        // Spherical: the squares of all dimensions meet in one sum; each is a partial of its own.
        if constexpr (Moments == moment_form::squares)
            add(1 + d + (shape.family == gmm::family::spherical ? 0 : 4 * ti + a), total.value[4 + a]);
    }
}

// Statistics of one unit a block column, 256 micro-tiles a block.
//   reads g [rows x K] and x [rows x padded d] through L1; chains of 64 rows in T, then float64 in registers
template <class T, moment_form Moments>
__global__ void __launch_bounds__(accumulate_threads)
    statistics_slab(const gmm_shape shape, const device_model<T> model, const device_rows<T> rows,
                    const T* responsibilities, const device_sums sums) {
    const int d = static_cast<int>(shape.dimensions);
    const int p = static_cast<int>(padded(d));
    const std::int64_t mean_tasks = p / 4;
    const std::int64_t product_tasks = Moments == moment_form::full ? triangle(mean_tasks) : 0;
    const std::int64_t task = blockIdx.x * std::int64_t(accumulate_threads) + threadIdx.x;
    if (task >= shape.components * (product_tasks + mean_tasks))
        return;
    const bool products = task < shape.components * product_tasks;
    const std::int64_t within = products ? task : task - shape.components * product_tasks;
    const std::int64_t k = within / (products ? product_tasks : mean_tasks);
    int ti = static_cast<int>(within - k * (products ? product_tasks : mean_tasks));
    int tj = ti;
    if (products)
        triangle_position(ti, mean_tasks, ti, tj);
    const quad<T> mi = load_quad(model.means + k * p + 4 * ti);
    const quad<T> mj = load_quad(model.means + k * p + 4 * tj);
    const std::int64_t begin = blockIdx.y * unit_rows;
    const std::int64_t end = min(begin + unit_rows, rows.rows);
    unit_sums total;
    for (std::int64_t chain = begin; chain < end; chain += chain_rows) {
        product_sums<T> product;
        mean_sums<T> mean;
        for (std::int64_t row = chain; row < std::min<std::int64_t>(chain + chain_rows, end); ++row) {
            const T g = responsibilities[row * shape.components + k];
            if (g == T(0))
                continue;
            const quad<T> xi = load_quad(rows.x + row * rows.stride + 4 * ti);
            if (Moments == moment_form::full && products)
                product.add(g, xi, load_quad(rows.x + row * rows.stride + 4 * tj), mi, mj);
            else
                mean.add(g, xi, mi);
        }
        if (Moments == moment_form::full && products) {
#pragma unroll
            for (int i = 0; i < 16; ++i)
                total.value[i] += static_cast<double>(product.value[i / 4][i % 4]);
        } else {
            total.weight += static_cast<double>(mean.weight);
#pragma unroll
            for (int a = 0; a < 4; ++a) {
                total.value[a] += static_cast<double>(mean.first[a]);
                if constexpr (Moments == moment_form::squares)
                    total.value[4 + a] += static_cast<double>(mean.second[a]);
            }
        }
    }
    flush_task<T, Moments>(shape, sums, k, products, ti, tj, total);
}

template <class T, density_form Form>
void start_densities(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                     const device_rows<T>& rows, T* out) {
    const std::int64_t bytes = density_shared_bytes(shape, sizeof(T), state.shared_bytes);
    const launch_shape grid{blocks_for(rows.rows, density_tile_rows), accumulate_threads, bytes,
                            blocks_for(shape.components, density_components)};
    launch(state, "density_slab", grid, density_slab<T, Form>, shape, model, rows, bytes > 0, out);
}

template <class T, moment_form Moments>
void start_statistics(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                      const device_rows<T>& rows, const T* responsibilities, const device_sums& sums) {
    const launch_shape grid{blocks_for(moment_tasks(shape), accumulate_threads), accumulate_threads, 0,
                            blocks_for(rows.rows, unit_rows)};
    launch(state, "statistics_slab", grid, statistics_slab<T, Moments>, shape, model, rows, responsibilities, sums);
}

} // namespace

template <class T>
void slab_densities(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                    const device_rows<T>& rows, const slab_view<T>& slab) {
    switch (form_of(shape.family)) {
    case density_form::full:
        start_densities<T, density_form::full>(state, shape, model, rows, slab.densities);
        break;
    case density_form::diagonal:
        start_densities<T, density_form::diagonal>(state, shape, model, rows, slab.densities);
        break;
    case density_form::whitened: {
        const launch_shape grid{blocks_for(rows.rows, 64), accumulate_threads};
        launch(state, "whiten_rows", grid, whiten_rows<T>, shape, model, rows, slab.whitened);
        const device_rows<T> white{slab.whitened, rows.weights, padded(shape.dimensions), rows.rows};
        start_densities<T, density_form::whitened>(state, shape, model, white, slab.densities);
        break;
    }
    }
    if (rows.labelled())
        launch(state, "know_slab", {blocks_for(rows.rows, accumulate_threads / 32), accumulate_threads}, know_slab<T>,
               static_cast<int>(shape.components), model, rows, slab.densities);
}

template <class T>
void accumulate_slab(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                     const device_rows<T>& rows, const slab_view<T>& slab, const device_sums& sums) {
    const std::int64_t step = slab_units(shape, sizeof(T)) * unit_rows;
    for (std::int64_t first = 0; first < rows.rows; first += step) {
        const device_rows<T> part{rows.x + first * rows.stride,
                                  rows.weights ? rows.weights + first : nullptr,
                                  rows.stride,
                                  std::min(step, rows.rows - first),
                                  rows.labels ? rows.labels + first : nullptr,
                                  rows.log_factors ? rows.log_factors + first * shape.components : nullptr};
        slab_densities(state, shape, model, part, slab);
        launch(state, "posterior_slab", {blocks_for(part.rows, unit_rows), accumulate_threads}, posterior_slab<T>,
               shape, model, part, slab.densities, sums);
        if (part.log_factors)
            launch(state, "log_factor_slab", {blocks_for(part.rows, unit_rows), accumulate_threads}, log_factor_slab<T>,
                   static_cast<int>(shape.components), part, slab.densities, sums);
        switch (moments_of(shape.family)) {
        case moment_form::full:
            start_statistics<T, moment_form::full>(state, shape, model, part, slab.densities, sums);
            break;
        case moment_form::squares:
            start_statistics<T, moment_form::squares>(state, shape, model, part, slab.densities, sums);
            break;
        case moment_form::none:
            start_statistics<T, moment_form::none>(state, shape, model, part, slab.densities, sums);
            break;
        }
    }
}

template <class T>
void slab_posteriors(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                     std::int64_t rows, const slab_view<T>& slab, const inference_results& to) {
    launch(state, "infer_slab", {blocks_for(rows, accumulate_threads / 32), accumulate_threads}, infer_slab<T>,
           static_cast<int>(shape.components), model, rows, slab.densities, to);
}

#define ELBO_INSTANTIATE(T)                                                                                            \
    template void slab_densities(const internal::cuda_state&, const gmm_shape&, const device_model<T>&,                \
                                 const device_rows<T>&, const slab_view<T>&);                                          \
    template void accumulate_slab(const internal::cuda_state&, const gmm_shape&, const device_model<T>&,               \
                                  const device_rows<T>&, const slab_view<T>&, const device_sums&);                     \
    template void slab_posteriors(const internal::cuda_state&, const gmm_shape&, const device_model<T>&, std::int64_t, \
                                  const slab_view<T>&, const inference_results&);
ELBO_INSTANTIATE(float)
ELBO_INSTANTIATE(double)
#undef ELBO_INSTANTIATE

} // namespace elbo::kernels::cuda
