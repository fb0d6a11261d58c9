// What a CUDA context owns: a device, a stream and the limits that launch shapes depend on.
#pragma once

#include "kernels/contract/context_state.hpp"
#include "kernels/cuda/core/check.hpp"

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace elbo::kernels::cuda {

template <auto Destroy>
struct destroy_handle {
    template <class Handle>
    void operator()(Handle* handle) const noexcept {
        report(Destroy(handle), "destroying a CUDA handle");
    }
};
/// Owner of a handle that `Destroy` gives back.
template <class Handle, auto Destroy>
using unique_handle = std::unique_ptr<std::remove_pointer_t<Handle>, destroy_handle<Destroy>>;

using unique_stream = unique_handle<cudaStream_t, cudaStreamDestroy>;
using unique_event = unique_handle<cudaEvent_t, cudaEventDestroy>;
using unique_pool = unique_handle<cudaMemPool_t, cudaMemPoolDestroy>;
using unique_graph = unique_handle<cudaGraph_t, cudaGraphDestroy>;
using unique_graph_exec = unique_handle<cudaGraphExec_t, cudaGraphExecDestroy>;

/// A stream that does not wait for the default stream, and an event without a time, on the current device.
unique_stream make_stream();
unique_event make_event();
/// A pool of memory of the device that keeps up to `kept` bytes of what was given back.
unique_pool make_pool(int device, std::uint64_t kept);

/// A stream of the library's on the device that holds `memory`, after what is on the default stream; or the caller's.
std::shared_ptr<const device_queue> queue_of(const void* memory);
std::shared_ptr<const device_queue> queue_on(cudaStream_t stream, const void* memory);

} // namespace elbo::kernels::cuda

namespace elbo::internal {

/// Least width and rows of a layer that is multiplied by cuBLASLt (vae/wide/shape.hpp). Tests lower them.
struct wide_limits {
    std::int64_t width = 128, rows = 512;
};

struct cuda_state {
    int device = 0;
    cudaStream_t stream = nullptr;             ///< all work of the context is enqueued here
    kernels::cuda::unique_stream owned_stream; ///< empty where the caller owns the stream
    /// Of all memory of the context; keeps what was given back for what is asked for next, up to a 16th of the device's
    /// memory, so that a fit after another does not pay for pages again.
    kernels::cuda::unique_pool pool;
    int multiprocessors = 0;
    std::int64_t shared_bytes = 0; ///< largest dynamic shared memory of a block
    /// Whether launches may be dependent (launch_shape::dependent): compute capability 9.0 or newer, and no graph with
    /// such launches was refused (core/graph.hpp).
    bool dependent_launches = false;
    wide_limits wide;

    /// Makes the device current in the calling thread.
    void activate() const { kernels::cuda::check(cudaSetDevice(device), "cudaSetDevice"); }
};

/// What a context owns on device `ordinal`: with a stream of its own, or on one of the caller's, who destroys it after
/// the context. Throws not_available, saying why.
std::shared_ptr<context_state> open_device(int ordinal);
std::shared_ptr<context_state> open_device_on(int ordinal, cudaStream_t stream);
/// Waits for all work on the stream.
void wait_for(const cuda_state& state);
/// Copies rows of row_bytes bytes between any memories, in the order of the stream; strides in bytes.
void copy_on_stream(const cuda_state& state, void* to, std::int64_t to_stride, const void* from,
                    std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows);
/// Throws not_available, saying why there are none.
std::vector<device_info> list_cuda_devices();

} // namespace elbo::internal

namespace elbo::kernels::cuda {

/// Copies `count` elements between any memories, in the order of the stream.
template <class T>
void copy_async(const internal::cuda_state& state, T* to, const T* from, std::int64_t count) {
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T), cudaMemcpyDefault, state.stream),
          "cudaMemcpyAsync");
}
/// Sets `count` elements of device memory to zero.
template <class T>
void clear_async(const internal::cuda_state& state, T* data, std::int64_t count) {
    check(cudaMemsetAsync(data, 0, static_cast<std::size_t>(count) * sizeof(T), state.stream), "cudaMemsetAsync");
}

} // namespace elbo::kernels::cuda
