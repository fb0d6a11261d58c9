// Row rule: the ranges of each row in order, what its shares are made of, and the scalars of a unit. All components
// count; what lies below the active set sums to less than 2⁻²⁴.
#pragma once

#include "kernels/cuda/gmm/products/operands.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int share_threads = 1024;

/// A block a unit, a thread a row; rows up to the end of a pair of tiles get no share. Reads 16 ranges + 16 + [4] bytes
/// a row, writes 16. Predicted for 1e6 rows and K = 1024 on an H200, 4 ranges: 0.02 ms.
__global__ void __launch_bounds__(share_threads)
    product_shares(const device_rows<float> rows, int components, const double* reference, int ranges,
                   const product_view memory, std::int64_t slab_rows, const device_sums sums) {
    __shared__ double scratch[32];
    if (!all_near(memory.near, components))
        return;
    constexpr std::int64_t tiles = product_cluster * product_lines;
    const std::int64_t begin = blockIdx.x * unit_rows,
                       end = min(begin + unit_rows, (rows.rows + tiles - 1) / tiles * tiles);
    double scalars[scalar_count] = {};
    for (std::int64_t row = begin + threadIdx.x; row < end; row += share_threads) {
        float most = -3e38f;
        for (int i = 0; i < ranges; ++i)
            most = fmaxf(most, memory.parts[i * slab_rows + row].x);
        double sum = 0, spread = 0;
        for (int i = 0; i < ranges; ++i) {
            const float4 part = memory.parts[i * slab_rows + row];
            const double factor = static_cast<double>(exp2_of(part.x - most));
            const double below = static_cast<double>(fminf(most - part.x, 256.0f));
            spread += factor * (static_cast<double>(part.z) + static_cast<double>(part.y) * below);
            sum += factor * static_cast<double>(part.y);
        }
        const float weight = row >= rows.rows ? 0.0f : rows.weights ? rows.weights[row] : 1.0f;
        const float4 scale = memory.row_scales[row];
        memory.shares[row] = make_float4(most, weight / static_cast<float>(sum), scale.z, scale.w);
        if (weight != 0) {
            const double w = static_cast<double>(weight);
            const double log_sum = static_cast<double>(log2_of(static_cast<float>(sum)));
            scalars[scalar_log_likelihood] += w * ((static_cast<double>(most) + log_sum) * ln_2 + *reference);
            scalars[scalar_entropy] += w * ((log_sum + spread / sum) * ln_2);
            scalars[scalar_weight] += w;
        }
    }
#pragma unroll
    for (int i = 0; i < scalar_count; ++i) {
        if (i == scalar_log_factors)
            continue;
        const double sum = block_sum(scalars[i], scratch);
        if (threadIdx.x == 0)
            add_fixed(sums.limbs, sums.count, sums.count - scalar_count + i, sum, sums.scalar_exponent);
    }
}

} // namespace elbo::kernels::cuda
