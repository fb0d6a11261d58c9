// What the re-blocking of chunks in device memory needs of the CUDA back end. Defined in
// kernels/cuda/core/device_copy.cpp; a build without CUDA throws not_available.
#pragma once

#include <cstdint>
#include <memory>

namespace elbo::io {

/// Memory for `rows` rows of `row_bytes` bytes on the device that holds `beside`. Throws out_of_memory and cuda_error.
std::shared_ptr<void> allocate_device_rows(const void* beside, std::int64_t rows, std::int64_t row_bytes);
/// Copies `rows` rows of `row_bytes` bytes, `stride_bytes` apart in device memory, to where they lie densely packed in
/// device or host memory, on the default stream of the device, and waits for it. Throws cuda_error.
void copy_device_rows(void* to, const void* from, std::int64_t rows, std::int64_t row_bytes, std::int64_t stride_bytes);

} // namespace elbo::io
