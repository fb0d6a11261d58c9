// Instructions of compute capability 9.0 that C++ has no words for: mbarriers, bulk copies, clusters, named barriers,
// wgmma and its fences. PTX ISA 8.0 and later, sections 9.7.9, 9.7.13 and 9.7.15.
#pragma once

#include "kernels/cuda/core/cluster.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

__device__ __forceinline__ unsigned shared_address(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

// --- mbarriers: 64 bits in shared memory, named by their 32-bit shared address
// ----------------------------------------

__device__ __forceinline__ void barrier_init(unsigned barrier, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
/// The barriers that this thread has made are there for the cluster and for copies.
__device__ __forceinline__ void barrier_init_done() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
/// One arrival that also announces `bytes` of asynchronous copies.
__device__ __forceinline__ void barrier_expect(unsigned barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ __forceinline__ void barrier_wait(unsigned barrier, unsigned parity) {
    unsigned done = 0;
    while (!done)
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
}
/// The same where other blocks of the cluster arrive.
__device__ __forceinline__ void barrier_wait_cluster(unsigned barrier, unsigned parity) {
    unsigned done = 0;
    while (!done)
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
}
/// Arrival on the barrier at the same offset in block `rank` of the cluster. Without ".release.cluster", which becomes
/// a fence of the whole device: the arrival only says that reads are over, nothing was written.
__device__ __forceinline__ void barrier_arrive_remote(unsigned barrier, unsigned rank) {
    asm volatile("{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
                 "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}" ::"r"(barrier),
                 "r"(rank)
                 : "memory");
}

// --- bulk copies and clusters
// -----------------------------------------------------------------------------------------

/// From device memory to the same offset of all blocks in `mask`, each of which gets the bytes counted on its own
/// barrier; addresses and bytes are multiples of 16.
__device__ __forceinline__ void copy_multicast(unsigned to, const void* from, unsigned bytes, unsigned barrier,
                                               unsigned mask) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, "
                 "[%3], %4;" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier), "h"(static_cast<unsigned short>(mask))
                 : "memory");
}
/// From device memory to this block alone.
__device__ __forceinline__ void copy_bulk(unsigned to, const void* from, unsigned bytes, unsigned barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier)
                 : "memory");
}
/// 16 bytes by this thread, past its registers; they are there after wait_copies().
__device__ __forceinline__ void copy_async(unsigned to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_all;" ::: "memory");
}
/// Where block `rank` of the cluster has what lies at `address` in the shared memory of this block.
__device__ __forceinline__ unsigned address_in_rank(unsigned address, int rank) {
    unsigned there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    return there;
}
__device__ __forceinline__ unsigned load_in_cluster(unsigned address) {
    unsigned value;
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(value) : "r"(address));
    return value;
}

// --- named barriers and registers
// -------------------------------------------------------------------------------------

__device__ __forceinline__ void named_sync(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_arrive(int id, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
template <int Registers>
__device__ __forceinline__ void registers_increase() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
__device__ __forceinline__ void registers_decrease() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

// --- wgmma
// ------------------------------------------------------------------------------------------------------------

/// Empty assembly that the compiler cannot move an access of r across: without it ptxas finds accumulators touched
/// while a wgmma is in flight, and lets one wait for the other (warnings C7511, C7517, C7519).
template <int N>
__device__ __forceinline__ void pin(float (&r)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i)
        asm volatile("" : "+f"(r[i])::"memory");
}
template <int N>
__device__ __forceinline__ void pin(unsigned (&r)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i)
        asm volatile("" : "+r"(r[i])::"memory");
}
__device__ __forceinline__ void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int Left>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Left) : "memory");
}
/// Ordinary stores to shared memory become visible to wgmma (then a barrier among the threads).
__device__ __forceinline__ void fence_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Descriptor of an operand without swizzle, made of core matrices (8 lines of 16 bytes, 128 bytes contiguous).
/// K-major: lines are rows of M or N, the two halves of k16 lie `leading` bytes apart, groups of 8 rows `stride` bytes.
/// M- or N-major: lines are of K, the two groups of 8 of k16 lie `leading` bytes apart, groups of 8 rows `stride`
/// bytes.
__device__ __forceinline__ unsigned long long matrix_descriptor(unsigned address, unsigned leading, unsigned stride) {
    return static_cast<unsigned long long>((address & 0x3ffff) >> 4) |
           static_cast<unsigned long long>(leading >> 4) << 16 | static_cast<unsigned long long>(stride >> 4) << 32;
}
/// K-major, the halves of k16 beside each other.
__device__ __forceinline__ unsigned long long core_descriptor(unsigned address) {
    return matrix_descriptor(address, 128, 256);
}

// clang-format off
#define ELBO_F8(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define ELBO_F32(d) ELBO_F8(d, 0), ELBO_F8(d, 8), ELBO_F8(d, 16), ELBO_F8(d, 24)
#define ELBO_F40(d) ELBO_F32(d), ELBO_F8(d, 32)
#define ELBO_F48(d) ELBO_F40(d), ELBO_F8(d, 40)
#define ELBO_F52(d) ELBO_F48(d), "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51])
#define ELBO_F64(d) ELBO_F48(d), ELBO_F8(d, 48), ELBO_F8(d, 56)
#define ELBO_P32 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define ELBO_P40 ELBO_P32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define ELBO_P48 ELBO_P40 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define ELBO_P52 ELBO_P48 ", %48, %49, %50, %51"
#define ELBO_P64 ELBO_P52 ", %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
// clang-format on

/// NAME: D[64 x columns] += A[64 x 16] (registers) · B[16 x columns] (shared memory, K-major or N-major);
/// accumulate = 0: D = A · B. `registers` = columns / 2; then the numbers of the operands that follow these.
#define ELBO_WGMMA_REGISTERS(NAME, columns, registers, n_major, A0, A1, A2, A3, B, P)                                  \
    __device__ __forceinline__ void NAME(float(&d)[registers], const unsigned(&a)[4], unsigned long long b,            \
                                         int accumulate = 1) {                                                         \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #P ", 0;\n"                                                  \
                     "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.f16.f16 {" ELBO_P##registers                \
                     "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B ", p, 1, 1, " #n_major ";\n}"                 \
                     : ELBO_F##registers(d)                                                                            \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));                           \
    }
ELBO_WGMMA_REGISTERS(wgmma_f16, 64, 32, 0, 32, 33, 34, 35, 36, 37)
ELBO_WGMMA_REGISTERS(wgmma_f16_n_major, 64, 32, 1, 32, 33, 34, 35, 36, 37)
ELBO_WGMMA_REGISTERS(wgmma_f16, 80, 40, 0, 40, 41, 42, 43, 44, 45)
ELBO_WGMMA_REGISTERS(wgmma_f16, 96, 48, 0, 48, 49, 50, 51, 52, 53)
ELBO_WGMMA_REGISTERS(wgmma_f16, 104, 52, 0, 52, 53, 54, 55, 56, 57)
ELBO_WGMMA_REGISTERS(wgmma_f16, 128, 64, 0, 64, 65, 66, 67, 68, 69)
#undef ELBO_WGMMA_REGISTERS

/// The same with both operands in shared memory, K-major.
#define ELBO_WGMMA_SHARED(columns, registers, A, B, P)                                                                 \
    __device__ __forceinline__ void wgmma_f16(float(&d)[registers], unsigned long long a, unsigned long long b,        \
                                              int accumulate = 1) {                                                    \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #P ", 0;\n"                                                  \
                     "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.f16.f16 {" ELBO_P##registers                \
                     "}, %" #A ", %" #B ", p, 1, 1, 0, 0;\n}"                                                          \
                     : ELBO_F##registers(d)                                                                            \
                     : "l"(a), "l"(b), "r"(accumulate));                                                               \
    }
ELBO_WGMMA_SHARED(64, 32, 32, 33, 34)
ELBO_WGMMA_SHARED(128, 64, 64, 65, 66)
#undef ELBO_WGMMA_SHARED

#undef ELBO_F8
#undef ELBO_F32
#undef ELBO_F40
#undef ELBO_F48
#undef ELBO_F52
#undef ELBO_F64
#undef ELBO_P32
#undef ELBO_P40
#undef ELBO_P48
#undef ELBO_P52
#undef ELBO_P64

/// Four 8 x 8 matrices of 16-bit elements from fragments to shared memory; lane l holds the address of row l % 8 of
/// matrix l / 8.
__device__ __forceinline__ void store_matrices(unsigned address, unsigned a, unsigned b, unsigned c, unsigned d) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(a), "r"(b),
                 "r"(c), "r"(d)
                 : "memory");
}

} // namespace elbo::kernels::cuda
