#include "elbo/interop.hpp"

#include "elbo/error.hpp"
#include "host/io/sources.hpp"
#include "kernels/cuda/core/cuda_state.hpp"

#include <fmt/format.h>
#include <memory>
#include <string_view>
#include <utility>

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

namespace {

/// The queue of a stream that writes some memory. Throws invalid_argument: not on a device.
std::shared_ptr<const kernels::device_queue> queue_of_writer(const any_matrix_view& memory, cudaStream_t stream,
                                                             std::string_view caller) {
    if (memory.space != memory_space::device)
        throw invalid_argument(fmt::format("a matrix of {} is in host memory: expected device memory", caller));
    return kernels::cuda::queue_on(stream, memory.data);
}

} // namespace

data_source source_on_stream(std::vector<any_matrix_view> parts, cudaStream_t stream) {
    if (parts.empty())
        throw invalid_argument("source_on_stream was given no matrix: expected one or more");
    std::shared_ptr<const kernels::device_queue> queue;
    for (const any_matrix_view& part : parts)
        queue = queue_of_writer(part, stream, "source_on_stream");
    return data_source(io::open_views(std::move(parts), std::move(queue)));
}

sample_weights weights_on_stream(any_matrix_view column, cudaStream_t stream) {
    sample_weights weights(column);
    weights.after = queue_of_writer(column, stream, "weights_on_stream");
    return weights;
}

gmm::sample_labels labels_on_stream(gmm::sample_labels labels, cudaStream_t stream) {
    labels.after = queue_of_writer(labels.values(), stream, "labels_on_stream");
    return labels;
}

} // namespace elbo
