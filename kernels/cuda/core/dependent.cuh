// Programmatic dependent launch (launch_shape::dependent): a kernel begins while the one before it in the stream still
// runs, as soon as every block of that one has called let_successor_start or has ended. Where a kernel was launched
// otherwise, and on devices below compute capability 9.0, both functions do nothing.
//
// The rule for every kernel that is launched so:
//   1. What can be done ahead: set shared memory up, read what neither the kernel before it nor the host writes in
//      between, such as weights in a pass. Nothing is written to device memory.
//   2. wait_for_predecessor(), by every thread, or by one before a barrier of its block: the kernel before it has
//   ended,
//      and what it wrote can be read.
//   3. let_successor_start(), by every thread, after that and not earlier: so whoever runs ahead of step 2 can rely on
//      all kernels but the one just before it having ended. Called early, the next kernel's step 1 and its launch are
//      hidden behind this one; the blocks of both then share the multiprocessors.
// After step 2 nothing is read through pointers that are const and __restrict__, nor by __ldg, which the compiler may
// move ahead of it. A block that ends without step 2 is allowed if it wrote nothing, as long as another one of the
// kernel waits. The emulator reports accesses that break the rule.
#pragma once

namespace elbo::kernels::cuda {

/// All kernels before this one have ended; what they wrote in device memory can be read, what they read overwritten.
__device__ inline void wait_for_predecessor() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// The next kernel of the stream may begin once all blocks have called this.
__device__ inline void let_successor_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

} // namespace elbo::kernels::cuda
