// Parameters to the panels that the log-densities are made from.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/pieces.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"

#include <cuda_fp16.h>

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int panel_threads = 256; ///< an element of a 16 x 16 block each

/// Largest |v| of a block's numbers, by all of its threads.
__device__ inline float block_largest(const float* v, int count, double* scratch) {
    double largest = 0;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += panel_threads)
        largest = ::fmax(largest, static_cast<double>(::fabsf(v[i])));
    return static_cast<float>(block_reduce(largest, scratch, [](double a, double b) { return ::fmax(a, b); }));
}

/// b = scale · Uᵀμ of a [p x p] factor, in float64 up to its rounding to b [D]; `parts` is memory for the sums of
/// panel_threads / D rows of threads.
template <int D>
__device__ void write_offsets_of(const float* u, const float* mean, int p, float scale, double* parts, float* b) {
    constexpr int sharers = panel_threads / D;
    const int column = static_cast<int>(threadIdx.x) % D, part = static_cast<int>(threadIdx.x) / D;
    if (part < sharers) {
        double sum = 0;
        for (int r = part; r <= column && column < p; r += sharers)
            sum += static_cast<double>(u[r * p + column]) * static_cast<double>(mean[r]);
        parts[part * D + column] = sum;
    }
    __syncthreads();
    if (part == 0) {
        double sum = parts[column];
        for (int i = 1; i < sharers; ++i)
            sum += parts[i * D + column];
        b[column] = static_cast<float>(sum * static_cast<double>(scale));
    }
    __syncthreads();
}

/// A component a block, with those that fill the last panel: reads p² + p floats, writes its columns of the panel, 2.2
/// p² bytes at p = 64; p² / 2 float64 multiply-adds. Below 10 us at 64 x 256.
template <int D>
__global__ void __launch_bounds__(panel_threads)
    write_panels(int components, int p, const device_model<float> model, const tensor_view memory) {
    using L = panel_layout<D>;
    __shared__ double scratch[32], parts[panel_threads];
    __shared__ float b[D];
    const int thread = static_cast<int>(threadIdx.x);
    const std::int64_t k = blockIdx.x;
    const int place = static_cast<int>(k % L::components); // in the panel
    const bool exists = k < components;
    const float* const u = model.factors + k * p * p;
    power_scale power{0, 0};
    if (exists) {
        power = scale_below(block_largest(u, p * p, scratch));
        const float farthest = block_largest(model.means + k * p, p, scratch);
        write_offsets_of<D>(u, model.means + k * p, p, power.scale, parts, b);
        if (thread == 0)
            memory.mean_sizes[k] = log2_of(farthest);
    }
    unsigned char* low = memory.panels + k / L::components * L::panel_bytes;
    for (int g = 0; g < L::groups; low += L::low_bytes(g) + L::high_bytes(g), ++g) {
        unsigned char* const header = low + L::low_bytes(g);
        float2* const pairs = reinterpret_cast<float2*>(header);
        if (thread < 8 * L::width(g)) { // [block][component][half][t]: columns 8 half + 2 t, 8 half + 2 t + 1
            const int block = thread / 8, column = 16 * (block + g * L::blocks) + 2 * (thread % 8);
            pairs[(block * L::components + place) * 8 + thread % 8] =
                exists ? make_float2(b[column], b[column + 1]) : make_float2(0, 0);
        }
        if (thread == 0)
            pairs[L::parameters / 8 + place] =
                exists ? make_float2(model.offsets[k], power.inverse) : make_float2(-INFINITY, 0);
        if (place == 0 && thread < L::header / 8 &&
            (thread >= L::parameters / 8 + L::components ||
             (thread >= 8 * L::components * L::width(g) && thread < L::parameters / 8)))
            pairs[thread] = make_float2(0, 0); // padding, which the copies read
        const int end = L::blocks * g + L::width(g);
#pragma unroll 1 // unrolled, it spills
        for (int s = 0; s < end; ++s)
#pragma unroll 1
            for (int j = max(s, L::blocks * g); j < end; ++j) {
                const int n = thread / 16, i = thread % 16;                     // column and row of a block of 16 x 16
                const int row = 16 * s + 4 * (i % 8 / 2) + 2 * (i / 8) + i % 2; // the order of the A fragments
                const int column = 16 * j + n;
                const float v = exists && row < p && column < p ? u[row * p + column] * power.scale : 0.0f;
                const __half h = __float2half_rn(v);
                const int at =
                    L::tile(g, s, j) * L::tile_bytes + (2 * place + n / 8) * 256 + i / 8 * 128 + n % 8 * 16 + i % 8 * 2;
                *reinterpret_cast<__half*>(low + at) = __float2half_rn(v - __half2float(h));
                *reinterpret_cast<__half*>(header + L::header + at) = h;
            }
    }
}

} // namespace elbo::kernels::cuda
