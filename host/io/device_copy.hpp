// Copies between device and host memory, whatever the direction. Defined in kernels/cuda/device_copy.cu, or in
// kernels/no_cuda.cpp where CUDA is not built.
#pragma once

#include <cstdint>

namespace elbo::io {

/// Copies `bytes` from any memory to any memory and waits. Throws cuda_error or not_available.
void copy_device_rows(void* to, const void* from, std::int64_t bytes);

} // namespace elbo::io
