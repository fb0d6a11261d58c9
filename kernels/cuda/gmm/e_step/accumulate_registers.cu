// The register variant (docs/kernels.md section 6): small mixtures, float32. A thread, or two, takes whole rows, four
// at a time, and keeps the statistics of its components in registers; parameters are read from shared memory, the same
// words by all lanes, once for four rows.
//
// Parameters do not come from constant memory: it belongs to the module, and two contexts may fit at the same time.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/iterate_registers.cuh"
#include "kernels/cuda/gmm/e_step/register_rows.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/m_step/own_families.cuh"

#include <type_traits>

namespace elbo::kernels::cuda {

namespace {

/// One step of warp_transpose_sum: the lanes of a pair at `Distance` share the Held values between them, the lower lane
/// takes the first half. A template for each step, so that every index is known and the values stay in registers.
template <int Held, int Distance, int V>
__device__ void transpose_step(int lane, float (&value)[V], int& first, int& count) {
    constexpr int half = (Held + 1) / 2;
    const bool upper = (lane & Distance) != 0;
#pragma unroll
    for (int i = 0; i < half; ++i) {
        const float high = i + half < Held ? value[i + half < Held ? i + half : i] : 0.0f;
        const float keep = upper ? high : value[i];
        const float send = upper ? value[i] : high;
        value[i] = keep + __shfl_xor_sync(0xffffffffu, send, Distance);
    }
    first += upper ? half : 0;
    count = upper ? count - half : min(count, half);
    if constexpr (Distance > 1)
        transpose_step<half, Distance / 2>(lane, value, first, count);
}

/// Sums of each value over the lanes of a warp with the same number modulo Lanes, in a tree: V exchanges in all, where
/// a butterfly of each value takes 5 V. With the chain of a thread's rows a number passes through at most register_rows
/// + 5 float32 additions. The sum of value v goes to out[v].
template <int Lanes, int V>
__device__ void warp_transpose_sum(float (&value)[V], float* out) {
    int first = 0; // this lane ends up with the values first ... first + count - 1
    int count = V;
    transpose_step<V, 16 / Lanes>(this_thread(), value, first, count);
#pragma unroll
    for (int i = 0; i < (V * Lanes + 31) / 32; ++i)
        if (i < count)
            out[first + i] = value[i];
}

/// Position of factor (t, j) of component k in the model, t ≤ j; a spherical factor is repeated there.
template <family F>
__device__ std::int64_t factor_at(int k, int t, int j) {
    constexpr int p = 4; // padded(D)
    return F == family::full ? (k * p + t) * p + j : k * p + j;
}

/// Uᵀμ of a component, number j.
template <family F>
__device__ double whitened_mean(const device_model<float>& model, int k, int j) {
    double y = 0;
    for (int t = F == family::full ? 0 : j; t <= j; ++t)
        y += static_cast<double>(model.factors[factor_at<F>(k, t, j)]) * static_cast<double>(model.means[k * 4 + t]);
    return y;
}

/// Greatest ‖Uᵀμ‖ of components whose moments may be taken about the origin. Such moments have an error of about
/// 2^-24 (1 + ‖Uᵀμ‖²) of the covariance in a chain, and ‖Uᵀμ‖ bounds |μ_j| / σ_j for every j.
inline constexpr double common_centre_limit = 3;

/// Uᵀμ of a component.
template <int D>
struct whitened_centre {
    double y[D] = {};
};

/// That of the component of this thread; 0 where it has none.
template <family F, int D>
__device__ whitened_centre<D> whiten_centre(const device_model<float>& model, int components) {
    const int k = static_cast<int>(threadIdx.x);
    whitened_centre<D> centre;
    if (k < components && !::isinf(model.offsets[k]))
#pragma unroll
        for (int j = 0; j < D; ++j)
            centre.y[j] = whitened_mean<F>(model, k, j);
    return centre;
}

/// Which centre serves these parameters: the same in every block, whatever the data.
template <int D>
__device__ moment_centre choose_centre(const whitened_centre<D>& own) {
    double squares = 0;
#pragma unroll
    for (int j = 0; j < D; ++j)
        squares += own.y[j] * own.y[j];
    return block_all(squares <= common_centre_limit * common_centre_limit) ? moment_centre::common : moment_centre::own;
}

/// Parameters of all components into shared memory. Factors are multiplied by √(½ log2 e), so that ½‖Uᵀz‖² comes in
/// units of ln 2; they are rounded after that and the offset takes the rounding up: the density stays normalised.
/// Components that are dropped or only fill up to K get an energy so high that their responsibility is zero, but
/// finite, so that 0 · (lp − m) is zero.
template <family F, int D, int K>
__device__ void stage_parameters(const device_model<float>& model, int components, moment_centre centre,
                                 const whitened_centre<D>& own, float* out) {
    using shape = register_shape<F, D, K>;
    constexpr double unit = 0.84932180028801904272; // √(½ log2 e)
    constexpr double nowhere = 1e30;
    const int k = static_cast<int>(threadIdx.x);
    if (k >= K)
        return;
    float* c = out + k * shape::parameters;
    for (int i = 0; i < shape::parameters; ++i)
        c[i] = 0;
    c[D + shape::factors] = static_cast<float>(nowhere);
    if (k >= components || ::isinf(model.offsets[k]))
        return;
    double growth = 0; // of log det U by rounding
    for (int j = 0, at = D; j < D; ++j) {
        for (int t = F == family::full ? 0 : j; t <= j; ++t) {
            const double exact = unit * static_cast<double>(model.factors[factor_at<F>(k, t, j)]);
            const float rounded = static_cast<float>(exact);
            c[F == family::spherical ? D : at++] = rounded;
            if (t == j)
                growth += static_cast<double>(rounded) / exact - 1;
        }
    }
#pragma unroll
    for (int j = 0; j < D; ++j)
        c[j] = centre == moment_centre::own ? model.means[k * 4 + j] : static_cast<float>(-unit * own.y[j]);
    const double offset = (model.constants[k] - *model.reference + growth) * log2_e;
    c[D + shape::factors] = static_cast<float>(::fmin(-offset, nowhere));
}

/// Sums over this thread's rows of a chunk.
template <family F, int D, int K, moment_centre Centre>
__device__ void add_chunk(const float* parameters, const row_reader<D, register_shape<F, D, K>::lanes>& chunk,
                          register_sums<F, D, K>& total) {
    using shape = register_shape<F, D, K>;
    constexpr int batch = register_batch;
    const float* own = parameters + part_of_row<shape::lanes>() * shape::span * shape::parameters;
#pragma unroll 1
    for (int at = 0; at < chunk.rows; at += batch * chunk.step) {
        float x[batch][D], weight[batch], e[batch][shape::span], scale[batch];
        chunk.load(at, x, weight);
        share_rows<F, D, K, Centre>(own, x, weight, e, scale, total);
        add_rows<F, D, K, Centre>(own, x, e, scale, total);
    }
}

/// What the warps of a block have summed over a chunk.
template <family F, int D, int K>
struct block_partials {
    static constexpr int warps = register_threads / 32;
    float values[warps][K * register_shape<F, D, K>::statistics];
    double scalars[warps][row_scalars];
};

template <int Warps, class T, int Count>
__device__ double over_warps(const T (&value)[Warps][Count], int i) {
    double sum = 0;
#pragma unroll
    for (int w = 0; w < Warps; ++w)
        sum += static_cast<double>(value[w][i]);
    return sum;
}

/// The sums of this thread, added up over its warp.
template <family F, int D, int K>
__device__ void store_partials(register_sums<F, D, K>& total, block_partials<F, D, K>& to) {
    using shape = register_shape<F, D, K>;
    const int lane = this_thread() % 32, warp = this_thread() / 32, part = part_of_row<shape::lanes>();
    warp_transpose_sum<shape::lanes>(total.value, to.values[warp] + part * shape::values);
    double scalars[row_scalars];
    scalars[scalar_log_likelihood] = part == 0 ? total.log_density : 0;
    scalars[scalar_entropy] = total.mixture;
    scalars[scalar_weight] = part == 0 ? static_cast<double>(total.weight) : 0;
#pragma unroll
    for (int i = 0; i < row_scalars; ++i) {
        const double sum = warp_reduce(scalars[i], sum_of());
        if (lane == 0)
            to.scalars[warp][i] = sum;
    }
}

/// add_fixed() as a function of its own: what it computes from the exponent takes no register over the loop.
__device__ __noinline__ void add_number(std::int64_t* limbs, std::int64_t count, std::int64_t at, double value,
                                        int exponent) {
    add_fixed(limbs, count, at, value, exponent);
}

/// Adds the sums of a chunk to those of all, a thread a number: 15 of 16 for a component, so that its sums are made in
/// one warp, and the last of 16 for a scalar.
template <family F, int D, int K, moment_centre Centre>
__device__ void add_partials(const block_partials<F, D, K>& from, const int components,
                             const device_model<float>& model, const device_sums& sums) {
    using shape = register_shape<F, D, K>;
    constexpr int group = 16;
    static_assert(shape::statistics < group && K * group <= register_threads &&
                  row_scalars * group <= register_threads);
    __shared__ double raws[register_threads];
    const int thread = this_thread(), k = thread / group, s = thread % group;
    const bool has_number = k < components && s < shape::statistics;
    if (has_number)
        raws[thread] = over_warps(from.values, k * shape::statistics + s);
    __syncwarp();
    if (has_number) {
        const auto raw = [&](int i) { return raws[thread - s + i]; };
        double sum = 0;
        if constexpr (Centre == moment_centre::common)
            sum = about_mean<F, D>(s, model.means + k * 4, raw);
        else
            sum = raw(s);
        add_number(sums.limbs, sums.count, k * shape::statistics + s, sum, sums.component_exponent);
    } else if (s == group - 1 && k < row_scalars) {
        // lse is in units of ln 2 and less the reference: Σ w lse = ln 2 · sum + reference · Σ w.
        double sum = over_warps(from.scalars, k);
        if (k == scalar_log_likelihood)
            sum = sum * ln_2 + *model.reference * over_warps(from.scalars, scalar_weight);
        else if (k == scalar_entropy)
            sum = (sum + over_warps(from.scalars, scalar_log_likelihood)) * ln_2;
        add_number(sums.limbs, sums.count, sums.count - scalar_count + k, sum, sums.scalar_exponent);
    }
    __syncwarp(); // the raw sums have been read
}

/// The chunks of the rows that fall to this block.
template <family F, int D, int K, class Work>
__device__ void for_chunks(const device_rows<float>& rows, const Work& work) {
    constexpr std::int64_t chunk_rows = register_chunk_rows(register_shape<F, D, K>::shape);
    for (unsigned chunk = blockIdx.x; chunk * chunk_rows < rows.rows; chunk += gridDim.x)
        work(chunk);
}

/// E-step and statistics of chunks, in turn over the blocks of the grid.
template <family F, int D, int K, moment_centre Centre>
__device__ void add_chunks(const int components, const float* parameters, const device_model<float>& model,
                           const device_rows<float>& rows, const device_sums& sums,
                           block_partials<F, D, K> (&partials)[2]) {
    for_chunks<F, D, K>(rows, [&](unsigned chunk) {
        register_sums<F, D, K> total;
        add_chunk<F, D, K, Centre>(parameters, {rows, chunk}, total);
        block_partials<F, D, K>& sum = partials[chunk / gridDim.x % 2];
        store_partials(total, sum);
        __syncthreads(); // one a chunk: warps that go ahead store to the other partials
        add_partials<F, D, K, Centre>(sum, components, model, sums);
    });
}

struct no_more_threads {};

/// E-step and statistics of the rows that fall to this block. Threads beyond register_threads, where there are any,
/// have no rows: they call beside().
template <family F, int D, int K, class Beside>
__device__ void accumulate_block(const int components, const device_model<float>& model, const device_rows<float>& rows,
                                 const device_sums& sums, const Beside& beside) {
    __shared__ __align__(16) float parameters[K * register_shape<F, D, K>::parameters];
    __shared__ block_partials<F, D, K> partials[2];
    const whitened_centre<D> own = whiten_centre<F, D>(model, components);
    const moment_centre centre = choose_centre(own);
    stage_parameters<F, D, K>(model, components, centre, own, parameters);
    __syncthreads();
    if constexpr (!std::is_same_v<Beside, no_more_threads>)
        if (threadIdx.x >= register_threads) {
            beside();
            for_chunks<F, D, K>(rows, [](unsigned) { __syncthreads(); });
            return;
        }
    if (centre == moment_centre::common)
        add_chunks<F, D, K, moment_centre::common>(components, parameters, model, rows, sums, partials);
    else
        add_chunks<F, D, K, moment_centre::own>(components, parameters, model, rows, sums, partials);
}

// The E-step.
//   reads 4 N (D + [1]) bytes once, coalesced; adds 24 K·S bytes a chunk; no other traffic
//   integer atomics only: equal input, equal bits, for any grid
//   sm_90, d = 2, K = 8, full: 18.0 machine instructions a pair (24.5 about own means), 128 registers, 16 warps; 0.06
//   ms for 1e7 rows on an H200, from counts (docs/kernels.md section 6), not measured
template <family F, int D, int K>
__global__ void __launch_bounds__(register_threads, register_blocks(register_shape<F, D, K>::shape))
    accumulate_registers_kernel(const int components, const device_model<float> model, const device_rows<float> rows,
                                const device_sums sums) {
    accumulate_block<F, D, K>(components, model, rows, sums, no_more_threads());
}

// All iterations of a slice, of few rows: one block, with sums and arrays in shared memory. A warp without rows finds
// how an iteration ends beside the next E-step; that after the last iteration changes nothing.
template <family F, int D, int K>
__global__ void __launch_bounds__(iteration_threads, 1)
    iterate_registers_kernel(const update_arguments<float> given, const device_rows<float> rows) {
    extern __shared__ double shared[];
    __shared__ bool goes_on;
    const iteration_memory memory(shared, given.sums.count, given.shape);
    const update_arguments<float>& a = *memory.arguments;
    if (threadIdx.x == 0) {
        *memory.arguments = with_arrays_in(memory.arrays, given);
        memory.arguments->sums.limbs = memory.limbs;
        memory.arguments->sums.values = memory.values;
        goes_on = true;
    }
    for (std::int64_t i = threadIdx.x; i < limb_count * given.sums.count; i += iteration_threads)
        memory.limbs[i] = 0;
    std::int64_t actions = -1; // of the iteration before
    for (;;) {
        __syncthreads();
        bool on = false; // of the warp without rows
        accumulate_block<F, D, K>(static_cast<int>(a.shape.components), a.model, rows, a.sums, [&] {
            on = actions < 0 || end_alone(shared, actions);
            if (warp_team::rank() == 0)
                goes_on = on;
        });
        if (on) // the update replaces them
            for (std::int64_t k = 0; k < a.shape.components; ++k)
                keep_previous(warp_team(), a, k);
        __syncthreads(); // all is in the sums
        if (!goes_on)
            return;
        read_sums(memory.limbs, a.sums, memory.values);
        __syncthreads();
        actions = update_alone<F, D>(shared);
    }
}

/// Calls work with family, dimensions and room for the components as constants.
template <family F, int D, class Work>
void with_components(std::int64_t components, const Work& work) {
    if (components <= 2)
        return work.template operator()<F, D, 2>();
    if (components <= 4)
        return work.template operator()<F, D, 4>();
    return work.template operator()<F, D, 8>();
}

template <family F, class Work>
void with_dimensions(const gmm_shape& shape, const Work& work) {
    switch (shape.dimensions) {
    case 1:
        return with_components<F, 1>(shape.components, work);
    case 2:
        return with_components<F, 2>(shape.components, work);
    case 3:
        return with_components<F, 3>(shape.components, work);
    default:
        return with_components<F, 4>(shape.components, work);
    }
}

template <class Work>
void with_shape(const gmm_shape& shape, const Work& work) {
    switch (shape.family) {
    case family::full:
        return with_dimensions<family::full>(shape, work);
    case family::diagonal:
        return with_dimensions<family::diagonal>(shape, work);
    default:
        return with_dimensions<family::spherical>(shape, work);
    }
}

} // namespace

void accumulate_registers(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                          const device_rows<float>& rows, const device_sums& sums, std::int64_t blocks) {
    with_shape(shape, [&]<family F, int D, int K>() {
        const launch_shape grid{std::min(blocks, blocks_for(rows.rows, register_chunk_rows(shape))), register_threads};
        launch(state, "accumulate_registers", grid, accumulate_registers_kernel<F, D, K>,
               static_cast<int>(shape.components), model, rows, sums);
    });
}

void iterate_registers(const internal::cuda_state& state, const update_arguments<float>& a,
                       const device_rows<float>& rows) {
    const std::int64_t bytes = iteration_memory::bytes(a.sums.count, a.shape);
    with_shape(a.shape, [&]<family F, int D, int K>() {
        launch(state, "iterate_registers", {1, iteration_threads, bytes}, iterate_registers_kernel<F, D, K>, a, rows);
    });
}

} // namespace elbo::kernels::cuda
