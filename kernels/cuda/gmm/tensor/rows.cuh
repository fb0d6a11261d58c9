// The row rule of training: what the moments need of each row, and the scalars of the fit.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/row_rule.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// A block 32 rows. Reads 4 K bytes a row, twice, the second time mostly from L1, and log π of the active components
/// where there are such; writes row_weights, 16 bytes a row, and adds the scalars of its rows to the sums. `sizes`: max
/// |x_i| of each. Predicted for 1e6 x 256 on an H200: 0.2 ms for 1 GB from L2.
__global__ void __launch_bounds__(rule_threads)
    tensor_rows(const rule_arguments p, const device_rows<float> rows, const double* reference, const float* sizes,
                float4* weights, std::uint16_t* homes, const device_sums sums) {
    __shared__ row_scratch<3> own;
    const int row = static_cast<int>(blockIdx.x) * rule_rows + static_cast<int>(threadIdx.x) % 32;
    const int existing = min(row, p.rows - 1);
    const float* const factors = rows.log_factors ? rows.log_factors + std::int64_t(existing) * p.components : nullptr;
    // Σ e, Σ e (m − lp), Σ e log2 π; a component without π has been left out (known.cuh), unless that left none.
    const row_sums<3> r =
        sum_active(p, p.densities + existing, own, [&](float(&chain)[3], int k, float below, float e) {
            chain[0] += e;
            chain[1] -= e * below;
            if (const float f = factors ? factors[k] : 0.0f; !::isinf(f))
                chain[2] += e * f;
        });
    if (threadIdx.x >= 32)
        return;
    const double sum = r.sums[0];
    const double w = row >= p.rows ? 0.0 : rows.weights ? static_cast<double>(rows.weights[row]) : 1.0;
    if (row < p.rows) {
        const float root = ::sqrtf(static_cast<float>(w) / static_cast<float>(sum));
        if (homes)
            homes[row] = static_cast<std::uint16_t>(r.at);
        weights[row] = make_float4(r.largest, root, log2_of(root * sizes[row]), log2_of(root));
    }
    double scalars[scalar_count] = {};
    if (w != 0) {
        const double log_sum = static_cast<double>(log2_of(static_cast<float>(sum)));
        scalars[scalar_log_likelihood] = w * ((static_cast<double>(r.largest) + log_sum) * ln_2 + *reference);
        scalars[scalar_entropy] = w * ((log_sum + r.sums[1] / sum) * ln_2);
        scalars[scalar_weight] = w;
        scalars[scalar_log_factors] = w * (r.sums[2] / sum) * ln_2;
    }
#pragma unroll
    for (int i = 0; i < scalar_count; ++i) {
        if (i == scalar_log_factors && !factors)
            break;
        const double all = warp_reduce(scalars[i], sum_of());
        if (threadIdx.x == 0)
            add_fixed(sums.limbs, sums.count, sums.count - scalar_count + i, all, sums.scalar_exponent);
    }
}

} // namespace elbo::kernels::cuda
