// Re-blocking of chunks that lie in device memory (kernels/contract/device_copy.hpp).
#include "kernels/contract/device_copy.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/core/check.hpp"
#include "kernels/shared/memory.hpp"

#include <fmt/format.h>

namespace elbo::io {
namespace {

using kernels::cuda::check;
using kernels::cuda::report;

// Makes the device that holds `memory` the current one of this thread for a while.
class on_device_of {
public:
    explicit on_device_of(const void* memory) {
        cudaPointerAttributes attributes{};
        check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
        check(cudaGetDevice(&previous_), "cudaGetDevice");
        check(cudaSetDevice(attributes.device), "cudaSetDevice");
    }
    ~on_device_of() { report(cudaSetDevice(previous_), "cudaSetDevice"); }
    on_device_of(const on_device_of&) = delete;
    on_device_of& operator=(const on_device_of&) = delete;

private:
    int previous_ = 0;
};

} // namespace

std::shared_ptr<void> allocate_device_rows(const void* beside, std::int64_t rows, std::int64_t row_bytes) {
    const on_device_of device(beside);
    const std::optional<std::int64_t> bytes = checked_product(rows, row_bytes);
    void* memory = nullptr;
    const cudaError_t status =
        bytes ? cudaMalloc(&memory, static_cast<std::size_t>(*bytes)) : cudaErrorMemoryAllocation;
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError(); // told by the exception; later calls shall not find it
        std::size_t free_bytes = 0, total_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
        throw out_of_memory(fmt::format("device memory to gather {} rows of {} bytes: {} bytes of the device are free",
                                        rows, row_bytes, free_bytes),
                            static_cast<std::uint64_t>(bytes.value_or(INT64_MAX)), free_bytes);
    }
    check(status, "cudaMalloc");
    return {memory, [](void* p) { report(cudaFree(p), "cudaFree"); }};
}

void copy_device_rows(void* to, const void* from, std::int64_t rows, std::int64_t row_bytes,
                      std::int64_t stride_bytes) {
    const on_device_of device(from);
    const auto width = static_cast<std::size_t>(row_bytes);
    check(cudaMemcpy2DAsync(to, width, from, static_cast<std::size_t>(stride_bytes), width,
                            static_cast<std::size_t>(rows), cudaMemcpyDefault, nullptr),
          "cudaMemcpy2DAsync");
    // The batch may be used on any stream as soon as next() returns.
    check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

} // namespace elbo::io
