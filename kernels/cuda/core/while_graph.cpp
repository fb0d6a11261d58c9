#include "kernels/cuda/core/while_graph.hpp"

namespace elbo::kernels::cuda {

namespace {

cudaGraph_t add_while_node(cudaGraph_t graph, cudaGraphConditionalHandle condition) {
    cudaGraphNodeParams parameters = {};
    parameters.type = cudaGraphNodeTypeConditional;
    parameters.conditional.handle = condition;
    parameters.conditional.type = cudaGraphCondTypeWhile;
    parameters.conditional.size = 1;
    cudaGraphNode_t node = nullptr;
#if CUDART_VERSION >= 13000
    check(cudaGraphAddNode(&node, graph, nullptr, nullptr, 0, &parameters), "cudaGraphAddNode");
#else
    check(cudaGraphAddNode(&node, graph, nullptr, 0, &parameters), "cudaGraphAddNode");
#endif
    return parameters.conditional.phGraph_out[0];
}

} // namespace

unique_graph_exec make_while_graph(const internal::cuda_state& state,
                                   const std::function<void(cudaGraphConditionalHandle)>& body) {
    cudaGraph_t created = nullptr;
    check(cudaGraphCreate(&created, 0), "cudaGraphCreate");
    const unique_graph graph(created);
    cudaGraphConditionalHandle condition{};
    check(cudaGraphConditionalHandleCreate(&condition, graph.get(), 1, cudaGraphCondAssignDefault),
          "cudaGraphConditionalHandleCreate");
    cudaGraph_t turn = add_while_node(graph.get(), condition);

    check(cudaStreamBeginCaptureToGraph(state.stream, turn, nullptr, nullptr, 0, cudaStreamCaptureModeRelaxed),
          "cudaStreamBeginCaptureToGraph");
    try {
        body(condition);
    } catch (...) {
        cudaStreamEndCapture(state.stream, &turn); // the stream must not stay in capture mode
        cudaGetLastError();
        throw;
    }
    check(cudaStreamEndCapture(state.stream, &turn), "cudaStreamEndCapture");
    cudaGraphExec_t exec = nullptr;
    check(cudaGraphInstantiate(&exec, graph.get(), 0), "cudaGraphInstantiate");
    return unique_graph_exec(exec);
}

bool while_graph_supported() {
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    return driver >= 12040;
}

} // namespace elbo::kernels::cuda
