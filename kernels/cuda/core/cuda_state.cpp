#include "kernels/cuda/core/cuda_state.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/core/architectures.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <string_view>

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

unique_pool make_pool(int device, std::uint64_t kept) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location = {cudaMemLocationTypeDevice, device};
    cudaMemPool_t pool = nullptr;
    check(cudaMemPoolCreate(&pool, &properties), "cudaMemPoolCreate");
    unique_pool owned(pool);
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), "cudaMemPoolSetAttribute");
    return owned;
}

} // namespace elbo::kernels::cuda

namespace elbo::internal {

using kernels::cuda::check;

namespace {

std::string version(int number) {
    return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

/// The number of usable devices, at least one; throws not_available, saying why there are none.
int count_devices() {
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
        throw not_available("no NVIDIA driver is loaded: install one that supports CUDA " + version(runtime) +
                            " or newer (nvidia-smi shows it), or use the cpu back end");
    if (status == cudaErrorInsufficientDriver)
        throw not_available("the NVIDIA driver supports CUDA " + version(driver) + ", and this build needs " +
                            version(runtime) + ": update the driver, or use the cpu back end");
    if (status == cudaErrorNoDevice || status == cudaSuccess)
        throw not_available(
            "the NVIDIA driver finds no CUDA device (is CUDA_VISIBLE_DEVICES empty?): use the cpu back end");
    throw not_available(
        fmt::format("CUDA cannot be used: {} ({})", cudaGetErrorString(status), cudaGetErrorName(status)));
}

int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
    return value;
}

cudaDeviceProp properties_of(int ordinal) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    return properties;
}

/// Without a stream.
std::shared_ptr<context_state> describe(int ordinal, const char* remark) {
    const int count = count_devices();
    if (ordinal >= count)
        throw not_available(fmt::format("device ordinal = {}: this machine has {} CUDA device{}, numbered from 0",
                                        ordinal, count, count == 1 ? "" : "s"));
    const cudaDeviceProp properties = properties_of(ordinal);
    const std::string missing =
        kernels::cuda::missing_code(ELBO_CUDA_CODE, ordinal, properties.name, properties.major, properties.minor);
    if (!missing.empty())
        throw not_available(missing);
    auto state = std::make_shared<cuda_state>();
    state->device = ordinal;
    state->activate();
    state->multiprocessors = attribute(cudaDevAttrMultiProcessorCount, ordinal);
    state->shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal);
    state->dependent_launches = properties.major >= 9;
    state->pool = kernels::cuda::make_pool(ordinal, properties.totalGlobalMem / 16);
    const std::string name = fmt::format("{} (cuda:{}{})", properties.name, ordinal, remark);
    auto context = std::make_shared<context_state>(kernels::cuda_table, name);
    context->device = ordinal;
    context->cuda = std::move(state);
    return context;
}

} // namespace

std::shared_ptr<context_state> open_device(int ordinal) {
    auto context = describe(ordinal, "");
    context->cuda->owned_stream = kernels::cuda::make_stream();
    context->cuda->stream = context->cuda->owned_stream.get();
    return context;
}

std::shared_ptr<context_state> open_device_on(int ordinal, cudaStream_t stream) {
    auto context = describe(ordinal, ", caller's stream");
    context->cuda->stream = stream;
    return context;
}

void wait_for(const cuda_state& state) {
    state.activate();
    check(cudaStreamSynchronize(state.stream), "cudaStreamSynchronize");
}

void copy_on_stream(const cuda_state& state, void* to, std::int64_t to_stride, const void* from,
                    std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows) {
    state.activate();
    check(cudaMemcpy2DAsync(to, static_cast<std::size_t>(to_stride), from, static_cast<std::size_t>(from_stride),
                            static_cast<std::size_t>(row_bytes), static_cast<std::size_t>(rows), cudaMemcpyDefault,
                            state.stream),
          "cudaMemcpy2DAsync");
}

std::vector<device_info> list_cuda_devices() {
    const int count = count_devices();
    std::vector<device_info> found;
    int current = 0;
    check(cudaGetDevice(&current), "cudaGetDevice");
    for (int i = 0; i < count; ++i) {
        device_info info;
        info.where = backend::cuda;
        info.ordinal = i;
        info.name = properties_of(i).name;
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
