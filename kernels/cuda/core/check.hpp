// Failures of CUDA calls as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <source_location>
#include <string>

namespace elbo::kernels::cuda {

[[noreturn]] void throw_cuda_error(cudaError_t status, const char* call, const std::source_location& at);

/// Throws cuda_error with the call (or the kernel), the file and the line unless status is cudaSuccess.
inline void check(cudaError_t status, const char* call,
                  const std::source_location& at = std::source_location::current()) {
    if (status != cudaSuccess)
        throw_cuda_error(status, call, at);
}

/// For destructors: writes the failure to stderr, never throws.
void report(cudaError_t status, const char* call) noexcept;

} // namespace elbo::kernels::cuda
