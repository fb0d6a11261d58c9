// Blocks of a cluster: their number, barriers, and stores into each other's shared memory. On devices without clusters
// a block is one of its own.
#pragma once

#include <cstdint>

namespace elbo::kernels::cuda {

/// The number of this block in its cluster.
__device__ inline int cluster_rank() {
#if __CUDA_ARCH__ >= 900
    unsigned rank = 0;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return static_cast<int>(rank);
#else
    return 0;
#endif
}

/// The number of its blocks.
__device__ inline int cluster_size() {
#if __CUDA_ARCH__ >= 900
    unsigned size = 0;
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    return static_cast<int>(size);
#else
    return 1;
#endif
}

/// All threads of all blocks of the cluster: what they stored before, in device memory or in their own shared memory or
/// that of others, can be read after.
__device__ inline void cluster_sync() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
    __syncthreads();
#endif
}

/// Stores to the place of `own`, a variable in shared memory, in block `rank` of the cluster.
__device__ inline void store_in_rank(double* own, int rank, double value) {
#if __CUDA_ARCH__ >= 900
    const auto here = static_cast<unsigned>(__cvta_generic_to_shared(own));
    unsigned there = 0;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
    asm volatile("st.shared::cluster.f64 [%0], %1;" ::"r"(there), "d"(value) : "memory");
#else
    *own = value;
#endif
}
/// The same of 16 bytes.
__device__ inline void store_in_rank(float4* own, int rank, const float4& value) {
#if __CUDA_ARCH__ >= 900
    const auto here = static_cast<unsigned>(__cvta_generic_to_shared(own));
    unsigned there = 0;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
    asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(there), "f"(value.x), "f"(value.y),
                 "f"(value.z), "f"(value.w)
                 : "memory");
#else
    *own = value;
#endif
}

} // namespace elbo::kernels::cuda
