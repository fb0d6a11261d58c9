#include "elbo/interop.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/core/cuda_state.hpp"

#include <fmt/format.h>

namespace elbo {

context context_on_stream(cudaStream_t stream, int ordinal) {
    if (ordinal < 0)
        throw invalid_argument(fmt::format("device ordinal = {}: expected 0 or more", ordinal));
    return context(internal::open_device_on(ordinal, stream));
}

cudaStream_t stream_of(const context& ctx) {
    if (!ctx.state().cuda)
        throw invalid_argument(
            fmt::format("the context is {}: expected a cuda context, which alone has a stream", ctx.name()));
    return ctx.state().cuda->stream;
}

} // namespace elbo
