#include "elbo/interop.hpp"

#include "elbo/error.hpp"
#include "host/io/sources.hpp"
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

data_source source_on_stream(std::vector<any_matrix_view> parts, cudaStream_t stream) {
    for (const any_matrix_view& part : parts)
        if (part.space != memory_space::device)
            throw invalid_argument("a matrix of source_on_stream is in host memory: expected device memory");
    if (parts.empty())
        throw invalid_argument("source_on_stream was given no matrix: expected one or more");
    auto queue = kernels::cuda::queue_on(stream, parts.front().data);
    return data_source(io::open_views(std::move(parts), std::move(queue)));
}

} // namespace elbo
