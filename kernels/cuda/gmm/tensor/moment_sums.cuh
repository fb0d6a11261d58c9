// From what the teams of the moment kernel leave in shared memory to the fixed-point sums: each block of a cluster
// takes a share of the statistics, and adds up the integers of all units of the cluster before they go to device
// memory.
#pragma once

#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/moment_rows.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Where column c of M lies in its row of the exchange: with rows an odd number of words apart, neither the stores of
/// accumulators (lanes differ in bits 2 and 3 of the column and bits 1 to 3 of the row) nor 32 consecutive columns or
/// rows of a read share a bank.
__device__ __forceinline__ int exchange_column(int c) {
    return (c & ~31) | (c >> 3 & 1) << 4 | (c >> 4 & 1) << 3 | (c & 3) << 1 | (c >> 2 & 1);
}

/// Where M of a list begins in the exchange of its team.
template <int D>
__device__ __forceinline__ int product_at(int list) {
    using L = moment_layout<D>;
    return list / L::halves * L::product_bytes + list % L::halves * 32 * (L::exchange_width + 1) * 4;
}

/// Where one number lies in the exchange of each block of the cluster: as a double, or as M_ij and M_ji.
struct exchanged_number {
    unsigned first, second;
    bool whole;

    /// What the units of all blocks have, in units of the sum: a sum that is an S2 is to be multiplied by
    /// factors[rank], all by `unit`; blocks with a factor of 0 have nothing.
    __device__ __forceinline__ fixed_partials sum(const double* factors, int ranks, double unit) const {
        constexpr int batch = 4; // reads of another multiprocessor that are on their way
        fixed_partials result;
        for (int begin = 0; begin < ranks; begin += batch) {
            unsigned words[batch][2];
            double factor[batch];
#pragma unroll
            for (int r = 0; r < batch; ++r) {
                factor[r] = factors[begin + r];
                if (factor[r] != 0) {
                    words[r][0] = load_in_cluster(address_in_rank(first, begin + r));
                    words[r][1] = load_in_cluster(address_in_rank(second, begin + r));
                }
            }
#pragma unroll
            for (int r = 0; r < batch; ++r)
                if (factor[r] != 0) {
                    const double both = static_cast<double>(__uint_as_float(words[r][0])) +
                                        static_cast<double>(__uint_as_float(words[r][1]));
                    result.add((whole ? __hiloint2double(words[r][1], words[r][0]) : both * factor[r]) * unit);
                }
        }
        return result;
    }
};

/// The factors of all components and blocks of the cluster, 0 where there is none: [components][most_moment_ranks].
template <int D>
__device__ __forceinline__ void gather_factors(unsigned memory, int components, double* factors) {
    using L = moment_layout<D>;
    static_assert(L::components * most_moment_ranks <= L::threads);
    const int i = static_cast<int>(threadIdx.x), component = i / most_moment_ranks, rank = i % most_moment_ranks;
    if (component < L::components) {
        const unsigned own = memory + component / L::lists * L::team_bytes + L::scale_at + component % L::lists * 8;
        double factor = 0;
        if (component < components && rank < cluster_size()) {
            const unsigned there = address_in_rank(own, rank);
            factor = __hiloint2double(load_in_cluster(there + 4), load_in_cluster(there));
        }
        factors[i] = factor;
    }
    __syncthreads();
}

/// Adds what all blocks of the cluster have left, `memory`, of the components from `first` on; a warp takes N and S1 of
/// a component, or a row of S2 = (M + Mᵀ) / 2. `factors`: room for gather_factors.
template <int D>
__device__ __forceinline__ void add_moments(const moment_arguments& p, int first, unsigned memory, double* factors) {
    using L = moment_layout<D>;
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int ranks = cluster_size(), warps = L::threads / 32, components = min(L::components, p.components - first);
    const double unit = power_of_two(-p.sums.component_exponent);
    gather_factors<D>(memory, components, factors);
    for (int item = cluster_rank() * warps + warp; item < components * (1 + p.d); item += ranks * warps) {
        const int component = item / (1 + p.d), i = item % (1 + p.d) - 1, list = component % L::lists;
        const unsigned team = memory + component / L::lists * L::team_bytes, products = team + product_at<D>(list);
        std::int64_t to = (first + component) * statistics_size(gmm::family::full, p.d);
        to += i < 0 ? 0 : 1 + p.d + packed_upper(i, i, p.d);
        const int begin = max(i, 0), numbers = i < 0 ? 1 + p.d : p.d - i;
        for (int n = lane; n < numbers; n += 32) {
            const int j = begin + n;
            const unsigned whole = team + L::first_at + (list * (1 + D) + j) * 8;
            const unsigned upper = products + (begin * L::exchange_width + exchange_column(j)) * 4;
            const unsigned lower = products + (j * L::exchange_width + exchange_column(begin)) * 4;
            const exchanged_number number{i < 0 ? whole : upper, i < 0 ? whole + 4 : lower, i < 0};
            number.sum(factors + component * most_moment_ranks, ranks, unit).flush(p.sums.limbs, p.sums.count, to + n);
        }
    }
}

} // namespace elbo::kernels::cuda
