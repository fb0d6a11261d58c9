// What the re-blocking of chunks in device memory needs of the CUDA back end. Defined in kernels/cuda/device_copy.cu; a
// build without CUDA throws not_available.
#pragma once

#include <cstdint>
#include <memory>

namespace elbo::io {

/// Device memory for `rows` rows of `row_bytes` bytes. Throws out_of_memory and cuda_error.
std::shared_ptr<void> allocate_device_rows(std::int64_t rows, std::int64_t row_bytes);
/// Copies device memory to device memory on the device's default stream and waits for it. Throws cuda_error.
void copy_device_rows(void* to, const void* from, std::int64_t bytes);

} // namespace elbo::io
