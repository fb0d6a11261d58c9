// What is known of the components of rows, added to their log-densities before the row rule.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/tile.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Adds log2 π to the lp of a row, all its components or a range of them, by the `Lanes` neighbouring lanes that call
/// the row rule together; all lanes of the warp must call it. A row whose components with π > 0 have all been dropped
/// stays as it is. Rows behind the end are taken as the last one.
template <class T, int Lanes>
__device__ void apply_known(const device_rows<T>& rows, std::int64_t row, const T* offsets, int components, int lane,
                            const row_span<T>& lp) {
    row = min(row, rows.rows - 1);
    if (rows.labels) {
        const int label = rows.labels[row];
        if (label < 0 || ::isinf(offsets[label]))
            return;
        for (int i = lane; i < lp.count; i += Lanes)
            if (lp.first + i != label)
                lp[i] = -INFINITY;
        return;
    }
    const T* factors = rows.log_factors + row * components;
    int some = 0;
    for (int k = lane; k < components; k += Lanes)
        some |= !::isinf(factors[k]) && !::isinf(offsets[k]);
    for (int distance = 1; distance < Lanes; distance *= 2)
        some |= __shfl_xor_sync(0xffffffffu, some, distance);
    if (some)
        for (int i = lane; i < lp.count; i += Lanes)
            lp[i] += factors[lp.first + i];
}

/// Σ g log2 π over the components of this lane, after the row rule has put g = w r in place of lp. Where the factors of
/// a row do not count, all that have a share are −infinity.
template <class T, int Lanes>
__device__ double log_factor_sum(const device_rows<T>& rows, std::int64_t row, int components, int lane,
                                 const row_span<T>& g) {
    const T* factors = rows.log_factors + row * components;
    double sum = 0;
    for (int i = lane; i < g.count; i += Lanes)
        if (g[i] != T(0) && !::isinf(factors[g.first + i]))
            sum += static_cast<double>(g[i]) * static_cast<double>(factors[g.first + i]);
    return sum;
}

} // namespace elbo::kernels::cuda
