#include "kernels/cuda/core/graph.hpp"

#include "elbo/error.hpp"

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

/// What `work` enqueues from the begin of a capture, which is under way, to its end.
cudaGraph_t end_capture(const internal::cuda_state& state, const std::function<void()>& work) {
    cudaGraph_t graph = nullptr;
    try {
        work();
    } catch (...) {
        cudaStreamEndCapture(state.stream, &graph); // the stream must not stay in capture mode
        cudaGetLastError();
        throw;
    }
    check(cudaStreamEndCapture(state.stream, &graph), "cudaStreamEndCapture");
    return graph;
}

unique_graph_exec instantiate(cudaGraph_t graph) {
    cudaGraphExec_t exec = nullptr;
    check(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
    return unique_graph_exec(exec);
}

/// What `build` gives; if it fails with dependent launches, what it gives without.
unique_graph_exec with_or_without_dependent_launches(internal::cuda_state& state,
                                                     const std::function<unique_graph_exec()>& build) {
    try {
        return build();
    } catch (const cuda_error&) {
        if (!state.dependent_launches)
            throw;
    }
    cudaGetLastError(); // later calls shall not find it
    state.dependent_launches = false;
    try {
        return build();
    } catch (...) {
        state.dependent_launches = true; // they were not what failed
        throw;
    }
}

unique_graph_exec capture_turn(const internal::cuda_state& state,
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
    end_capture(state, [&] { body(condition); });
    return instantiate(graph.get());
}

} // namespace

unique_graph_exec make_graph(internal::cuda_state& state, const std::function<void()>& work) {
    return with_or_without_dependent_launches(state, [&] {
        check(cudaStreamBeginCapture(state.stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
        const unique_graph graph(end_capture(state, work));
        return instantiate(graph.get());
    });
}

unique_graph_exec make_while_graph(internal::cuda_state& state,
                                   const std::function<void(cudaGraphConditionalHandle)>& body) {
    const bool allowed = state.dependent_launches;
    unique_graph_exec exec = with_or_without_dependent_launches(state, [&] { return capture_turn(state, body); });
    state.dependent_launches = allowed;
    return exec;
}

bool while_graph_supported() {
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    return driver >= 12040;
}

} // namespace elbo::kernels::cuda
