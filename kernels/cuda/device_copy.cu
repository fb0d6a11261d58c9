// Re-blocking of chunks that lie in device memory (host/io/device_copy.hpp).
#include "host/io/device_copy.hpp"

#include "elbo/error.hpp"
#include "host/io/memory.hpp"

#include <cuda_runtime_api.h>

#include <string>

namespace elbo::io {
namespace {

void check(cudaError_t status, const char* call, int line) {
    if (status != cudaSuccess)
        throw cuda_error(std::string(call) + " failed: " + cudaGetErrorString(status) +
                         " (device_copy.cu:" + std::to_string(line) + ")");
}

} // namespace

std::shared_ptr<void> allocate_device_rows(std::int64_t rows, std::int64_t row_bytes) {
    const std::optional<std::int64_t> bytes = checked_product(rows, row_bytes);
    void* memory = nullptr;
    const cudaError_t status =
        bytes ? cudaMalloc(&memory, static_cast<std::size_t>(*bytes)) : cudaErrorMemoryAllocation;
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError(); // the error is reported here, later calls must not see it
        std::size_t free_bytes = 0, total_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo", __LINE__);
        const auto wanted = static_cast<std::uint64_t>(bytes.value_or(INT64_MAX));
        throw out_of_memory("cannot allocate " + std::to_string(wanted) + " bytes on the device to gather a batch, " +
                                std::to_string(free_bytes) + " are free",
                            wanted, free_bytes);
    }
    check(status, "cudaMalloc", __LINE__);
    return {memory, [](void* p) { cudaFree(p); }};
}

void copy_device_rows(void* to, const void* from, std::int64_t bytes) {
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, nullptr),
          "cudaMemcpyAsync", __LINE__);
    // The batch may be used on any stream as soon as next() returns.
    check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize", __LINE__);
}

} // namespace elbo::io
