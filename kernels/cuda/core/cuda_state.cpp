#include "kernels/cuda/core/cuda_state.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>

namespace elbo::kernels::cuda {

unique_stream make_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return unique_stream(stream);
}

unique_event make_event() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    return unique_event(event);
}

} // namespace elbo::kernels::cuda

namespace elbo::internal {

using kernels::cuda::check;

namespace {

std::string version(int number) {
    return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

/// The number of usable devices; where it is 0, why.
int count_devices(std::string& reason) {
    int driver = 0;
    int runtime = 0;
    int count = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess)
        driver = 0;
    check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0)
        return count;
    cudaGetLastError(); // the failure is told in words; later calls shall not find it
    if (driver == 0)
        reason = "no NVIDIA driver is loaded: install one that supports CUDA " + version(runtime) +
                 " or newer (nvidia-smi shows it), or use the cpu back end";
    else if (status == cudaErrorInsufficientDriver)
        reason = "the NVIDIA driver supports CUDA " + version(driver) + ", and this build needs " + version(runtime) +
                 ": update the driver, or use the cpu back end";
    else if (status == cudaErrorNoDevice || status == cudaSuccess)
        reason = "the NVIDIA driver finds no CUDA device (is CUDA_VISIBLE_DEVICES empty?): use the cpu back end";
    else
        reason = fmt::format("CUDA cannot be used: {} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
    return 0;
}

int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
    return value;
}

std::shared_ptr<cuda_state> describe(int ordinal) {
    std::string reason;
    const int count = count_devices(reason);
    if (count == 0)
        throw not_available(reason);
    if (ordinal >= count)
        throw not_available(fmt::format("device ordinal = {}: this machine has {} CUDA device{}, numbered from 0",
                                        ordinal, count, count == 1 ? "" : "s"));
    auto state = std::make_shared<cuda_state>();
    state->device = ordinal;
    state->activate();
    state->name = cuda_device_name(ordinal);
    state->multiprocessors = attribute(cudaDevAttrMultiProcessorCount, ordinal);
    state->shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal);
    return state;
}

} // namespace

std::shared_ptr<cuda_state> make_cuda_state(int ordinal) {
    auto state = describe(ordinal);
    state->owned_stream = kernels::cuda::make_stream();
    state->stream = state->owned_stream.get();
    return state;
}

std::shared_ptr<cuda_state> make_cuda_state_on(int ordinal, cudaStream_t stream) {
    auto state = describe(ordinal);
    state->stream = stream;
    return state;
}

std::string cuda_device_name(int ordinal) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    return properties.name;
}

void wait_for(const cuda_state& state) {
    state.activate();
    check(cudaStreamSynchronize(state.stream), "cudaStreamSynchronize");
}

std::vector<device_info> list_cuda_devices(std::string& status) {
    std::vector<device_info> found;
    const int count = count_devices(status);
    if (count == 0)
        return found;
    status = "available";
    int current = 0;
    check(cudaGetDevice(&current), "cudaGetDevice");
    for (int i = 0; i < count; ++i) {
        device_info info;
        info.where = backend::cuda;
        info.ordinal = i;
        info.name = cuda_device_name(i);
        check(cudaSetDevice(i), "cudaSetDevice");
        std::size_t free = 0;
        std::size_t total = 0;
        check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
        info.free_bytes = static_cast<std::int64_t>(free);
        info.total_bytes = static_cast<std::int64_t>(total);
        info.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, i);
        info.compute_capability = fmt::format("{}.{}", attribute(cudaDevAttrComputeCapabilityMajor, i),
                                              attribute(cudaDevAttrComputeCapabilityMinor, i));
        found.push_back(std::move(info));
    }
    check(cudaSetDevice(current), "cudaSetDevice");
    return found;
}

} // namespace elbo::internal
