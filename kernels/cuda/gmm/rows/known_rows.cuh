// What is known of the components of rows, added to their log-densities before the row rule.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Adds log2 π to the lp [K] of row `row`, by the `Lanes` neighbouring lanes that call row_rule together; all lanes of
/// the warp must call it. A row whose components with π > 0 have all been dropped stays as it is. Rows behind the end
/// are taken as the last one.
template <class T, int Lanes>
__device__ void apply_known(const device_rows<T>& rows, std::int64_t row, const T* offsets, int components, int lane,
                            T* lp) {
    row = min(row, rows.rows - 1);
    if (rows.labels) {
        const int label = rows.labels[row];
        if (label < 0 || ::isinf(offsets[label]))
            return;
        for (int k = lane; k < components; k += Lanes)
            if (k != label)
                lp[k] = -INFINITY;
        return;
    }
    const T* factors = rows.log_factors + row * components;
    int some = 0;
    for (int k = lane; k < components; k += Lanes)
        some |= !::isinf(factors[k]) && !::isinf(offsets[k]);
    for (int distance = 1; distance < Lanes; distance *= 2)
        some |= __shfl_xor_sync(0xffffffffu, some, distance);
    if (some)
        for (int k = lane; k < components; k += Lanes)
            lp[k] += factors[k];
}

/// Σ g log2 π over the components of this lane, after the row rule has put g = w r in place of lp. Where the factors of
/// a row do not count, all that have a share are −infinity.
template <class T, int Lanes>
__device__ double log_factor_sum(const device_rows<T>& rows, std::int64_t row, int components, int lane, const T* g) {
    const T* factors = rows.log_factors + row * components;
    double sum = 0;
    for (int k = lane; k < components; k += Lanes)
        if (g[k] != T(0) && !::isinf(factors[k]))
            sum += static_cast<double>(g[k]) * static_cast<double>(factors[k]);
    return sum;
}

} // namespace elbo::kernels::cuda
