// The fused variant: rows are read once, log-densities, responsibilities and statistics stay on chip. Both products are
// tiled in registers: a thread reads rows and parameters of a micro-tile once for many multiply-adds.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/fused_distances.cuh"
#include "kernels/cuda/gmm/e_step/fused_dots.cuh"
#include "kernels/cuda/gmm/e_step/fused_moments.cuh"
#include "kernels/cuda/gmm/rows/known_rows.cuh"

namespace elbo::kernels::cuda {

namespace {

/// Rows of a tile and their weights. Those of weight zero and those behind the end become zero: they do not count, and
/// what lies there may have overflowed.
template <class T>
__device__ void load_rows(const fused_arguments<T>& a, const fused_block<T>& b, std::int64_t first, int count) {
    const int thread = thread_index();
    const auto weight = [&](int row) {
        return row >= count ? T(0) : a.rows.weights ? a.rows.weights[first + row] : T(1);
    };
    load_tile(a.rows.x + first * a.rows.stride, a.rows.stride, count, b.d, b.tile, b.stride, b.rows);
    for (int i = thread; i < b.rows; i += accumulate_threads)
        b.weights[i] = weight(i);
    if (!a.rows.weights)
        return;
    __syncthreads();
    for (int i = thread; i < b.rows * b.stride; i += accumulate_threads)
        if (b.weights[i / b.stride] == T(0))
            b.tile[i] = T(0);
}

/// Sums of the exchange of one row over the ranks, in ascending order.
template <class T, class Operation>
__device__ double over_ranks(const fused_arguments<T>& a, const fused_block<T>& b, int what, int row, double initial,
                             Operation operation) {
    for (int r = 0; r < a.tuning.ranks; ++r)
        initial = operation(initial, b.exchange[(what * a.tuning.ranks + r) * b.rows + row]);
    return initial;
}

/// Gives `value` of a row to the other ranks; all lanes of the row have it, each tells some.
template <class T>
__device__ void tell_ranks(const fused_arguments<T>& a, const fused_block<T>& b, int what, int row, int lane,
                           double value) {
    for (int r = lane; r < a.tuning.ranks; r += 4)
        store_in_rank(b.exchange + (what * a.tuning.ranks + b.rank) * b.rows + row, r, value);
}

/// Row rule of a tile, four lanes a row, the first one being row `first`. Rows of weight zero and those behind the end
/// get g = 0. Adds to the thread's scalars; which rows a thread has depends on the position in the chunk alone. The
/// ranks of a cluster tell each other their largest lp, then their sums: between the two barriers of a tile nobody
/// writes what others still read of the tile before.
template <class T>
__device__ void tile_row_rule(const fused_arguments<T>& a, const fused_block<T>& b, std::int64_t first,
                              double reference, double scalars[scalar_count]) {
    const int thread = thread_index();
    const int components = static_cast<int>(a.shape.components);
    const int lane = thread % 4;
    const auto for_rows = [&](auto&& work) {
        // Whole warps: the lanes of a row exchange values by shuffles of the warp.
        for (int base = thread / 32 * 8; base < b.rows; base += accumulate_threads / 4) {
            const int row = base + thread % 32 / 4;
            work(row, row_span<T>{b.densities + row, b.first, b.count, b.column});
        }
    };
    const auto finish = [&](int row, const row_span<T>& lp, T largest, const row_sums& sums) {
        const T weight = b.weights[row];
        const row_result r = row_shares<T, 4>(lp, largest, sums, weight, lane);
        if (weight == T(0))
            return;
        if (a.rows.log_factors)
            scalars[scalar_log_factors] += ln_2 * log_factor_sum<T, 4>(a.rows, first + row, components, lane, lp);
        if (lane != 0 || b.rank != 0)
            return;
        const double w = static_cast<double>(weight);
        scalars[scalar_log_likelihood] += w * (r.lse * ln_2 + reference);
        scalars[scalar_entropy] += w * (r.entropy * ln_2);
        scalars[scalar_weight] += w;
    };
    const auto largest_of = [&](int row, const row_span<T>& lp) {
        if (a.rows.labelled())
            apply_known<T, 4>(a.rows, first + row, a.model.offsets, components, lane, lp);
        return row_largest<T, 4>(lp, lane);
    };
    if (a.tuning.ranks == 1) {
        for_rows([&](int row, const row_span<T>& lp) {
            const T largest = largest_of(row, lp);
            finish(row, lp, largest, row_exponentials<T, 4>(lp, largest, components, lane));
        });
        return;
    }
    const auto add = [](double x, double y) { return x + y; };
    for_rows([&](int row, const row_span<T>& lp) {
        tell_ranks(a, b, 0, row, lane, static_cast<double>(largest_of(row, lp)));
    });
    cluster_sync();
    for_rows([&](int row, const row_span<T>& lp) {
        const auto larger = [](double x, double y) { return ::fmax(x, y); };
        const T largest = static_cast<T>(over_ranks(a, b, 0, row, -INFINITY, larger));
        const row_sums own = row_exponentials<T, 4>(lp, largest, components, lane);
        tell_ranks(a, b, 1, row, lane, own.sum);
        tell_ranks(a, b, 2, row, lane, own.spread);
        if (lane == 0)
            b.largest[row] = largest; // the exchange may be that of the next tile when it is read again
    });
    cluster_sync();
    for_rows([&](int row, const row_span<T>& lp) {
        finish(row, lp, b.largest[row], {over_ranks(a, b, 1, row, 0.0, add), over_ranks(a, b, 2, row, 0.0, add)});
    });
}

/// lp of a tile; `dots`: in the dot form.
template <class T, distance_form Form, int Quads>
__device__ void tile_log_densities(const fused_arguments<T>& a, const fused_block<T>& b, bool dots) {
    if constexpr (Quads > 0) {
        tile_full_densities<Quads>(a, b);
    } else if constexpr (Form == distance_form::full) {
        tile_full_densities(a, b);
    } else if constexpr (Form == distance_form::centres) {
        if (dots)
            tile_norms(b);
        __syncthreads();
        if (dots)
            tile_densities<T, distance_form::dots>(a, b);
        else
            tile_densities<T, Form>(a, b);
    } else {
        tile_densities<T, Form>(a, b);
    }
}

/// Statistics of a tile; `dots`: about the origin.
template <class T, distance_form Form, fused_moments Moments>
__device__ void tile_statistics(const fused_arguments<T>& a, const fused_block<T>& b, bool dots) {
    if constexpr (Moments == fused_moments::full)
        add_squares(b.tile, b.stride, b.rows, b.densities, b.column, a.model.means + std::int64_t(b.first) * b.p, b.p,
                    b.statistics, static_cast<int>(fused_statistics(a.shape.family, b.d)), b.count,
                    static_cast<int>(a.tuning.span), static_cast<int>(a.tuning.row_split));
    else if (dots)
        tile_moments_about_origin<T, Moments == fused_moments::squares>(a, b);
    else
        tile_moments<T, Moments>(a, b);
    tile_weights<T, Moments>(a, b);
}

/// Adds one tile of at most b.rows rows to the statistics of the block and to the thread's scalars.
template <class T, distance_form Form, fused_moments Moments, int Quads>
__device__ void add_tile(const fused_arguments<T>& a, const fused_block<T>& b, std::int64_t first, int count, bool dots,
                         double reference, double scalars[scalar_count]) {
    __syncthreads(); // the tile before has been read
    load_rows(a, b, first, count);
    __syncthreads();
    if (a.shape.family == gmm::family::tied) {
        whiten_tile(b.tile, b.whitened, b.stride, b.rows, a.model.factors, b.p);
        __syncthreads();
    }
    tile_log_densities<T, Form, Quads>(a, b, dots);
    __syncthreads();
    tile_row_rule(a, b, first, reference, scalars);
    __syncthreads();
    tile_statistics<T, Form, Moments>(a, b, dots);
}

// E-step and statistics of chunks of rows, a block or a cluster of blocks a chunk.
//   reads 4 N (d + [1]) bytes of rows once, in a cluster once a rank; parameters through L1; statistics in shared
//   memory as float64; a cluster exchanges 24 bytes a row and rank arithmetic instructions a pair of a row and a
//   component: full d(d+1)/2 + d and as many for statistics of rows with r > 0; diagonal 2 d and 4 d, spherical and
//   tied 2 d and 2 d; in the dot form diagonal 2 d and 2 d, spherical and tied d and d; about 20 for the row rule.
//   Integer atomics only: equal input, equal bits, for any grid
template <class T, distance_form Form, fused_moments Moments, int Quads>
__global__ void __launch_bounds__(accumulate_threads, sizeof(T) == 4 && Form != distance_form::full ? 2 : 1)
    accumulate_chunks(const fused_arguments<T> a) {
    extern __shared__ __align__(16) unsigned char memory[];
    __shared__ double scratch[32];
    const fused_block<T> b = partition(a, memory);
    const std::int64_t statistics = a.tuning.row_split * a.tuning.span * fused_statistics(a.shape.family, b.d);
    const double reference = *a.model.reference;
    bool dots = false;
    if constexpr (Form != distance_form::full) {
        if (a.near && all_near(a.near, static_cast<int>(a.shape.components)))
            return;
        dots = suits_dots(a);
    }
    const std::int64_t chunk_rows = a.tuning.chunk_rows;
    const std::int64_t turn = gridDim.x / a.tuning.ranks * chunk_rows; // rows of all clusters
    if (a.tuning.ranks > 1)
        cluster_sync(); // all blocks have begun before one stores into another
    for (std::int64_t begin = blockIdx.x / a.tuning.ranks * chunk_rows; begin < a.rows.rows; begin += turn) {
        const std::int64_t end = min(begin + chunk_rows, a.rows.rows);
        double scalars[scalar_count] = {};
        for (std::int64_t i = threadIdx.x; i < statistics; i += accumulate_threads)
            b.statistics[i] = 0;
        for (std::int64_t first = begin; first < end; first += b.rows)
            add_tile<T, Form, Moments, Quads>(
                a, b, first, static_cast<int>(std::min<std::int64_t>(b.rows, end - first)), dots, reference, scalars);
        __syncthreads();
        flush_statistics<T, Moments>(a, b, dots);
        for (int i = 0; i < scalar_count; ++i) {
            if (i == scalar_log_factors ? !a.rows.log_factors : b.rank != 0)
                continue;
            const double sum = block_sum(scalars[i], scratch);
            if (threadIdx.x == 0)
                add_fixed(a.sums.limbs, a.sums.count, a.sums.count - scalar_count + i, sum, a.sums.scalar_exponent);
        }
        __syncthreads(); // the statistics have been read before the next chunk clears them
    }
    if (a.tuning.ranks > 1)
        cluster_sync(); // no block ends while others may still store into it
}

template <class T, distance_form Form, fused_moments Moments, int Quads = 0>
void start(const internal::cuda_state& state, const fused_arguments<T>& a, std::int64_t blocks) {
    const std::int64_t clusters =
        std::min(std::max<std::int64_t>(1, blocks / a.tuning.ranks), blocks_for(a.rows.rows, a.tuning.chunk_rows));
    const launch_shape shape{clusters * a.tuning.ranks, accumulate_threads, a.tuning.shared_bytes, 1,
                             static_cast<unsigned>(a.tuning.ranks)};
    launch(state, "accumulate_chunks", shape, accumulate_chunks<T, Form, Moments, Quads>, a);
}

/// Full covariances: the kernel for the number of quads of dimensions, from Quads on; beyond those, and in float64, the
/// one for any number.
template <class T, int Quads>
void start_full(const internal::cuda_state& state, const fused_arguments<T>& a, std::int64_t blocks) {
    if constexpr (sizeof(T) == 8 || 4 * Quads > register_row_dimensions)
        return start<T, distance_form::full, fused_moments::full>(state, a, blocks);
    else if (quads(a.shape.dimensions) == Quads)
        return start<T, distance_form::full, fused_moments::full, Quads>(state, a, blocks);
    else
        return start_full<T, Quads + 1>(state, a, blocks);
}

} // namespace

std::int64_t largest_cluster(const internal::cuda_state& state) {
    state.activate();
    int known = 0;
    check(cudaDeviceGetAttribute(&known, cudaDevAttrClusterLaunch, state.device), "cudaDeviceGetAttribute");
    cudaFuncAttributes code{};
    check(cudaFuncGetAttributes(&code, accumulate_chunks<float, distance_form::scaled, fused_moments::squares, 0>),
          "cudaFuncGetAttributes");
    return known != 0 && code.ptxVersion >= 90 ? most_ranks : 1;
}

template <class T>
void accumulate_fused(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                      const device_rows<T>& rows, const device_sums& sums, const device_abilities& device,
                      std::int64_t blocks, const int* near) {
    const fused_arguments<T> a{shape, model, rows, sums, shape_fused(shape, sizeof(T), device), near};
    using enum gmm::family;
    switch (shape.family) {
    case full:
        return start_full<T, 1>(state, a, blocks);
    case diagonal:
        return start<T, distance_form::scaled, fused_moments::squares>(state, a, blocks);
    case spherical:
        return start<T, distance_form::centres, fused_moments::distance>(state, a, blocks);
    case tied_diagonal:
        return start<T, distance_form::scaled, fused_moments::none>(state, a, blocks);
    default: // tied, tied_spherical
        return start<T, distance_form::centres, fused_moments::none>(state, a, blocks);
    }
}

template void accumulate_fused(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                               const device_rows<float>&, const device_sums&, const device_abilities&, std::int64_t,
                               const int*);
template void accumulate_fused(const internal::cuda_state&, const gmm_shape&, const device_model<double>&,
                               const device_rows<double>&, const device_sums&, const device_abilities&, std::int64_t,
                               const int*);

} // namespace elbo::kernels::cuda
