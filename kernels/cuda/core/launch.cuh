// The one place where kernels are launched.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/gmm/e_step/tuning.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace elbo::kernels::cuda {

#ifdef ELBO_CUDA_SYNC_AFTER_LAUNCH
inline constexpr bool sync_after_launch = true;
#else
inline constexpr bool sync_after_launch = false;
#endif

/// Blocks of a kernel that the device runs at the same time.
template <class... P>
std::int64_t blocks_together(const internal::cuda_state& state, const launch_shape& shape, void (*kernel)(P...)) {
    int each = 0; // of a multiprocessor
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, shape.threads,
                                                        static_cast<std::size_t>(shape.shared_bytes)),
          "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    return std::int64_t(each) * state.multiprocessors;
}

/// Whether the code that the device runs was compiled for compute capability 9.0 or newer: wait_for_predecessor does
/// nothing in any other (core/dependent.cuh), whatever the device can do.
template <class... P>
bool waits_for_predecessor(void (*kernel)(P...)) {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    return attributes.ptxVersion >= 90;
}

/// The shape of a launch of a kernel that keeps the rule of core/dependent.cuh.
inline launch_shape dependent(launch_shape shape) {
    shape.dependent = true;
    return shape;
}

/// Launches on the context's stream and checks the launch.
template <class... P, class... A>
void launch(const internal::cuda_state& state, const char* name, const launch_shape& shape, void (*kernel)(P...),
            A&&... args) {
    if (shape.blocks == 0)
        return; // an empty problem is not an error
    // More than 48 KB of shared memory must be asked for, and the kernel's static arrays count, too.
    if (shape.shared_bytes > 4 * 1024)
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(shape.shared_bytes)),
              name);
    const std::int64_t blocks =
        shape.together ? std::min(shape.blocks, blocks_together(state, shape, kernel)) : shape.blocks;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(shape.blocks_y));
    config.blockDim = dim3(static_cast<unsigned>(shape.threads));
    config.dynamicSmemBytes = static_cast<std::size_t>(shape.shared_bytes);
    config.stream = state.stream;
    std::array<cudaLaunchAttribute, 2> attributes{};
    config.attrs = attributes.data();
    const auto next = [&](cudaLaunchAttributeID id) -> cudaLaunchAttributeValue& {
        cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
        attribute.id = id;
        return attribute.val;
    };
    if (shape.together)
        next(cudaLaunchAttributeCooperative).cooperative = 1;
    else if (shape.cluster > 1)
        next(cudaLaunchAttributeClusterDimension).clusterDim = {shape.cluster, 1, 1};
    if (shape.dependent && state.dependent_launches && waits_for_predecessor(kernel))
        next(cudaLaunchAttributeProgrammaticStreamSerialization).programmaticStreamSerializationAllowed = 1;
    check(cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...), name);
    if constexpr (sync_after_launch) {
        cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
        check(cudaStreamIsCapturing(state.stream, &capture), name);
        if (capture == cudaStreamCaptureStatusNone)
            check(cudaStreamSynchronize(state.stream), name);
    }
}

} // namespace elbo::kernels::cuda
