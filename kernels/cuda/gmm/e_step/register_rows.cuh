// What one thread of the register variant does with its rows: loads them, computes responsibilities, and adds up
// statistics that never leave its registers.
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/tuning.hpp"

namespace elbo::kernels::cuda {

using gmm::family;

/// Numbers of a shape that are known when it is compiled.
template <family F, int D, int K>
struct register_shape {
    static constexpr gmm_shape shape{F, D, K};
    static constexpr int factors = F == family::full ? D * (D + 1) / 2 : F == family::diagonal ? D : 1;
    static constexpr int parameters = (D + factors + 1 + 3) / 4 * 4; ///< of a component, in quads
    static constexpr int statistics = static_cast<int>(statistics_size(F, D));
    static constexpr int lanes = register_lanes(shape);
    static constexpr int span = K / lanes; ///< components of a thread
    static constexpr int values = span * statistics;
};

/// Scalars that a row has without labels: Σ w lse, Σ w H, Σ w.
inline constexpr int row_scalars = scalar_weight + 1;

/// What a thread sums over its rows of a chunk: statistics in chains of at most register_rows numbers; log-densities in
/// float64, since a chain of them in float32 would cost 1e-6 nats a sample.
template <family F, int D, int K>
struct register_sums {
    float value[register_shape<F, D, K>::values] = {};
    float weight = 0;
    double log_density = 0; ///< Σ w log2 Σ exp(lp)
    double mixture = 0;     ///< Σ w r · energy, which makes Σ w H of the former
};

/// The number of this thread, read anew each time: nothing that follows from it takes a register over a loop.
__device__ inline int this_thread() {
    int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
}

/// Of the `Lanes` threads that share a row, half a warp apart: which one this is, and the sum over them.
template <int Lanes>
__device__ int part_of_row() {
    return Lanes == 1 ? 0 : this_thread() % 32 / (32 / Lanes);
}
template <int Lanes>
__device__ float over_lanes(float value) {
    static_assert(Lanes <= 2);
    return Lanes == 1 ? value : value + __shfl_xor_sync(0xffffffffu, value, 16);
}

template <int D>
__device__ void load_row(const float* from, float (&x)[D]) {
    if constexpr (D == 4) {
        const float4 v = __ldg(reinterpret_cast<const float4*>(from));
        x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
    } else if constexpr (D == 2) {
        const float2 v = __ldg(reinterpret_cast<const float2*>(from));
        x[0] = v.x, x[1] = v.y;
    } else {
#pragma unroll
        for (int j = 0; j < D; ++j)
            x[j] = __ldg(from + j);
    }
}

/// A chunk of rows, of which a thread has every step-th one.
template <int D, int Lanes>
struct row_reader {
    static constexpr int step = register_threads / Lanes;
    static constexpr std::int64_t most = step * register_rows;
    const device_rows<float>& all;
    unsigned chunk;
    int rows;       ///< of the chunk
    const float* x; ///< first row of this thread

    __device__ row_reader(const device_rows<float>& from, unsigned number)
        : all(from), chunk(number), rows(static_cast<int>(min(from.rows - number * most, most))),
          x(from.x + (number * most + own()) * D) {}

    /// Where in a step the row of this thread is.
    static __device__ int own() {
        constexpr int width = 32 / Lanes;
        const int thread = this_thread();
        return thread / 32 * width + thread % width;
    }

    /// This thread's rows of the steps that begin with row `at` of the chunk, and their weights. The numbers of rows of
    /// weight zero become zero: such rows are skipped, not multiplied, since x may overflow. Behind the last row of the
    /// chunk it is read again, with weight zero.
    template <int Rows>
    __device__ void load(int at, float (&to)[Rows][D], float (&weight)[Rows]) const {
        const float* from = x + at * D;
        const bool whole = at + Rows * step <= rows;
        if (whole) {
#pragma unroll
            for (int r = 0; r < Rows; ++r)
                load_row<D>(from + r * step * D, to[r]);
            // The next ones come to L2 meanwhile: registers for them would push out the sums.
            if (at + 2 * Rows * step <= rows)
#pragma unroll
                for (int r = 0; r < Rows; ++r)
                    asm volatile("prefetch.global.L2 [%0];" ::"l"(from + (Rows + r) * step * D));
        } else {
#pragma unroll
            for (int r = 0; r < Rows; ++r)
                load_row<D>(from + min(r * step, rows - 1 - own() - at) * D, to[r]);
        }
#pragma unroll
        for (int r = 0; r < Rows; ++r)
            weight[r] = 1;
        if (all.weights || !whole)
            weigh(at, to, weight);
    }

private:
    template <int Rows>
    __device__ void weigh(int at, float (&row)[Rows][D], float (&weight)[Rows]) const {
#pragma unroll
        for (int r = 0; r < Rows; ++r) {
            const int n = own() + at + r * step;
            if (all.weights)
                weight[r] = __ldg(all.weights + chunk * most + min(n, rows - 1));
#pragma unroll
            for (int j = 0; j < D; ++j)
                row[r][j] = weight[r] == 0 ? 0 : row[r][j];
            if (n >= rows)
                weight[r] = 0;
        }
    }
};

/// What responsibilities are computed from and moments are taken about.
enum class moment_centre {
    common, ///< the origin for all components: Uᵀx + b, and features of a row that serve every component
    own     ///< the mean of each component: digits are kept however far it lies from the origin
};

/// Four numbers from shared memory, read anew each time: kept over a loop they would push out the sums.
__device__ inline void read_quad(const float* from, float* to) {
    asm volatile("ld.volatile.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(to[0]), "=f"(to[1]), "=f"(to[2]), "=f"(to[3])
                 : "r"(static_cast<unsigned>(__cvta_generic_to_shared(from))));
}

/// Parameters of a component, or the first `count` of them: b or the mean, factors by columns, offset.
template <family F, int D, int K, moment_centre Centre>
struct component {
    using shape = register_shape<F, D, K>;
    float value[shape::parameters];
    __device__ explicit component(const float* from, int count = shape::parameters) {
#pragma unroll
        for (int i = 0; i < shape::parameters; i += 4)
            if (i < count)
                read_quad(from + i, value + i);
    }
    __device__ float mean(int j) const {
        return value[j];
    }
    __device__ float shift(int j) const {
        return value[j];
    }
    __device__ float factor(int i) const {
        return value[D + i];
    }
    __device__ float offset() const {
        return value[D + shape::factors];
    }

    /// −lp of x in units of ln 2.
    __device__ float energy(const float (&x)[D]) const {
        float sum = offset();
        int at = 0;
#pragma unroll
        for (int j = 0; j < D; ++j) {
            float y = 0;
            if constexpr (Centre == moment_centre::common)
                y = shift(j);
            if constexpr (F == family::full) {
#pragma unroll
                for (int t = 0; t <= j; ++t)
                    y += factor(at++) * centred(x, t);
            } else {
                y += factor(F == family::diagonal ? j : 0) * centred(x, j);
            }
            sum += y * y;
        }
        return sum;
    }

    /// Adds g · [1, z, second moments of z], z = x − μ_k.
    __device__ void add(float g, const float (&x)[D], float* sums) const {
        static_assert(Centre == moment_centre::own);
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

private:
    __device__ float centred(const float (&x)[D], int j) const {
        return Centre == moment_centre::common ? x[j] : x[j] - mean(j);
    }
};

/// scale · [1, x, second moments of x]: what a row adds to each component, but for the factor exp(lp − m).
template <family F, int D>
struct row_features {
    static constexpr int count = static_cast<int>(statistics_size(F, D));
    float value[count];
    __device__ row_features(float scale, const float (&x)[D]) {
        value[0] = scale;
        int at = 1 + D;
        float squares = 0;
#pragma unroll
        for (int i = 0; i < D; ++i) {
            const float scaled = scale * x[i];
            value[1 + i] = scaled;
            if constexpr (F == family::full) {
#pragma unroll
                for (int j = i; j < D; ++j)
                    value[at++] = scaled * x[j];
            } else if constexpr (F == family::diagonal) {
                value[at++] = scaled * x[i];
            } else {
                squares += scaled * x[i];
            }
        }
        if constexpr (F == family::spherical)
            value[at] = squares;
    }
    __device__ void add(float e, float* sums) const {
#pragma unroll
        for (int v = 0; v < count; ++v)
            sums[v] += e * value[v];
    }
};

/// Number s of a component's statistics about its mean, from raw(s) about the origin.
template <family F, int D, class Raw>
__device__ double about_mean(int s, const float* mean, const Raw& raw) {
    if (s == 0)
        return raw(0);
    const auto shifted = [&](int second, int i, int j) {
        const double a = static_cast<double>(mean[i]), b = static_cast<double>(mean[j]);
        return raw(second) - raw(1 + i) * b - a * raw(1 + j) + raw(0) * a * b;
    };
    if (s <= D)
        return raw(s) - raw(0) * static_cast<double>(mean[s - 1]);
    if constexpr (F == family::diagonal) {
        return shifted(s, s - 1 - D, s - 1 - D);
    } else if constexpr (F == family::full) {
        int i = 0, j = s - 1 - D;
        for (; j >= D - i; ++i)
            j -= D - i;
        return shifted(s, i, i + j);
    } else {
        double sum = raw(s);
        for (int j = 0; j < D; ++j) {
            const double m = static_cast<double>(mean[j]);
            sum += m * (raw(0) * m - 2 * raw(1 + j));
        }
        return sum;
    }
}

/// A row whose Σ exp(lp) is below that is faint: it takes its densities relative to the largest. In all others, exp(lp)
/// itself serves: what underflows is below 2^-86 of the sum, and the reciprocal is far from overflow. A component's
/// energy is not negative but for rounding (`model.reference`), so no sum is too large.
inline constexpr float faint = 0x1p-40f;

/// exp(lp) of faint rows, less the largest, their sums and Σ exp · energy. Returns Σ w · smallest energy.
template <family F, int D, int K, moment_centre Centre, int Rows, int Span>
__device__ float share_faint(const float* parameters, const float (&x)[Rows][D], const float (&weight)[Rows],
                             float (&e)[Rows][Span], float (&sum)[Rows], float (&mixture)[Rows]) {
    using shape = register_shape<F, D, K>;
#pragma unroll
    for (int k = 0; k < Span; ++k) {
        const component<F, D, K, Centre> c(parameters + k * shape::parameters);
#pragma unroll
        for (int r = 0; r < Rows; ++r)
            e[r][k] = c.energy(x[r]);
    }
    float under = 0;
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
        float smallest = e[r][0];
#pragma unroll
        for (int k = 1; k < Span; ++k)
            smallest = fminf(smallest, e[r][k]);
        if constexpr (shape::lanes > 1)
            smallest = fminf(smallest, __shfl_xor_sync(0xffffffffu, smallest, 16));
        sum[r] = mixture[r] = 0;
#pragma unroll
        for (int k = 0; k < Span; ++k) {
            const float above = e[r][k] - smallest;
            e[r][k] = exp2_of(-above);
            sum[r] += e[r][k];
            mixture[r] += e[r][k] * above;
        }
        sum[r] = over_lanes<shape::lanes>(sum[r]);
        under += weight[r] * smallest;
    }
    return under;
}

/// exp(lp) of some rows of a thread, w / Σ exp(lp) of each, and what they add to the scalars: in units of ln 2 Σ w lse
/// is Σ w log2 Σ exp(lp), and Σ w H that and Σ w r · energy. ex2: one a component; lg2 and rcp: one a row.
template <family F, int D, int K, moment_centre Centre, int Rows, int Span>
__device__ void share_rows(const float* parameters, const float (&x)[Rows][D], const float (&weight)[Rows],
                           float (&e)[Rows][Span], float (&scale)[Rows], register_sums<F, D, K>& sums) {
    using shape = register_shape<F, D, K>;
    float sum[Rows], mixture[Rows];
#pragma unroll
    for (int k = 0; k < Span; ++k) {
        const component<F, D, K, Centre> c(parameters + k * shape::parameters);
#pragma unroll
        for (int r = 0; r < Rows; ++r) {
            const float energy = c.energy(x[r]);
            e[r][k] = exp2_of(-energy);
            sum[r] = k == 0 ? e[r][k] : sum[r] + e[r][k];
            mixture[r] = k == 0 ? e[r][k] * energy : mixture[r] + e[r][k] * energy;
        }
    }
    bool some_faint = false;
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
        sum[r] = over_lanes<shape::lanes>(sum[r]);
        some_faint |= sum[r] < faint;
    }
    if (__any_sync(0xffffffffu, some_faint)) {
        const float under = share_faint<F, D, K, Centre>(parameters, x, weight, e, sum, mixture);
        sums.log_density -= static_cast<double>(under);
        if (part_of_row<shape::lanes>() == 0)
            sums.mixture += static_cast<double>(under);
    }
    // Four numbers at most are added in float32: less than the rounding of the energies.
    static_assert(Rows <= 4);
    float log_density = 0, mixed = 0;
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
        scale[r] = weight[r] * reciprocal(sum[r]);
        log_density += weight[r] * log2_of(sum[r]);
        mixed += scale[r] * mixture[r];
        sums.weight += weight[r];
    }
    sums.log_density += static_cast<double>(log_density);
    sums.mixture += static_cast<double>(mixed);
}

/// Statistics of some rows of a thread.
template <family F, int D, int K, moment_centre Centre, int Rows, int Span>
__device__ void add_rows(const float* parameters, const float (&x)[Rows][D], const float (&e)[Rows][Span],
                         const float (&scale)[Rows], register_sums<F, D, K>& sums) {
    using shape = register_shape<F, D, K>;
    if constexpr (Centre == moment_centre::common) {
#pragma unroll
        for (int r = 0; r < Rows; ++r) {
            const row_features<F, D> features(scale[r], x[r]);
#pragma unroll
            for (int k = 0; k < Span; ++k)
                features.add(e[r][k], sums.value + k * shape::statistics);
        }
    } else {
#pragma unroll
        for (int k = 0; k < Span; ++k) {
            const component<F, D, K, Centre> c(parameters + k * shape::parameters, D); // the mean alone
#pragma unroll
            for (int r = 0; r < Rows; ++r)
                c.add(e[r][k] * scale[r], x[r], sums.value + k * shape::statistics);
        }
    }
}

} // namespace elbo::kernels::cuda
