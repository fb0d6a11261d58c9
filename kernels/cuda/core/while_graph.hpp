// A CUDA graph of one WHILE node, whose body is captured from the stream.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"

#include <functional>

namespace elbo::kernels::cuda {

/// `body` enqueues one turn of the loop, a kernel of which calls cudaGraphSetConditional; each launch begins with the
/// condition true.
unique_graph_exec make_while_graph(const internal::cuda_state& state,
                                   const std::function<void(cudaGraphConditionalHandle)>& body);

/// Whether the driver knows conditional nodes (12.4).
bool while_graph_supported();

} // namespace elbo::kernels::cuda
