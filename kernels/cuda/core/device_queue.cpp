// Copies of rows that lie in device memory, for those who have no context.
#include "elbo/error.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/shared/memory.hpp"

#include <fmt/format.h>
#include <map>
#include <mutex>

namespace elbo::kernels::cuda {

namespace {

/// Makes a device the current one of this thread for a while.
class on_device {
public:
    explicit on_device(int device) {
        check(cudaGetDevice(&previous_), "cudaGetDevice");
        check(cudaSetDevice(device), "cudaSetDevice");
    }
    ~on_device() { report(cudaSetDevice(previous_), "cudaSetDevice"); }
    on_device(const on_device&) = delete;
    on_device& operator=(const on_device&) = delete;

private:
    int previous_ = 0;
};

int device_of(const void* memory) {
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
    return attributes.device;
}

/// The library's own stream on a device, for as long as the program runs.
cudaStream_t own_stream(int device) {
    static std::mutex mutex;
    static std::map<int, cudaStream_t> streams;
    const std::lock_guard lock(mutex);
    cudaStream_t& stream = streams[device];
    if (!stream)
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return stream;
}

class stream_queue final : public device_queue {
public:
    stream_queue(int device, cudaStream_t stream) : device_(device), stream_(stream) {}

    void wait() const override {
        const on_device current(device_);
        check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    }

    std::shared_ptr<void> allocate(std::int64_t rows, std::int64_t row_bytes) const override {
        const on_device current(device_);
        const std::optional<std::int64_t> bytes = io::checked_product(rows, row_bytes);
        void* memory = nullptr;
        const cudaError_t status =
            bytes ? cudaMalloc(&memory, static_cast<std::size_t>(*bytes)) : cudaErrorMemoryAllocation;
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError(); // told by the exception; later calls shall not find it
            std::size_t free_bytes = 0, total_bytes = 0;
            check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
            throw out_of_memory(
                fmt::format("device memory to gather {} rows of {} bytes: {} bytes of the device are free", rows,
                            row_bytes, free_bytes),
                static_cast<std::uint64_t>(bytes.value_or(INT64_MAX)), free_bytes);
        }
        check(status, "cudaMalloc");
        return {memory, [](void* p) { report(cudaFree(p), "cudaFree"); }};
    }

    void copy(void* to, const void* from, std::int64_t rows, std::int64_t row_bytes,
              std::int64_t stride_bytes) const override {
        const on_device current(device_);
        const auto width = static_cast<std::size_t>(row_bytes);
        check(cudaMemcpy2DAsync(to, width, from, static_cast<std::size_t>(stride_bytes), width,
                                static_cast<std::size_t>(rows), cudaMemcpyDefault, stream_),
              "cudaMemcpy2DAsync");
        // The batch may be used on any stream as soon as next() returns.
        check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    }

private:
    int device_;
    cudaStream_t stream_;
};

} // namespace

std::shared_ptr<const device_queue> queue_of(const void* memory) {
    const int device = device_of(memory);
    const on_device current(device);
    const unique_event written = make_event();
    const cudaStream_t stream = own_stream(device);
    check(cudaEventRecord(written.get(), nullptr), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream, written.get(), 0), "cudaStreamWaitEvent");
    return std::make_shared<stream_queue>(device, stream);
}

std::shared_ptr<const device_queue> queue_on(cudaStream_t stream, const void* memory) {
    return std::make_shared<stream_queue>(device_of(memory), stream);
}

} // namespace elbo::kernels::cuda
