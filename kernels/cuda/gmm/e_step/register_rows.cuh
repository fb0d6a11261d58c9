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
    static constexpr int factors = F == family::full ? D * (D + 1) / 2 : F == family::diagonal ? D : 1;
    static constexpr int parameters = (D + factors + 1 + 3) / 4 * 4; ///< of a component, in quads
    static constexpr int statistics = static_cast<int>(statistics_size(F, D));
    static constexpr int values = K * statistics;
    /// Rows that a thread works on at a time: two where registers allow, so that each parameter read serves both.
    static constexpr int rows_at_once = values <= 60 ? 2 : 1;
    /// Blocks of a multiprocessor: 128 or 255 registers a thread.
    static constexpr int blocks = values <= 60 && D < 3 ? 4 : 2;
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

/// What responsibilities are computed from and moments are taken about.
enum class moment_centre {
    common, ///< the origin for all components: Uᵀx + b, and features of a row that serve every component
    own     ///< the mean of each component: digits are kept however far it lies from the origin
};

/// Parameters of a component from shared memory, four at a time: b or the mean, factors by columns, offset.
template <family F, int D, int K, moment_centre Centre>
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

/// E-step, row rule and statistics of some rows of one thread. ex2: one a component; lg2 and rcp: one a row.
template <family F, int D, int K, moment_centre Centre, int Rows>
__device__ void add_rows(const float* parameters, const register_row<D> (&row)[Rows], register_sums<F, D, K>& sums) {
    using shape = register_shape<F, D, K>;
    float e[Rows][K];
#pragma unroll
    for (int k = 0; k < K; ++k) {
        const component<F, D, K, Centre> c(parameters + k * shape::parameters);
#pragma unroll
        for (int r = 0; r < Rows; ++r)
            e[r][k] = c.energy(row[r].x);
    }
    float scale[Rows];
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
        float smallest = e[r][0];
#pragma unroll
        for (int k = 1; k < K; ++k)
            smallest = fminf(smallest, e[r][k]);
        float sum = 0, spread = 0;
#pragma unroll
        for (int k = 0; k < K; ++k) {
            const float below = smallest - e[r][k];
            e[r][k] = exp2_of(below);
            sum += e[r][k];
            spread += e[r][k] * below;
        }
        const float log_sum = log2_of(sum);
        const float inverse = reciprocal(sum);
        const double w = static_cast<double>(row[r].weight);
        sums.scalars[scalar_log_likelihood] += w * static_cast<double>(log_sum - smallest);
        sums.scalars[scalar_entropy] += w * static_cast<double>(log_sum - spread * inverse);
        sums.scalars[scalar_weight] += w;
        scale[r] = row[r].weight * inverse;
    }
    if constexpr (Centre == moment_centre::common) {
#pragma unroll
        for (int r = 0; r < Rows; ++r) {
            const row_features<F, D> features(scale[r], row[r].x);
#pragma unroll
            for (int k = 0; k < K; ++k)
                features.add(e[r][k], sums.value + k * shape::statistics);
        }
    } else {
#pragma unroll
        for (int k = 0; k < K; ++k) {
            const component<F, D, K, Centre> c(parameters + k * shape::parameters);
#pragma unroll
            for (int r = 0; r < Rows; ++r)
                c.add(e[r][k] * scale[r], row[r].x, sums.value + k * shape::statistics);
        }
    }
}

} // namespace elbo::kernels::cuda
