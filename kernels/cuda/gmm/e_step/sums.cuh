// Partial sums into the fixed-point sums of a fit, and sums over a block.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/math/fixed_point.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Float64 partials of one sum, in its units, as integers: several of one thread then cost the additions of one.
/// Integer addition commutes, so neither this nor the order of the blocks changes a bit.
struct fixed_partials {
    std::int64_t parts[limb_count] = {};

    __device__ void add(double units) {
        std::int64_t more[limb_count];
        split_units(units, more);
        for (int l = 0; l < limb_count; ++l)
            parts[l] += more[l];
    }
    __device__ void flush(std::int64_t* limbs, std::int64_t count, std::int64_t at) const {
        for (int l = 0; l < limb_count; ++l)
            if (parts[l] != 0)
                atomicAdd(reinterpret_cast<unsigned long long*>(limbs + l * count + at),
                          static_cast<unsigned long long>(parts[l]));
    }
};

/// Adds a float64 partial.
__device__ inline void add_fixed(std::int64_t* limbs, std::int64_t count, std::int64_t at, double value, int exponent) {
    fixed_partials sum;
    sum.add(value * power_of_two(-exponent));
    sum.flush(limbs, count, at);
}

__device__ inline double read_fixed(const device_sums& s, std::int64_t at, int exponent) {
    return s.values ? s.values[at] : join_fixed(s.limbs, s.count, at, exponent);
}

struct sum_of {
    __device__ double operator()(double a, double b) const { return a + b; }
};

/// Reduces over a warp, in a tree; every lane gets the result.
template <class Operation>
__device__ double warp_reduce(double value, Operation operation) {
    for (int distance = 16; distance > 0; distance /= 2)
        value = operation(value, __shfl_xor_sync(0xffffffffu, value, distance));
    return value;
}

/// Reduces over all threads of the block, in an order fixed by the number of threads; every thread gets the result.
/// `scratch` is 32 doubles of shared memory.
template <class Operation>
__device__ double block_reduce(double value, double* scratch, Operation operation) {
    value = warp_reduce(value, operation);
    const int warps = static_cast<int>(blockDim.x) / 32;
    __syncthreads(); // the scratch of the last call has been read
    if (threadIdx.x % 32 == 0)
        scratch[threadIdx.x / 32] = value;
    __syncthreads();
    value = scratch[0];
    for (int i = 1; i < warps; ++i)
        value = operation(value, scratch[i]);
    return value;
}

__device__ inline double block_sum(double value, double* scratch) {
    return block_reduce(value, scratch, sum_of());
}

/// For how many threads of the block a condition holds, and whether it does for all. These barriers take whole warps,
/// and a condition is often found in a loop or a branch that not every lane takes: the lanes meet first.
__device__ inline int block_count(bool condition) {
    __syncwarp();
    return __syncthreads_count(condition);
}
__device__ inline bool block_all(bool condition) {
    __syncwarp();
    return __syncthreads_and(condition) != 0;
}

/// Whether every component is near enough, asked by all threads of a block.
__device__ inline bool all_near(const int* near, int components) {
    bool all = true;
    for (int k = static_cast<int>(threadIdx.x); k < components; k += static_cast<int>(blockDim.x))
        all = all && near[k] != 0;
    return block_all(all);
}

} // namespace elbo::kernels::cuda
