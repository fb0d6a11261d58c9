// What is known of the components of rows, before the row rule.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int known_threads = 64;

/// A thread a row. Adds log2 π to the log-densities; what cannot be becomes −infinity. A row whose components with π >
/// 0 have all been dropped stays as it is. Reads and writes 4 K bytes a row once, reads 4 K of factors.
__global__ void __launch_bounds__(known_threads)
    tensor_known(const device_rows<float> rows, const float* offsets, int components, float* densities,
                 std::int64_t slab_rows) {
    const std::int64_t row = blockIdx.x * std::int64_t(known_threads) + threadIdx.x;
    if (row >= rows.rows)
        return;
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
}

} // namespace elbo::kernels::cuda
