// What inference says of one row, from its log-densities: by the slab and by tiles.
#pragma once

#include "kernels/cuda/gmm/e_step/tile.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Row rule and results of row `row`, by `Lanes` neighbouring lanes; all lanes of the warp must call it. lp in units of
/// ln 2, less the model's reference, becomes r. A row that is not `there` is computed and not written.
template <class T, int Lanes>
__device__ void infer_row(const row_span<T>& lp, std::int64_t row, bool there, double reference,
                          const inference_results& to, int lane) {
    for (int k = lane; there && to.log_joint.data && k < lp.count; k += Lanes) // rounded as on the host: without fma
        to.log_joint.data[row * to.log_joint.stride + k] =
            __dadd_rn(__dadd_rn(__dmul_rn(static_cast<double>(lp[k]), ln_2), reference), -to.shift);
    // argmax with the lower index at a tie
    T best = -INFINITY;
    int at = lp.count;
    for (int k = lane; k < lp.count; k += Lanes)
        if (lp[k] > best || at == lp.count)
            best = lp[k], at = k;
    for (int distance = Lanes / 2; distance > 0; distance /= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, best, distance);
        const int where = __shfl_xor_sync(0xffffffffu, at, distance);
        if (other > best || (other == best && where < at))
            best = other, at = where;
    }
    if (there && lane == 0 && to.assignment.data)
        to.assignment.data[row * to.assignment.stride] = at;
    if (!to.responsibilities.data && !to.log_density.data)
        return;
    const row_result r = row_rule<T, Lanes>(lp, T(1), lane);
    for (int k = lane; there && to.responsibilities.data && k < lp.count; k += Lanes)
        to.responsibilities.data[row * to.responsibilities.stride + k] = static_cast<double>(lp[k]);
    if (there && lane == 0 && to.log_density.data)
        to.log_density.data[row * to.log_density.stride] = r.lse * ln_2 + reference - to.shift;
}

} // namespace elbo::kernels::cuda
