// The register variant (docs/kernels.md section 6): small mixtures, float32. A thread takes whole rows and keeps the
// statistics of all components in registers; parameters are read from shared memory, the same word by all lanes.
//
// Parameters do not come from constant memory: it belongs to the module, and two contexts may fit at the same time.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/e_step/register_rows.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/m_step/own_families.cuh"
#include "kernels/cuda/gmm/m_step/parameter_set.hpp"

namespace elbo::kernels::cuda {

namespace {

/// One step of warp_transpose_sum: the lanes of a pair at `Distance` share the Held values between them, the lower lane
/// takes the first half. A template for each step, so that every index is known and the values stay in registers.
template <int Held, int Distance, int V>
__device__ void transpose_step(float (&value)[V], int& first, int& count) {
    constexpr int half = (Held + 1) / 2;
    const bool upper = (threadIdx.x & Distance) != 0;
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
        transpose_step<half, Distance / 2>(value, first, count);
}

/// Sums of each value over the lanes of a warp, in a tree: V exchanges in all, where a butterfly of each value takes 5
/// V. With the chain of a thread's rows a number passes through at most register_rows + 5 float32 additions. The sum of
/// value v goes to out[v].
template <int V>
__device__ void warp_transpose_sum(float (&value)[V], float* out) {
    int first = 0; // this lane ends up with the values first ... first + count - 1
    int count = V;
    transpose_step<V, 16>(value, first, count);
#pragma unroll
    for (int i = 0; i < (V + 31) / 32; ++i)
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

/// Which centre serves these parameters: the same in every block, whatever the data.
template <family F, int D>
__device__ moment_centre choose_centre(const device_model<float>& model, int components) {
    const int k = static_cast<int>(threadIdx.x);
    double squares = 0;
    for (int j = 0; j < D && k < components && !::isinf(model.offsets[k]); ++j) {
        const double y = whitened_mean<F>(model, k, j);
        squares += y * y;
    }
    return block_all(squares <= common_centre_limit * common_centre_limit) ? moment_centre::common : moment_centre::own;
}

/// Parameters of all components into shared memory. Factors are multiplied by √(½ log2 e), so that ½‖Uᵀz‖² comes in
/// units of ln 2; they are rounded after that and the offset takes the rounding up: the density stays normalised.
/// Components that are dropped or only fill up to K get an energy so high that their responsibility is zero, but
/// finite, so that 0 · (lp − m) is zero.
template <family F, int D, int K>
__device__ void stage_parameters(const device_model<float>& model, int components, moment_centre centre, float* out) {
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
    for (int j = 0; j < D; ++j)
        c[j] = centre == moment_centre::own ? model.means[k * 4 + j]
                                            : static_cast<float>(-unit * whitened_mean<F>(model, k, j));
    const double offset = (model.constants[k] - *model.reference + growth) * log2_e;
    c[D + shape::factors] = static_cast<float>(::fmin(-offset, nowhere));
}

/// Sums over this thread's rows of the chunk that begins at `begin`. A chunk that is Alone ends with its rows; with
/// other chunks it goes on over zeros, where a test would cost the registers that the sums need.
template <family F, int D, int K, moment_centre Centre, bool Alone>
__device__ void add_chunk(const float* parameters, const device_rows<float>& rows, std::int64_t begin,
                          register_sums<F, D, K>& total) {
    constexpr int together = register_shape<F, D, K>::rows_at_once;
    const std::int64_t first = begin + threadIdx.x;
    register_row<D> row[together], next[together];
#pragma unroll
    for (int r = 0; r < together; ++r)
        next[r] = load_row<D>(rows, first + r * register_threads, rows.rows);
#pragma unroll 1
    for (int i = 0; i < register_rows && (!Alone || i * register_threads < rows.rows); i += together) {
#pragma unroll
        for (int r = 0; r < together; ++r) {
            row[r] = next[r];
            const bool more = i + together < register_rows;
            if (more)
                next[r] = load_row<D>(rows, first + (i + together + r) * std::int64_t(register_threads), rows.rows);
        }
        add_rows<F, D, K, Centre, together>(parameters, row, total);
    }
}

/// E-step and statistics of chunks of register_chunk_rows rows, in turn over the blocks of the grid.
template <family F, int D, int K, bool Alone>
__device__ void add_chunks(const int components, const device_model<float>& model, const device_rows<float>& rows,
                           const device_sums& sums) {
    using shape = register_shape<F, D, K>;
    constexpr int warps = register_threads / 32;
    __shared__ __align__(16) float parameters[K * shape::parameters];
    __shared__ float partial[warps][shape::values];
    __shared__ double scratch[32];
    const moment_centre centre = choose_centre<F, D>(model, components);
    stage_parameters<F, D, K>(model, components, centre, parameters);
    __syncthreads();
    for (std::int64_t begin = blockIdx.x * std::int64_t(register_chunk_rows); begin < rows.rows;
         begin += gridDim.x * std::int64_t(register_chunk_rows)) {
        register_sums<F, D, K> total;
        if (centre == moment_centre::common)
            add_chunk<F, D, K, moment_centre::common, Alone>(parameters, rows, begin, total);
        else
            add_chunk<F, D, K, moment_centre::own, Alone>(parameters, rows, begin, total);
        warp_transpose_sum(total.value, partial[threadIdx.x / 32]);
        __syncthreads();
        for (int v = static_cast<int>(threadIdx.x); v < components * shape::statistics; v += register_threads) {
            const int k = v / shape::statistics, s = v - k * shape::statistics;
            const auto over_warps = [&](int i) {
                double sum = 0;
                for (int w = 0; w < warps; ++w)
                    sum += static_cast<double>(partial[w][k * shape::statistics + i]);
                return sum;
            };
            add_fixed(sums.limbs, sums.count, v,
                      centre == moment_centre::common ? about_mean<F, D>(s, model.means + k * 4, over_warps)
                                                      : over_warps(s),
                      sums.component_exponent);
        }
        // lse is in units of ln 2 and less the reference: Σ w lse = ln 2 · sum + reference · Σ w.
        const double weight = block_sum(total.scalars[scalar_weight], scratch);
        const double scalars[scalar_count] = {block_sum(total.scalars[scalar_log_likelihood], scratch) * ln_2 +
                                                  *model.reference * weight,
                                              block_sum(total.scalars[scalar_entropy], scratch) * ln_2, weight};
        if (threadIdx.x == 0)
            for (int i = 0; i < scalar_count; ++i)
                add_fixed(sums.limbs, sums.count, sums.count - scalar_count + i, scalars[i], sums.scalar_exponent);
        __syncthreads(); // the partial sums have been read
    }
}

// The E-step.
//   reads 4 N (D + [1]) bytes once, coalesced; adds 24 K·S bytes a chunk; no other traffic
//   integer atomics only: equal input, equal bits, for any grid
template <family F, int D, int K>
__global__ void __launch_bounds__(register_threads, register_shape<F, D, K>::blocks)
    accumulate_registers_kernel(const int components, const device_model<float> model, const device_rows<float> rows,
                                const device_sums sums) {
    add_chunks<F, D, K, false>(components, model, rows, sums);
}

/// The update by this block alone; whether the loop goes on. Not inlined: it is the same for all kernels.
__device__ __noinline__ bool update_alone(const update_arguments<float>& a, double* matrices) {
    __shared__ bool goes_on;
    const warp_team team;
    double* own = matrices + team.index() * matrix_doubles(a.shape);
    for (std::int64_t k = team.index(); k < a.shape.components; k += team.count())
        finish_component(team, a, k, own);
    __syncthreads();
    if (team.index() == 0) {
        const bool on = finish_update(team, a, own);
        if (team.rank() == 0)
            goes_on = on;
    }
    __syncthreads();
    return goes_on;
}

// All iterations of a slice, where one chunk has all rows: one block, with sums and arrays in shared memory.
template <family F, int D, int K>
__global__ void __launch_bounds__(register_threads)
    iterate_registers_kernel(const update_arguments<float> given, const device_rows<float> rows) {
    extern __shared__ double shared[];
    __shared__ update_arguments<float> a;
    double* matrices = shared + limb_count * given.sums.count;
    if (threadIdx.x == 0) {
        a = with_arrays_in(
            reinterpret_cast<unsigned char*>(matrices + warp_team::count() * matrix_doubles(given.shape)), given);
        a.sums.limbs = reinterpret_cast<std::int64_t*>(shared);
    }
    for (std::int64_t i = threadIdx.x; i < limb_count * given.sums.count; i += register_threads)
        reinterpret_cast<std::int64_t*>(shared)[i] = 0;
    do {
        __syncthreads();
        add_chunks<F, D, K, true>(static_cast<int>(a.shape.components), a.model, rows, a.sums);
    } while (update_alone(a, matrices));
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
        const launch_shape grid{std::min(blocks, blocks_for(rows.rows, register_chunk_rows)), register_threads};
        launch(state, "accumulate_registers", grid, accumulate_registers_kernel<F, D, K>,
               static_cast<int>(shape.components), model, rows, sums);
    });
}

void iterate_registers(const internal::cuda_state& state, const update_arguments<float>& a,
                       const device_rows<float>& rows) {
    constexpr std::int64_t teams = register_threads / 32;
    const std::int64_t bytes =
        8 * (limb_count * a.sums.count + teams * matrix_doubles(a.shape)) + update_memory::bytes(a.shape);
    with_shape(a.shape, [&]<family F, int D, int K>() {
        launch(state, "iterate_registers", {1, register_threads, bytes}, iterate_registers_kernel<F, D, K>, a, rows);
    });
}

} // namespace elbo::kernels::cuda
