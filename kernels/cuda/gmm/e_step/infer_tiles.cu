// Inference where a tile of rows has all its log-densities in shared memory: one kernel for all rows, which are read
// once, and nothing but the results is written.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/infer.cuh"
#include "kernels/cuda/gmm/rows/known_rows.cuh"

namespace elbo::kernels::cuda {

namespace {

constexpr int inference_lanes = 4; // of a row in its row rule: all threads have work with 64 rows

// A block a tile of rows.
//   reads rows once and parameters from L1 or L2, writes the results; at d = 2, K = 8 138 PTX instructions a pair where
//   only assignments are wanted, 232 with densities. Predicted on an H200, not measured: assignments of 1e7 x 2 x 8 in
//   0.17 to 0.34 ms, 39,063 blocks, three at a time on each of 132 multiprocessors
template <class T, density_form Form>
__global__ void __launch_bounds__(accumulate_threads, 3)
    infer_tiles(const gmm_shape shape, const device_model<T> model, const device_rows<T> rows, int tile_rows,
                const inference_results to) {
    extern __shared__ __align__(16) unsigned char memory[];
    const int d = static_cast<int>(shape.dimensions), p = static_cast<int>(padded(d));
    const int components = static_cast<int>(shape.components), column = static_cast<int>(inference_stride(shape));
    const int stride = static_cast<int>(tile_stride(d));
    T* tile = reinterpret_cast<T*>(memory);
    T* densities = tile + tile_rows * stride;
    const std::int64_t first = blockIdx.x * std::int64_t(tile_rows);
    const int count = static_cast<int>(min(std::int64_t(tile_rows), rows.rows - first));
    load_tile(rows.x + first * rows.stride, rows.stride, count, d, tile, stride, tile_rows);
    __syncthreads();
    const T* source = tile;
    if constexpr (Form == density_form::whitened) {
        T* white = densities;
        densities += tile_rows * stride;
        whiten_tile(tile, white, stride, tile_rows, model.factors, p);
        __syncthreads();
        source = white;
    }
    log_densities<T, Form>(source, stride, tile_rows, count, model, p, 0, components,
                           [&](int row, int k, T lp) { densities[row * column + k] = lp; });
    __syncthreads();
    const double reference = *model.reference;
    const int lane = static_cast<int>(threadIdx.x) % inference_lanes;
    for (int row = static_cast<int>(threadIdx.x) / inference_lanes; row < tile_rows;
         row += accumulate_threads / inference_lanes) {
        const row_span<T> lp{densities + row * column, 0, components};
        if (rows.labelled())
            apply_known<T, inference_lanes>(rows, first + row, model.offsets, components, lane, lp);
        __syncwarp(); // lanes read what others of their row have written
        infer_row<T, inference_lanes>(lp, first + row, row < count, reference, to, lane);
    }
}

template <class T, density_form Form>
void start_tiles(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                 const device_rows<T>& rows, const inference_results& to) {
    const inference_shape tile = shape_inference(shape, sizeof(T));
    const launch_shape grid{blocks_for(rows.rows, tile.tile_rows), accumulate_threads, tile.shared_bytes};
    launch(state, "infer_tiles", grid, infer_tiles<T, Form>, shape, model, rows, static_cast<int>(tile.tile_rows), to);
}

} // namespace

template <class T>
void infer_by_tiles(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                    const device_rows<T>& rows, const inference_results& to) {
    switch (form_of(shape.family)) {
    case density_form::full:
        return start_tiles<T, density_form::full>(state, shape, model, rows, to);
    case density_form::diagonal:
        return start_tiles<T, density_form::diagonal>(state, shape, model, rows, to);
    case density_form::whitened:
        return start_tiles<T, density_form::whitened>(state, shape, model, rows, to);
    }
}

template void infer_by_tiles(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                             const device_rows<float>&, const inference_results&);
template void infer_by_tiles(const internal::cuda_state&, const gmm_shape&, const device_model<double>&,
                             const device_rows<double>&, const inference_results&);

} // namespace elbo::kernels::cuda
