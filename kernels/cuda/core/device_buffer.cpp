#include "kernels/cuda/core/device_buffer.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

[[noreturn]] void throw_out_of_memory(const char* where, std::string_view label, std::int64_t bytes) {
    cudaGetLastError(); // told by the exception; later calls shall not find it
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    throw out_of_memory(fmt::format("{} memory for {}: {} bytes wanted, {} of {} bytes of the device are free", where,
                                    label, bytes, free, total),
                        static_cast<std::uint64_t>(bytes), free);
}

} // namespace

void* allocate_device(const internal::cuda_state& state, std::string_view label, std::int64_t bytes) {
    state.activate();
    void* data = nullptr;
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1));
    cudaError_t status = cudaMallocFromPoolAsync(&data, size, state.pool.get(), state.stream);
    if (status == cudaErrorMemoryAllocation) { // what the pool keeps may be in the way
        cudaGetLastError();
        internal::wait_for(state);
        check(cudaMemPoolTrimTo(state.pool.get(), 0), "cudaMemPoolTrimTo");
        status = cudaMallocFromPoolAsync(&data, size, state.pool.get(), state.stream);
    }
    if (status == cudaErrorMemoryAllocation)
        throw_out_of_memory("device", label, bytes);
    check(status, "cudaMallocFromPoolAsync");
    return data;
}

void free_device(const internal::cuda_state& state, void* data) noexcept {
    report(cudaSetDevice(state.device), "cudaSetDevice");
    report(cudaFreeAsync(data, state.stream), "cudaFreeAsync");
}

void* allocate_pinned(const internal::cuda_state& state, std::string_view label, std::int64_t bytes) {
    state.activate();
    void* data = nullptr;
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1));
    const cudaError_t status = cudaHostAlloc(&data, size, cudaHostAllocMapped | cudaHostAllocPortable);
    if (status == cudaErrorMemoryAllocation)
        throw_out_of_memory("pinned host", label, bytes);
    check(status, "cudaHostAlloc");
    return data;
}

void free_pinned(void* data) noexcept {
    report(cudaFreeHost(data), "cudaFreeHost");
}

} // namespace elbo::kernels::cuda
