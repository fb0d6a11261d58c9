#include "elbo/interop.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/core/device_buffer.hpp"

#include <fmt/format.h>

namespace elbo {

context context_on_stream(cudaStream_t stream, int ordinal) {
    if (ordinal < 0)
        throw invalid_argument(fmt::format("device ordinal = {}: expected 0 or more", ordinal));
    auto state = std::make_shared<internal::context_state>();
    state->where = backend::cuda;
    state->device = ordinal;
    state->cuda = internal::make_cuda_state_on(ordinal, stream);
    state->name = fmt::format("{} (cuda:{}, caller's stream)", state->cuda->name, ordinal);
    return context(std::move(state));
}

cudaStream_t stream_of(const context& ctx) {
    if (!ctx.state().cuda)
        throw invalid_argument(
            fmt::format("the context is {}: expected a cuda context, which alone has a stream", ctx.name()));
    return ctx.state().cuda->stream;
}

namespace internal {

std::shared_ptr<void> allocate_device(const std::shared_ptr<cuda_state>& state, std::int64_t bytes) {
    void* data = kernels::cuda::allocate_device(*state, "a buffer", bytes);
    return {data, [state](void* p) { kernels::cuda::free_device(*state, p); }};
}

void copy_on_stream(const cuda_state& state, void* to, std::int64_t to_stride, const void* from,
                    std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows) {
    state.activate();
    kernels::cuda::check(cudaMemcpy2DAsync(to, static_cast<std::size_t>(to_stride), from,
                                           static_cast<std::size_t>(from_stride), static_cast<std::size_t>(row_bytes),
                                           static_cast<std::size_t>(rows), cudaMemcpyDefault, state.stream),
                         "cudaMemcpy2DAsync");
}

} // namespace internal
} // namespace elbo
