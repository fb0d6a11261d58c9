// CUDA graphs of what is enqueued on the stream of a context. Where the driver refuses a graph with dependent launches
// (launch_shape::dependent), it is captured again with ordinary ones.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"

#include <functional>

namespace elbo::kernels::cuda {

/// A graph of what `work` enqueues, in that order. Where dependent launches are refused the context makes none from
/// then on. `work` may be called twice and must enqueue the same again.
unique_graph_exec make_graph(internal::cuda_state& state, const std::function<void()>& work);

/// A graph of one WHILE node. `body` enqueues one turn of the loop, a kernel of which calls cudaGraphSetConditional;
/// each launch begins with the condition true. Where dependent launches are refused, which bodies of conditional nodes
/// may do when other graphs do not, this graph alone has none.
unique_graph_exec make_while_graph(internal::cuda_state& state,
                                   const std::function<void(cudaGraphConditionalHandle)>& body);

/// Whether the driver knows conditional nodes (12.4).
bool while_graph_supported();

} // namespace elbo::kernels::cuda
