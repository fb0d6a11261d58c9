#include "kernels/cuda/core/check.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace elbo::kernels::cuda {

void throw_cuda_error(cudaError_t status, const char* call, const std::source_location& at) {
    const std::string_view path = at.file_name();
    const std::string_view file = path.substr(path.find_last_of('/') + 1);
    throw cuda_error(fmt::format("{} failed: {} ({}), {}:{}", call, cudaGetErrorString(status),
                                 cudaGetErrorName(status), file, at.line()));
}

void report(cudaError_t status, const char* call) noexcept {
    // The runtime may already be unloading when objects of static duration are destroyed.
    if (status != cudaSuccess && status != cudaErrorCudartUnloading)
        std::fprintf(stderr, "elbo: %s failed: %s\n", call, cudaGetErrorString(status));
}

} // namespace elbo::kernels::cuda
