// A tile of rows in shared memory, the log-densities of its rows, and their statistics. What the fused and the slab
// engine have in common.
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Copies `rows` rows of d numbers to shared memory, row i at i * tile_stride(d); the padding and the rows behind, up
/// to tile_rows, become zero. Reads are coalesced: neighbouring threads take neighbouring numbers.
template <class T>
__device__ void load_tile(const T* x, std::int64_t x_stride, int rows, int d, T* tile, int stride, int tile_rows) {
    const int count = tile_rows * stride;
    // i / stride: exact, since (i + ½) / stride is at least ½ / stride away from an integer and its error below row ·
    // 2^-22.
    const float per_row = 1.0f / static_cast<float>(stride);
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
        const int row = static_cast<int>((static_cast<float>(i) + 0.5f) * per_row);
        const int column = i - row * stride;
        tile[i] = row < rows && column < d ? __ldg(x + row * x_stride + column) : T(0);
    }
}

/// y = Uᵀx for each row of a tile (tied); a thread computes four columns of a row.
template <class T>
__device__ void whiten_tile(const T* tile, T* out, int stride, int tile_rows, const T* factor, int p) {
    const int groups = p / 4;
    for (int i = static_cast<int>(threadIdx.x); i < tile_rows * groups; i += static_cast<int>(blockDim.x)) {
        const int row = i % tile_rows;
        const int column = i / tile_rows * 4;
        quad<T> y{};
        for (int j = 0; j <= column; j += 4) {
            const quad<T> x = load_quad(tile + row * stride + j);
            for (int a = 0; a < 4; ++a) {
                const quad<T> u = load_quad(factor + std::int64_t(j + a) * p + column);
                for (int b = 0; b < 4; ++b)
                    y.v[b] += x.v[a] * u.v[b];
            }
        }
        *reinterpret_cast<quad<T>*>(out + row * stride + column) = y;
    }
}

/// ‖U_kᵀ(x − μ_k)‖² of two rows. Per four rows and columns of U: 5 uniform reads, 2 of the rows, 8 subtractions and 32
/// multiply-adds; U is upper triangular, so column block i takes the row blocks up to i.
template <class T>
__device__ void full_distances(const T* row0, const T* row1, const T* mean, const T* factor, int p, T& q0, T& q1) {
    for (int i = 0; i < p; i += 4) {
        T y0[4] = {}, y1[4] = {};
        for (int j = 0; j <= i; j += 4) {
            const quad<T> m = load_quad(mean + j);
            const quad<T> x0 = load_quad(row0 + j);
            const quad<T> x1 = load_quad(row1 + j);
#pragma unroll
            for (int a = 0; a < 4; ++a) {
                const quad<T> u = load_quad(factor + std::int64_t(j + a) * p + i);
                const T z0 = x0.v[a] - m.v[a];
                const T z1 = x1.v[a] - m.v[a];
#pragma unroll
                for (int b = 0; b < 4; ++b) {
                    y0[b] += z0 * u.v[b];
                    y1[b] += z1 * u.v[b];
                }
            }
        }
#pragma unroll
        for (int b = 0; b < 4; ++b) {
            q0 += y0[b] * y0[b];
            q1 += y1[b] * y1[b];
        }
    }
}

/// Σ_j ((x_j − m_j) u_j)² of two rows; u_j = 1 for whitened rows.
template <class T, density_form Form>
__device__ void scaled_distances(const T* row0, const T* row1, const T* mean, const T* factor, int p, T& q0, T& q1) {
    for (int j = 0; j < p; j += 4) {
        const quad<T> m = load_quad(mean + j);
        const quad<T> x0 = load_quad(row0 + j);
        const quad<T> x1 = load_quad(row1 + j);
        quad<T> u{};
        if constexpr (Form == density_form::diagonal)
            u = load_quad(factor + j);
#pragma unroll
        for (int a = 0; a < 4; ++a) {
            T z0 = x0.v[a] - m.v[a];
            T z1 = x1.v[a] - m.v[a];
            if constexpr (Form == density_form::diagonal) {
                z0 *= u.v[a];
                z1 *= u.v[a];
            }
            q0 += z0 * z0;
            q1 += z1 * z1;
        }
    }
}

/// lp of the rows at `rows` (row i at i * stride) for the components first ... last − 1, given to out(row, k, lp).
/// A warp takes a component and 64 rows: parameters are read once for all lanes, each lane has the rows l and l + 32.
/// Rows from `count` on do not exist: the last one is read in their place.
template <class T, density_form Form, class Output>
__device__ void log_densities(const T* rows, std::int64_t stride, int tile_rows, int count,
                              const device_model<T>& model, int p, int first, int last, Output out) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warps = static_cast<int>(blockDim.x) / 32;
    const int groups = tile_rows / 64;
    for (int task = static_cast<int>(threadIdx.x) / 32; task < groups * (last - first); task += warps) {
        const std::int64_t k = first + task / groups;
        const int row = task % groups * 64 + lane;
        const T* row0 = rows + min(row, count - 1) * stride;
        const T* row1 = rows + min(row + 32, count - 1) * stride;
        const T offset = model.offsets[k];
        T q0 = 0, q1 = 0;
        if constexpr (Form == density_form::full)
            full_distances(row0, row1, model.means + k * p, model.factors + k * p * p, p, q0, q1);
        else if constexpr (Form == density_form::diagonal)
            scaled_distances<T, Form>(row0, row1, model.means + k * p, model.factors + k * p, p, q0, q1);
        else
            scaled_distances<T, Form>(row0, row1, model.whitened + k * p, nullptr, p, q0, q1);
        const bool dropped = ::isinf(offset);
        // ½ log2 e in two parts: its rounding to T alone would be the same relative error of q in every row.
        constexpr T half = T(0.5 * log2_e);
        constexpr T rest = T(0.5 * log2_e - static_cast<double>(half));
        out(row, static_cast<int>(k), dropped ? offset : offset - rest * q0 - half * q0);
        out(row + 32, static_cast<int>(k), dropped ? offset : offset - rest * q1 - half * q1);
    }
}

/// The lp of the components first ... first + count − 1 of one row: number i at lp[i * stride].
template <class T>
struct row_span {
    T* lp;
    int first, count;
    std::int64_t stride = 1;
    __device__ T& operator[](int i) const { return lp[i * stride]; }
};

// The row rule, by the `Lanes` neighbouring lanes that call its parts together, lane q with the components q, q +
// Lanes, ...: m = max lp_k, then e_k = 2^(lp_k − m) in place of lp_k with Σ e_k, then weight · r_k. Terms lie in [0, 1]
// and the largest is 1; those below 2^-24 / K (2^-53 / K in float64) are zero: the active set (docs/kernels.md section
// 2). lse = m + log2 Σ. H = log2 Σ + Σ e_k (m − lp_k) / Σ: all its terms are positive.

template <class T, int Lanes>
__device__ T row_largest(const row_span<T>& row, int lane) {
    T largest = -INFINITY;
    for (int i = lane; i < row.count; i += Lanes)
        largest = row[i] > largest ? row[i] : largest;
    for (int distance = 1; distance < Lanes; distance *= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, largest, distance);
        largest = other > largest ? other : largest;
    }
    return largest;
}

/// Σ e_k and Σ e_k (m − lp_k).
struct row_sums {
    double sum, spread;
};

template <class T, int Lanes>
__device__ row_sums row_exponentials(const row_span<T>& row, T largest, int components, int lane) {
    constexpr T digits = sizeof(T) == 4 ? 24 : 53;
    const T threshold = largest - digits - log2_of(static_cast<T>(components));
    double sum = 0, spread = 0;
    for (int begin = lane; begin < row.count; begin += chain_rows * Lanes) {
        T part = 0, part_spread = 0;
        const int end = min(row.count, begin + chain_rows * Lanes);
        for (int i = begin; i < end; i += Lanes) {
            const T value = row[i];
            T e = 0;
            if (value >= threshold) {
                e = exp2_of(value - largest);
                part_spread += e * (largest - value);
            }
            part += e;
            row[i] = e;
        }
        sum += static_cast<double>(part);
        spread += static_cast<double>(part_spread);
    }
    for (int distance = 1; distance < Lanes; distance *= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        spread += __shfl_xor_sync(0xffffffffu, spread, distance);
    }
    return {sum, spread};
}

/// lse and H of a row in units of ln 2, lse less the model's reference.
struct row_result {
    double lse, entropy;
};

template <class T, int Lanes>
__device__ row_result row_shares(const row_span<T>& row, T largest, const row_sums& sums, T weight, int lane) {
    const T inverse = T(1) / static_cast<T>(sums.sum);
    for (int i = lane; i < row.count; i += Lanes)
        row[i] = weight == T(0) ? T(0) : weight * (row[i] * inverse); // skipped, not multiplied: x may overflow
    const double log_sum = static_cast<double>(log2_of(static_cast<T>(sums.sum)));
    return {static_cast<double>(largest) + log_sum,
            log_sum + static_cast<double>(static_cast<T>(sums.spread) * inverse)};
}

template <class T, int Lanes>
__device__ row_result row_rule(const row_span<T>& row, T weight, int lane) {
    const T largest = row_largest<T, Lanes>(row, lane);
    const row_sums sums = row_exponentials<T, Lanes>(row, largest, row.count, lane);
    return row_shares<T, Lanes>(row, largest, sums, weight, lane);
}

/// Position (i, j ≥ i) of number t in an upper triangle of n x n blocks counted by rows.
__device__ inline void triangle_position(std::int64_t t, std::int64_t n, int& i, int& j) {
    // Row i begins at i n − i (i − 1) / 2; the root of that quadratic, then corrected for rounding.
    const double b = 2.0 * static_cast<double>(n) + 1;
    std::int64_t row = static_cast<std::int64_t>((b - ::sqrt(b * b - 8.0 * static_cast<double>(t))) / 2);
    while (row > 0 && packed_upper(row, row, n) > t)
        --row;
    while (packed_upper(row + 1, row + 1, n) <= t && row + 1 < n)
        ++row;
    i = static_cast<int>(row);
    j = static_cast<int>(row + (t - packed_upper(row, row, n)));
}

/// Σ g z_i z_jᵀ of a 4 x 4 block, z = x − μ_k, over a chain of rows. Rows without responsibility are skipped: they
/// would add zeros.
template <class T>
struct product_sums {
    T value[4][4] = {};
    __device__ void add(T g, const quad<T>& xi, const quad<T>& xj, const quad<T>& mi, const quad<T>& mj) {
        T left[4], right[4];
#pragma unroll
        for (int a = 0; a < 4; ++a) {
            left[a] = g * (xi.v[a] - mi.v[a]);
            right[a] = xj.v[a] - mj.v[a];
        }
#pragma unroll
        for (int a = 0; a < 4; ++a)
#pragma unroll
            for (int b = 0; b < 4; ++b)
                value[a][b] += left[a] * right[b];
    }
};

/// Σ g, Σ g z and Σ g z² of four dimensions over a chain of rows.
template <class T>
struct mean_sums {
    T weight = 0;
    T first[4] = {};
    T second[4] = {};
    __device__ void add(T g, const quad<T>& x, const quad<T>& m) {
        weight += g;
#pragma unroll
        for (int a = 0; a < 4; ++a) {
            const T z = x.v[a] - m.v[a];
            first[a] += g * z;
            second[a] += g * z * z;
        }
    }
};

} // namespace elbo::kernels::cuda
