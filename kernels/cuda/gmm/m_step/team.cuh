// The threads that work on one component or matrix of the M-step: a warp, so that a block has several, all of a block,
// or all of a cluster of blocks. The first two add up in the same order where there is one warp.
#pragma once

#include "kernels/cuda/core/cluster.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/e_step/tuning.hpp"

namespace elbo::kernels::cuda {

struct larger {
    __device__ double operator()(double a, double b) const { return a > b ? a : b; }
};

struct warp_team {
    using element = int; ///< counts elements of its matrix: a division of 64-bit numbers takes a hundred instructions
    static constexpr bool whole_block = false, whole_cluster = false;
    static constexpr int most_threads = 256; ///< of a block
    __device__ static int blocks() { return 1; }
    __device__ static int rank() { return static_cast<int>(threadIdx.x) % 32; }
    __device__ static int size() { return 32; }
    __device__ static int index() { return static_cast<int>(threadIdx.x) / 32; } ///< of the team in its block
    __device__ static int count() { return static_cast<int>(blockDim.x) / 32; }  ///< teams of a block
    __device__ static void sync() { __syncwarp(); }
    /// The items 0 ... count − 1, count not above factor_threads for matrices that a warp has: each a lane, no loop.
    template <class Work>
    __device__ static void each(std::int64_t count, const Work& work) {
        if (rank() < static_cast<int>(count))
            work(rank());
    }
    template <class Operation>
    __device__ double reduce(double value, Operation operation) const {
        __syncwarp(); // what the lanes wrote before is seen behind it, as in a block
        return warp_reduce(value, operation);
    }
    __device__ double sum(double value) const { return reduce(value, sum_of()); }
    /// The same, to the bit, where only the first `count` lanes have something to add: with as many exchanges as that
    /// takes, and one that hands the result on.
    template <class Operation>
    __device__ double reduce_first(std::int64_t count, double value, Operation operation) const {
        __syncwarp();
        int width = 1;
        while (width < count && width < 32)
            width *= 2;
        value = __shfl_sync(0xffffffffu, value, rank() & (width - 1));
        for (int distance = width / 2; distance > 0; distance /= 2)
            value = operation(value, __shfl_xor_sync(0xffffffffu, value, distance));
        return value;
    }
    __device__ double sum_first(std::int64_t count, double value) const { return reduce_first(count, value, sum_of()); }
    /// Whether a condition holds for any thread of the team.
    __device__ static bool any(bool condition) {
        __syncwarp();
        return __any_sync(0xffffffffu, condition) != 0;
    }
    /// The value of one thread.
    __device__ static double from(double value, int thread) {
        __syncwarp();
        return __shfl_sync(0xffffffffu, value, thread);
    }
};

/// What the teams of whole blocks have in common.
template <class Team>
struct large_team {
    using element = std::int64_t;
    static constexpr bool whole_block = true;
    static constexpr int most_threads = 256;
    __device__ static int index() { return 0; }
    __device__ static int count() { return 1; }
    template <class Work>
    __device__ static void each(std::int64_t count, const Work& work) {
        for (int i = Team::rank(); i < count; i += Team::size())
            work(i);
    }
    template <class Operation>
    __device__ double reduce_first(std::int64_t, double value, Operation operation) const {
        return static_cast<const Team&>(*this).reduce(value, operation);
    }
    __device__ double sum_first(std::int64_t count, double value) const { return reduce_first(count, value, sum_of()); }
};

struct block_team : large_team<block_team> {
    double* scratch; ///< 32 doubles of shared memory

    static constexpr bool whole_cluster = false;
    __device__ explicit block_team(double* memory) : scratch(memory) {}
    __device__ static int blocks() { return 1; }
    __device__ static int block() { return 0; }
    __device__ static int rank() { return static_cast<int>(threadIdx.x); }
    __device__ static int size() { return static_cast<int>(blockDim.x); }
    __device__ static void sync() { __syncthreads(); }
    template <class Operation>
    __device__ double reduce(double value, Operation operation) const {
        return block_reduce(value, scratch, operation);
    }
    __device__ double sum(double value) const { return reduce(value, sum_of()); }
    __device__ static bool any(bool condition) { return !block_all(!condition); }
    __device__ double from(double value, int thread) const {
        __syncthreads(); // the scratch of the last call has been read
        if (rank() == thread)
            scratch[0] = value;
        __syncthreads();
        return scratch[0];
    }
};

/// Its threads share device memory; shared memory is that of each block.
struct cluster_team : large_team<cluster_team> {
    double* scratch; ///< 32 doubles of shared memory of each block, ...
    double* parts;   ///< and one for each block of the cluster

    static constexpr bool whole_cluster = true;
    __device__ cluster_team(double* memory, double* of_blocks) : scratch(memory), parts(of_blocks) {}
    __device__ static int blocks() { return cluster_size(); }
    __device__ static int block() { return cluster_rank(); }
    __device__ static int rank() { return block() * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x); }
    __device__ static int size() { return blocks() * static_cast<int>(blockDim.x); }
    __device__ static void sync() {
        __syncwarp();
        cluster_sync();
    }
    /// In each block, then over the blocks: as block_team where the other blocks have nothing to add.
    template <class Operation>
    __device__ double reduce(double value, Operation operation) const {
        value = block_reduce(value, scratch, operation);
        sync(); // the parts of the last call have been read
        if (static_cast<int>(threadIdx.x) < blocks())
            store_in_rank(parts + block(), static_cast<int>(threadIdx.x), value);
        sync();
        value = parts[0];
        for (int i = 1; i < blocks(); ++i)
            value = operation(value, parts[i]);
        return value;
    }
    __device__ double sum(double value) const { return reduce(value, sum_of()); }
    __device__ bool any(bool condition) const { return reduce(condition ? 1 : 0, larger()) > 0; }
    /// The value of one thread of the first block.
    __device__ double from(double value, int thread) const {
        sync();
        if (rank() == thread)
            for (int i = 0; i < blocks(); ++i)
                store_in_rank(parts, i, value);
        sync();
        return parts[0];
    }
};

/// The team of this thread, one of each kind in a kernel.
template <class Team>
__device__ Team make_team() {
    if constexpr (Team::whole_cluster) {
        __shared__ double scratch[32], parts[most_ranks];
        return {scratch, parts};
    } else if constexpr (Team::whole_block) {
        __shared__ double scratch[32];
        return Team(scratch);
    } else {
        return {};
    }
}

} // namespace elbo::kernels::cuda
