// What is known of the components of rows, before the row rule.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int known_threads = 64;

/// Of a row under all components: the sums of one range, m, Σ 2^(lp − m), Σ 2^(lp − m) (m − lp) and Σ 2^(lp − m) log2
/// π. lp_k(k) is log2 π + lp, −infinity for what cannot be; factor(k) is log2 π.
template <class Density, class Factor>
__device__ float4 known_sums(int components, float size, Density lp_k, Factor factor, double& factors) {
    float most = -3e38f;
    for (int k = 0; k < components; ++k)
        most = fmaxf(most, lp_k(k));
    double sum = 0, spread = 0;
    for (int k = 0; k < components; ++k) {
        const float below = most - lp_k(k);
        const double e = static_cast<double>(exp2_of(-below));
        sum += e;
        spread += e * static_cast<double>(fminf(below, 256.0f));
        const float f = factor(k);
        if (e != 0 && !::isinf(f))
            factors += e * static_cast<double>(f);
    }
    factors /= sum;
    return make_float4(most, static_cast<float>(sum), static_cast<float>(spread), size);
}

/// A thread a row. Adds log2 π to the log-densities; the sums of all components go to the first range, the others
/// become empty. A row whose components with π > 0 have all been dropped stays as it is. `factors`: Σ r log2 π of each
/// row. Reads and writes 4 K bytes a row once, reads them twice more from L2, 4 K of factors.
__global__ void __launch_bounds__(known_threads)
    tensor_known(const device_rows<float> rows, const float* offsets, int components, int ranges, float* densities,
                 std::int64_t slab_rows, float4* parts, float* factors) {
    const std::int64_t row = blockIdx.x * std::int64_t(known_threads) + threadIdx.x;
    if (row >= rows.rows)
        return;
    factors[row] = 0;
    float* const lp = densities + row;
    const float* const f = rows.log_factors ? rows.log_factors + row * components : nullptr;
    const int label = rows.labels ? rows.labels[row] : -1;
    bool counts = label >= 0 && !::isinf(offsets[label]);
    for (int k = 0; f && k < components; ++k)
        counts |= !::isinf(f[k]) && !::isinf(offsets[k]);
    if (!counts)
        return;
    for (int k = 0; k < components; ++k)
        if (f || k != label)
            lp[k * slab_rows] = f ? lp[k * slab_rows] + f[k] : -INFINITY;
    double total = 0;
    parts[row] = known_sums(
        components, parts[row].w, [&](int k) { return lp[k * slab_rows]; }, [&](int k) { return f ? f[k] : 0.0f; },
        total);
    for (int i = 1; i < ranges; ++i)
        parts[i * slab_rows + row] = make_float4(-3e38f, 0, 0, parts[row].w);
    factors[row] = static_cast<float>(total);
}

} // namespace elbo::kernels::cuda
