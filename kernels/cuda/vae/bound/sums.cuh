// Sums over the draws of a row: of a group by a warp, of the groups in their order.
#pragma once

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/vae/bound/draws.cuh"
#include "kernels/cuda/vae/layer/warp.cuh"

namespace elbo::kernels::cuda {

/// Sums over the four lanes of a quad of numbers for its two pairs: lane t keeps a of pair t (t < 2), or b of pair
/// t − 2.
__device__ __forceinline__ double quad_sums(const double (&a)[2], const double (&b)[2], int t) {
    const bool second = t & 1, is_b = t & 2;
    const double of_a =
        (second ? a[1] : a[0]) + __shfl_xor_sync(0xffffffffu, second ? a[0] : a[1], 1); // over t and t ^ 1
    const double of_b = (second ? b[1] : b[0]) + __shfl_xor_sync(0xffffffffu, second ? b[0] : b[1], 1);
    return (is_b ? of_b : of_a) + __shfl_xor_sync(0xffffffffu, is_b ? of_a : of_b, 2);
}

/// Over the pairs of a group, of which a lane has a number for each of its two: rows quad and quad + 8 of a warp's 16.
template <class T, class Join>
__device__ __forceinline__ void join_group(int group, T (&value)[2], Join join) {
    if (group == 16)
        value[0] = join(value[0], value[1]);
    for (int distance = 1; distance < min(group, 8); distance *= 2)
#pragma unroll
        for (int row = 0; row < 2; ++row)
            value[row] = join(value[row], __shfl_xor_sync(0xffffffffu, value[row], 4 * distance));
}

/// What the quads of a warp have of its 16 pairs, the first of which is `slot`, to the sums of their groups. `terms`:
/// lane t has log p(x|z) of pair t, or what else is added up of pair t − 2; `log_ratios`: ln p(z) − ln q(z|x) of pair
/// t.
__device__ __forceinline__ void store_groups(const bound_kernel_arguments& p, int slot, int lane, double terms,
                                             const double* log_ratios) {
    const auto add = [](auto a, auto b) { return a + b; };
    const int quad = lane / 4;
    __syncwarp(); // for the log ratios
    double log_likelihood[2], second[2], log_weight[2], largest[2];
    float sum[2], squares[2];
    bool exists[2];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        exists[row] = drawn_pair(p, slot + quad + 8 * row).exists;
        const double of_pair = __shfl_sync(0xffffffffu, terms, 4 * quad + row);
        const double of_second = __shfl_sync(0xffffffffu, terms, 4 * quad + row + 2);
        log_likelihood[row] = exists[row] ? of_pair : 0;
        second[row] = exists[row] ? of_second : 0;
        largest[row] = log_weight[row] = exists[row] ? of_pair + log_ratios[quad + 8 * row] : -INFINITY;
    }
    join_group(p.group, largest, [](double a, double b) { return ::fmax(a, b); });
    if (p.group == 16)
        largest[1] = largest[0];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        // Where all weights are 0, none is NaN.
        sum[row] = log_weight[row] == -INFINITY ? 0.0f : expf(static_cast<float>(log_weight[row] - largest[row]));
        squares[row] = sum[row] * sum[row];
    }
    join_group(p.group, sum, add);
    join_group(p.group, squares, add);
    join_group(p.group, log_likelihood, add);
    join_group(p.group, second, add);
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        const bool first = p.group == 16 ? quad == 0 && row == 0 : quad % p.group == 0;
        if (lane % 4 == 0 && first && exists[row])
            p.of.memory.sums[(slot + quad + 8 * row) / p.group] = {log_likelihood[row], second[row], largest[row],
                                                                   sum[row], squares[row]};
    }
}

/// A warp a row: units of 256 draws, each by a lane, then the units in their order. `groups`: of a row. Reads 32 bytes
/// a group; 32 units take some microseconds.
__global__ void __launch_bounds__(row_threads)
    add_bound_groups(const bound_sum* sums, std::int64_t rows, int groups, bool begins, const row_sums to) {
    const std::int64_t n = warp_index();
    if (n >= rows)
        return;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    double log_likelihood = 0, second = 0;
    importance_sum weights;
    if (!begins) {
        log_likelihood = to.reconstruction ? to.reconstruction[n] : 0;
        second = to.squared_error ? to.squared_error[n] : 0;
        if (to.weights)
            weights = to.weights[n];
    }
    const int units = (groups + bound_unit_groups - 1) / bound_unit_groups;
    for (int first = 0; first < units; first += 32) {
        double unit_likelihood = 0, unit_second = 0;
        importance_sum unit;
        const int begin = (first + lane) * bound_unit_groups, end = min(begin + bound_unit_groups, groups);
        for (int g = begin; g < end; ++g) {
            const bound_sum& s = sums[n * groups + g];
            unit_likelihood += s.log_likelihood;
            unit_second += s.second;
            unit.add({s.largest, static_cast<double>(s.sum), static_cast<double>(s.squares)});
        }
        for (int u = 0; u < min(32, units - first); ++u) {
            log_likelihood += __shfl_sync(0xffffffffu, unit_likelihood, u);
            second += __shfl_sync(0xffffffffu, unit_second, u);
            weights.add({__shfl_sync(0xffffffffu, unit.largest, u), __shfl_sync(0xffffffffu, unit.sum, u),
                         __shfl_sync(0xffffffffu, unit.squares, u)});
        }
    }
    if (lane > 0)
        return;
    if (to.reconstruction)
        to.reconstruction[n] = log_likelihood;
    if (to.squared_error)
        to.squared_error[n] = second;
    if (to.weights)
        to.weights[n] = weights;
}

} // namespace elbo::kernels::cuda
