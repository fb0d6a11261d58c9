// Parameters to the panels that the log-densities are made from.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"

#include <cuda_fp16.h>

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int panel_threads = 256;

/// Power of two s with |v| s < 2^14 for |v| <= most, and its inverse; both are normal numbers.
struct power_scale {
    float scale, inverse;
};
__device__ inline power_scale scale_below(float most) {
    // 2^(e − 127) <= most < 2^(e − 126): the scale is 2^(140 − e).
    const int e = min(max(__float_as_int(most) >> 23, 14), 253);
    return {__int_as_float((267 - e) << 23), __int_as_float((e - 13) << 23)};
}

/// What is the same for a component: the scale of U, and b = U^T μ times it, in float64 up to that rounding.
template <int D>
struct panel_component {
    float largest[panel_layout<D>::components];
    float b[panel_layout<D>::components][D];
};

/// A panel a block: reads K (p² + p) floats, writes the panels (2.2 p² bytes a component at p = 64); K p² / 2 float64
/// multiply-adds, below 10 us at 64 x 256.
template <int D>
__global__ void __launch_bounds__(panel_threads)
    write_panels(int components, int p, const device_model<float> model, const tensor_view memory) {
    using L = panel_layout<D>;
    __shared__ panel_component<D> shared;
    __shared__ double scratch[32];
    const int first = static_cast<int>(blockIdx.x) * L::components;
    const int thread = static_cast<int>(threadIdx.x);
    for (int i = 0; i < L::components && first + i < components; ++i) {
        const float* u = model.factors + std::int64_t(first + i) * p * p;
        const float* mean = model.means + std::int64_t(first + i) * p;
        double largest = 0, farthest = 0;
        for (int e = thread; e < p * p; e += panel_threads)
            largest = ::fmax(largest, static_cast<double>(::fabsf(u[e])));
        for (int j = thread; j < p; j += panel_threads)
            farthest = ::fmax(farthest, static_cast<double>(::fabsf(mean[j])));
        const auto higher = [](double a, double b) { return ::fmax(a, b); };
        largest = block_reduce(largest, scratch, higher);
        farthest = block_reduce(farthest, scratch, higher);
        const double scale = static_cast<double>(scale_below(static_cast<float>(largest)).scale);
        for (int j = thread; j < D; j += panel_threads) {
            double b = 0;
            for (int r = 0; r <= j && j < p; ++r)
                b += static_cast<double>(u[r * p + j]) * static_cast<double>(mean[r]);
            shared.b[i][j] = static_cast<float>(b * scale);
        }
        if (thread == 0) {
            shared.largest[i] = static_cast<float>(largest);
            memory.mean_sizes[first + i] = log2_of(static_cast<float>(farthest));
        }
    }
    __syncthreads();
    unsigned char* low = memory.panels + std::int64_t(blockIdx.x) * L::panel_bytes;
    for (int g = 0; g < L::groups; low += L::low_bytes(g) + L::high_bytes(g), ++g) {
        unsigned char* const header = low + L::low_bytes(g);
        for (int i = thread; i < L::header / 8; i += panel_threads) {
            float2 v = make_float2(0, 0);
            if (i < L::parameters / 8) { // [block][component][half][t]: columns 8 half + 2 t, 8 half + 2 t + 1
                const int c = i / 8 % L::components;
                const int column = 16 * (i / 8 / L::components + g * L::blocks) + 8 * (i / 4 % 2) + 2 * (i % 4);
                if (first + c < components)
                    v = make_float2(shared.b[c][column], shared.b[c][column + 1]);
            } else if (i - L::parameters / 8 < L::components) {
                const int c = i - L::parameters / 8;
                v = make_float2(-INFINITY, 0);
                if (first + c < components) {
                    const float unscale = scale_below(shared.largest[c]).inverse;
                    v = make_float2(model.offsets[first + c], unscale);
                }
            }
            reinterpret_cast<float2*>(header)[i] = v;
        }
        for (int s = 0; s < L::blocks * (g + 1); ++s)
            for (int j = max(s, L::blocks * g); j < L::blocks * (g + 1); ++j)
                for (int e = thread; e < L::columns * 16; e += panel_threads) {
                    const int n = e / 16, k = e % 16, c = n / 16;
                    const int row = 16 * s + 4 * (k % 8 / 2) + 2 * (k / 8) + k % 2; // the order of the A fragments
                    const int column = 16 * j + n % 16;
                    float v = 0;
                    if (first + c < components && row < p && column < p)
                        v = model.factors[(std::int64_t(first + c) * p + row) * p + column] *
                            scale_below(shared.largest[c]).scale;
                    const __half h = __float2half_rn(v);
                    const int at =
                        L::tile(g, s, j) * L::tile_bytes + n / 8 * 256 + k / 8 * 128 + n % 8 * 16 + k % 8 * 2;
                    *reinterpret_cast<__half*>(low + at) = __float2half_rn(v - __half2float(h));
                    *reinterpret_cast<__half*>(header + L::header + at) = h;
                }
    }
}

} // namespace elbo::kernels::cuda
