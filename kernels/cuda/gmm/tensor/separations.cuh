// What the screen needs of the components: how far they lie apart, and bounds of the norms of their factors.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/homes.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int separation_threads = 256;
inline constexpr int separation_warps = separation_threads / 32;
inline constexpr int separation_stride = 33; ///< of 32 differences of means, free of bank conflicts
inline constexpr int norm_products = 5;

/// Σ (Uᵀz)_j² over columns first ... first + 3, then `step` further on, of an upper triangle [p x p]; z_i lies at i ·
/// stride.
__device__ __forceinline__ float triangle_squares(const float* u, int p, const float* z, int stride, int first,
                                                  int step) {
    float q = 0;
    for (int j = first; j < p; j += step) {
        float4 y = make_float4(0, 0, 0, 0);
        const float* column = u + j;
#pragma unroll 4
        for (int i = 0; i < j + 4; ++i, column += p) {
            const float4 c = *reinterpret_cast<const float4*>(column);
            const float v = z[i * stride];
            y.x += c.x * v, y.y += c.y * v, y.z += c.z * v, y.w += c.w * v;
        }
        q += y.x * y.x;
        q += y.y * y.y;
        q += y.z * y.z;
        q += y.w * y.w;
    }
    return q;
}

/// Multiplies by a number, by the whole block. Returns the sum of the squares of what was there.
__device__ inline double scale_matrix(float* a, int count, float by, double* scratch) {
    double sum = 0;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += separation_threads) {
        sum += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        a[i] *= by;
    }
    return block_sum(sum, scratch); // its barriers come after the products
}

/// aᵀ a, symmetric to the bit, by the whole block.
__device__ inline void multiply_transposed(const float* a, float* to, int p) {
    const int quads = p / 4;
    for (int tile = static_cast<int>(threadIdx.x); tile < quads * quads; tile += separation_threads) {
        const int i = tile / quads * 4, j = tile % quads * 4;
        float sum[4][4] = {};
        for (int r = 0; r < p; ++r) {
            const float4 left = *reinterpret_cast<const float4*>(a + r * p + i);
            const float4 right = *reinterpret_cast<const float4*>(a + r * p + j);
            const float l[4] = {left.x, left.y, left.z, left.w}, c[4] = {right.x, right.y, right.z, right.w};
#pragma unroll
            for (int m = 0; m < 4; ++m)
#pragma unroll
                for (int n = 0; n < 4; ++n)
                    sum[m][n] += l[m] * c[n];
        }
#pragma unroll
        for (int m = 0; m < 4; ++m)
            *reinterpret_cast<float4*>(to + (i + m) * p + j) = make_float4(sum[m][0], sum[m][1], sum[m][2], sum[m][3]);
    }
}

/// An upper bound of ‖a‖₂, a [p x p] with ‖a‖_F = 1 up to rounding; overwrites both. With a_0 = a, a_{i+1} = a_iᵀ a_i /
/// n_i, n_i their Frobenius norms: ‖a_i‖₂² <= n_i ‖a_{i+1}‖₂ + δ, as computed; δ <= (p + 8) 2⁻²³ ‖a_i‖_F² are the
/// roundings. The last norm is at most 1: for a multiple of the identity the bound is p^(1/64) times too large.
__device__ inline double bound_norm(float* a, float* next, int p, double* scratch) {
    double norms[norm_products];
#pragma unroll
    for (int i = 0; i < norm_products; ++i) {
        __syncthreads();
        multiply_transposed(a, next, p);
        norms[i] = ::sqrt(scale_matrix(next, p * p, 1.0f, scratch));
        scale_matrix(next, p * p, static_cast<float>(1 / norms[i]), scratch);
        float* const last = a;
        a = next, next = last;
    }
    double bound = 1 + 1e-5;
#pragma unroll
    for (int i = norm_products; i-- > 0;)
        bound = ::sqrt(norms[i] * bound * (1 + 1e-5) + (p + 8) * 0x1p-23);
    return bound;
}

/// What a component adds to the bounds of the screen.
struct component_bounds {
    float norm;  ///< >= ‖U_k‖₂
    float error; ///< of a row's ‖Uᵀx − b‖, for each unit of ‖x‖ + ‖μ_k‖: screen.cuh
    float size;  ///< >= ‖μ_k‖
    float unused;
};

/// ‖U_kᵀ (μ_a − μ_k)‖ for all a, a little too small, by the block of component k.
__device__ inline void separate_from_all(int p, int components, int k, float slack, const float* u, const float* means,
                                         float* z, float* separations) {
    __shared__ float parts[separation_warps][32];
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const float* const mine = means + std::int64_t(k) * p;
    for (int base = 0; base < components; base += 32) {
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < 32 * p; i += separation_threads) {
            const int a = min(base + i / p, components - 1);
            z[i % p * separation_stride + i / p] = means[std::int64_t(a) * p + i % p] - mine[i % p];
        }
        __syncthreads();
        parts[warp][lane] = triangle_squares(u, p, z + lane, separation_stride, 4 * warp, 4 * separation_warps);
        __syncthreads();
        if (warp != 0 || base + lane >= components)
            continue;
        float q = 0;
        for (int w = 0; w < separation_warps; ++w)
            q += parts[w][lane];
        separations[std::int64_t(base + lane) * components + k] = ::sqrtf(fminf(q, 1e38f)) * (1 - slack);
    }
}

constexpr std::int64_t separation_shared_bytes(std::int64_t p) {
    return 4 * (2 * p * p + separation_stride * p);
}

/// A block a component; nothing where no slab is screened. Reads K p floats of means and p² of a factor, writes 4 K
/// bytes. K² p² / 2 multiply-adds and 5 K p³. Predicted for 64 x 256 on an H200: 30 us for each of both.
__global__ void __launch_bounds__(separation_threads)
    separate_components(const screened_rows all, int slabs, int p, float step, float slack,
                        const device_model<float> model, const home_view h) {
    extern __shared__ __align__(16) float separation_memory[];
    __shared__ double scratch[32];
    bool some = false;
    for (int i = static_cast<int>(threadIdx.x); i < slabs; i += separation_threads)
        some |= h.slabs[i].screened;
    __syncwarp();
    if (!__syncthreads_or(some))
        return;
    const int k = static_cast<int>(blockIdx.x);
    float* const u = separation_memory;
    float* const next = u + p * p;
    float* const z = next + p * p;
    for (int i = static_cast<int>(threadIdx.x); i < p * p; i += separation_threads)
        u[i] = model.factors[std::int64_t(k) * p * p + i];
    double square = 0;
    for (int i = static_cast<int>(threadIdx.x); i < p; i += separation_threads) {
        const double m = static_cast<double>(model.means[std::int64_t(k) * p + i]);
        square += m * m;
    }
    const double size = ::sqrt(block_sum(square, scratch));
    separate_from_all(p, all.components, k, slack, u, model.means, z, h.separations);
    const double length = ::fmax(::sqrt(scale_matrix(u, p * p, 1.0f, scratch)), 1e-30);
    scale_matrix(u, p * p, static_cast<float>(1 / length), scratch);
    const double norm = length * (bound_norm(u, next, p, scratch) + 0x1p-22) * (1 + 1e-5);
    if (threadIdx.x == 0)
        h.bounds[k] = {static_cast<float>(norm), static_cast<float>(length * 1.0001) * step,
                       static_cast<float>(size * 1.0001), 0};
}

} // namespace elbo::kernels::cuda
