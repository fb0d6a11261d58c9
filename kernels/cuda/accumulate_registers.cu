// The register engine (kernels.md A5): small mixtures, float32. A thread takes whole rows and keeps the statistics of
// all components in registers; parameters are read from shared memory, the same word by all lanes.
//
// Parameters do not come from constant memory: it belongs to the module, and two contexts may fit at the same time.
#include "kernels/cuda/accumulate.hpp"
#include "kernels/cuda/device_model.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sums.cuh"

namespace elbo::kernels::cuda {

namespace {

using gmm::family;

/// Numbers of a shape that are known when it is compiled.
template <family F, int D, int K>
struct register_shape {
    static constexpr int factors = F == family::full ? D * (D + 1) / 2 : F == family::diagonal ? D : 1;
    static constexpr int parameters = (D + factors + 1 + 3) / 4 * 4; ///< of a component, in quads
    static constexpr int statistics = static_cast<int>(statistics_size(F, D));
    static constexpr int values = K * statistics;
    /// Rows that a thread works on at a time: two where registers allow, so that each parameter read serves both.
    static constexpr int rows_at_once = values <= 60 ? 2 : 1;
};

/// What a thread sums over its rows of a chunk: statistics in chains of at most register_rows numbers; the scalars in
/// float64, since a chain of log-densities in float32 would cost 1e-6 nats a sample.
template <family F, int D, int K>
struct register_sums {
    float value[register_shape<F, D, K>::values] = {};
    double scalars[scalar_count] = {};
};

template <int D>
struct register_row {
    float x[D];
    float weight;
};

template <int D>
__device__ register_row<D> load_row(const device_rows<float>& rows, std::int64_t row, std::int64_t end) {
    register_row<D> r{};
    if (row >= end)
        return r; // weight zero: the row does not count
    const float* x = rows.x + row * D;
    if constexpr (D == 4) {
        const float4 v = __ldg(reinterpret_cast<const float4*>(x));
        r.x[0] = v.x, r.x[1] = v.y, r.x[2] = v.z, r.x[3] = v.w;
    } else if constexpr (D == 2) {
        const float2 v = __ldg(reinterpret_cast<const float2*>(x));
        r.x[0] = v.x, r.x[1] = v.y;
    } else {
        for (int j = 0; j < D; ++j)
            r.x[j] = __ldg(x + j);
    }
    r.weight = rows.weights ? __ldg(rows.weights + row) : 1.0f;
    if (r.weight == 0) // skipped, not multiplied: x may overflow
#pragma unroll
        for (int j = 0; j < D; ++j)
            r.x[j] = 0;
    return r;
}

/// Parameters of a component from shared memory, four at a time: means, factors by columns, offset.
template <family F, int D, int K>
struct component {
    using shape = register_shape<F, D, K>;
    float value[shape::parameters];
    __device__ explicit component(const float* from) {
#pragma unroll
        for (int i = 0; i < shape::parameters; i += 4) {
            const quad<float> q = load_quad(from + i);
            for (int a = 0; a < 4; ++a)
                value[i + a] = q.v[a];
        }
    }
    __device__ float mean(int j) const {
        return value[j];
    }
    __device__ float factor(int i) const {
        return value[D + i];
    }
    __device__ float offset() const {
        return value[D + shape::factors];
    }

    /// lp of x in units of ln 2. The factors stay as they are: rounding √(½ log2 e)·U would be a bias of 2^-24 q in
    /// every row, which c_k, computed from U, would not share.
    __device__ float log_density(const float (&x)[D]) const {
        float q = 0;
        if constexpr (F == family::spherical) {
#pragma unroll
            for (int j = 0; j < D; ++j)
                q += (x[j] - mean(j)) * (x[j] - mean(j));
            q = q * factor(0) * factor(0); // not q (u u): the rounding of u u would be a bias as well
        } else {
            int at = 0;
#pragma unroll
            for (int j = 0; j < D; ++j) {
                float y = 0;
                if constexpr (F == family::full) {
#pragma unroll
                    for (int t = 0; t <= j; ++t)
                        y += factor(at++) * (x[t] - mean(t));
                } else {
                    y = factor(j) * (x[j] - mean(j));
                }
                q += y * y;
            }
        }
        return offset() - static_cast<float>(0.5 * log2_e) * q;
    }

    /// Adds g · [1, z, second moments of z], z = x − μ_k.
    __device__ void add(float g, const float (&x)[D], float* sums) const {
        sums[0] += g;
        int at = 1 + D;
        float squares = 0;
#pragma unroll
        for (int i = 0; i < D; ++i) {
            const float z = x[i] - mean(i);
            const float gz = g * z;
            sums[1 + i] += gz;
            if constexpr (F == family::full) {
#pragma unroll
                for (int j = i; j < D; ++j)
                    sums[at++] += gz * (x[j] - mean(j));
            } else if constexpr (F == family::diagonal) {
                sums[1 + D + i] += gz * z;
            } else {
                squares += z * z;
            }
        }
        if constexpr (F == family::spherical)
            sums[1 + D] += g * squares;
    }
};

/// E-step, row rule and statistics of some rows of one thread. ex2: one a component; lg2 and rcp: one a row.
template <family F, int D, int K, int Rows>
__device__ void add_rows(const float* parameters, const register_row<D> (&row)[Rows], register_sums<F, D, K>& sums) {
    using shape = register_shape<F, D, K>;
    float e[Rows][K];
#pragma unroll
    for (int k = 0; k < K; ++k) {
        const component<F, D, K> c(parameters + k * shape::parameters);
#pragma unroll
        for (int r = 0; r < Rows; ++r)
            e[r][k] = c.log_density(row[r].x);
    }
    float scale[Rows];
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
        float largest = e[r][0];
#pragma unroll
        for (int k = 1; k < K; ++k)
            largest = fmaxf(largest, e[r][k]);
        float sum = 0, spread = 0;
#pragma unroll
        for (int k = 0; k < K; ++k) {
            const float below = e[r][k] - largest;
            e[r][k] = exp2_of(below);
            sum += e[r][k];
            spread -= e[r][k] * below;
        }
        const float log_sum = log2_of(sum);
        const float inverse = reciprocal(sum);
        const float w = row[r].weight;
        sums.scalars[scalar_log_likelihood] += static_cast<double>(w * (largest + log_sum));
        sums.scalars[scalar_entropy] += static_cast<double>(w * (log_sum + spread * inverse));
        sums.scalars[scalar_weight] += static_cast<double>(w);
        scale[r] = w * inverse;
    }
#pragma unroll
    for (int k = 0; k < K; ++k) {
        const component<F, D, K> c(parameters + k * shape::parameters);
#pragma unroll
        for (int r = 0; r < Rows; ++r)
            c.add(e[r][k] * scale[r], row[r].x, sums.value + k * shape::statistics);
    }
}

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

/// Parameters of all components into shared memory; those that are dropped or only fill up to K get an offset so low
/// that their responsibility is zero, but finite, so that 0 · (lp − m) is zero.
template <family F, int D, int K>
__device__ void stage_parameters(const device_model<float>& model, int components, float* out) {
    using shape = register_shape<F, D, K>;
    constexpr int p = 4; // padded(D)
    for (int k = static_cast<int>(threadIdx.x); k < K; k += register_threads) {
        float* c = out + k * shape::parameters;
        for (int i = 0; i < shape::parameters; ++i)
            c[i] = 0;
        c[D + shape::factors] = -1e30f;
        if (k >= components)
            continue;
        for (int j = 0; j < D; ++j)
            c[j] = model.means[k * p + j];
        int at = D;
        if constexpr (F == family::full) {
            for (int j = 0; j < D; ++j)
                for (int t = 0; t <= j; ++t)
                    c[at++] = model.factors[(k * p + t) * p + j];
        } else if constexpr (F == family::diagonal) {
            for (int j = 0; j < D; ++j)
                c[at++] = model.factors[k * p + j];
        } else {
            c[at] = model.factors[k * p];
        }
        c[D + shape::factors] = fmaxf(model.offsets[k], -1e30f);
    }
}

// E-step and statistics of chunks of register_chunk_rows rows.
//   reads 4 N (D + [1]) bytes once, coalesced; adds 24 K·S bytes a chunk; no other traffic
//   integer atomics only: equal input, equal bits, for any grid
template <family F, int D, int K>
__global__ void __launch_bounds__(register_threads)
    accumulate_registers_kernel(const int components, const device_model<float> model, const device_rows<float> rows,
                                const device_sums sums) {
    using shape = register_shape<F, D, K>;
    constexpr int warps = register_threads / 32;
    constexpr int together = shape::rows_at_once;
    __shared__ __align__(16) float parameters[K * shape::parameters];
    __shared__ float partial[warps][shape::values];
    __shared__ double scratch[32];
    stage_parameters<F, D, K>(model, components, parameters);
    __syncthreads();
    for (std::int64_t begin = blockIdx.x * std::int64_t(register_chunk_rows); begin < rows.rows;
         begin += gridDim.x * std::int64_t(register_chunk_rows)) {
        register_sums<F, D, K> total;
        const std::int64_t first = begin + threadIdx.x;
        register_row<D> row[together], next[together];
#pragma unroll
        for (int r = 0; r < together; ++r)
            next[r] = load_row<D>(rows, first + r * register_threads, rows.rows);
#pragma unroll 1
        for (int i = 0; i < register_rows; i += together) {
#pragma unroll
            for (int r = 0; r < together; ++r) {
                row[r] = next[r];
                const bool more = i + together < register_rows;
                if (more)
                    next[r] = load_row<D>(rows, first + (i + together + r) * std::int64_t(register_threads), rows.rows);
            }
            add_rows<F, D, K, together>(parameters, row, total);
        }
        warp_transpose_sum(total.value, partial[threadIdx.x / 32]);
        __syncthreads();
        const auto over_warps = [&](int v) {
            double sum = 0;
            for (int w = 0; w < warps; ++w)
                sum += static_cast<double>(partial[w][v]);
            return sum;
        };
        for (int v = static_cast<int>(threadIdx.x); v < components * shape::statistics; v += register_threads)
            add_fixed(sums.limbs, sums.count, v, over_warps(v), sums.component_exponent);
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

template <family F, int D, int K>
void start(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
           const device_rows<float>& rows, const device_sums& sums, std::int64_t blocks) {
    const launch_shape grid{std::min(blocks, blocks_for(rows.rows, register_chunk_rows)), register_threads};
    launch(state, "accumulate_registers", grid, accumulate_registers_kernel<F, D, K>,
           static_cast<int>(shape.components), model, rows, sums);
}

template <family F, int D, class... A>
void choose_components(const internal::cuda_state& state, const gmm_shape& shape, const A&... a) {
    if (shape.components <= 2)
        return start<F, D, 2>(state, shape, a...);
    if (shape.components <= 4)
        return start<F, D, 4>(state, shape, a...);
    return start<F, D, 8>(state, shape, a...);
}

template <family F, class... A>
void choose_dimensions(const internal::cuda_state& state, const gmm_shape& shape, const A&... a) {
    switch (shape.dimensions) {
    case 1:
        return choose_components<F, 1>(state, shape, a...);
    case 2:
        return choose_components<F, 2>(state, shape, a...);
    case 3:
        return choose_components<F, 3>(state, shape, a...);
    default:
        return choose_components<F, 4>(state, shape, a...);
    }
}

} // namespace

void accumulate_registers(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                          const device_rows<float>& rows, const device_sums& sums, std::int64_t blocks) {
    switch (shape.family) {
    case family::full:
        return choose_dimensions<family::full>(state, shape, model, rows, sums, blocks);
    case family::diagonal:
        return choose_dimensions<family::diagonal>(state, shape, model, rows, sums, blocks);
    default:
        return choose_dimensions<family::spherical>(state, shape, model, rows, sums, blocks);
    }
}

} // namespace elbo::kernels::cuda
