// Does compute-sanitizer follow memory into the body of a WHILE node of a graph? The body reads and writes arrays that
//   plain      cudaMalloc made
//   ordered    cudaMallocAsync made, on the stream that the graph is launched on
//   waited     likewise, with a wait for the stream before the graph is made
// All three are correct. memcheck of CUDA 13.0 says of such reads that they lie "inside the nearest allocation" and are
// invalid all the same: where it does so for `ordered` alone, such reports about a WHILE graph are a fault of the tool.
#include <cstdio>
#include <cstring>
#include <cuda_runtime.h>

#define CHECK(call)                                                                                                    \
    if (cudaError_t e = (call); e != cudaSuccess)                                                                      \
    return std::printf("%s: %s\n", #call, cudaGetErrorString(e)), 1

__global__ void turn(const double* in, double* out, int* left, cudaGraphConditionalHandle again) {
    out[threadIdx.x] = in[threadIdx.x] + 1;
    if (threadIdx.x == 0)
        cudaGraphSetConditional(again, --*left > 0);
}

int main(int argc, char** argv) {
    const char* how = argc > 1 ? argv[1] : "ordered";
    const bool ordered = std::strcmp(how, "plain") != 0;
    const int turns = 3;
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    double *in, *out, sum[32];
    int* left;
    const auto allocate = [&](auto** p, size_t bytes) {
        return ordered ? cudaMallocAsync(p, bytes, stream) : cudaMalloc(p, bytes);
    };
    CHECK(allocate(&in, sizeof sum));
    CHECK(allocate(&out, sizeof sum));
    CHECK(allocate(&left, sizeof turns));
    CHECK(cudaMemsetAsync(in, 0, sizeof sum, stream));
    CHECK(cudaMemcpyAsync(left, &turns, sizeof turns, cudaMemcpyHostToDevice, stream));
    if (std::strcmp(how, "waited") == 0)
        CHECK(cudaStreamSynchronize(stream));

    cudaGraph_t graph, body;
    cudaGraphConditionalHandle again;
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphConditionalHandleCreate(&again, graph, 1, cudaGraphCondAssignDefault));
    cudaGraphNodeParams loop = {};
    loop.type = cudaGraphNodeTypeConditional;
    loop.conditional.handle = again;
    loop.conditional.type = cudaGraphCondTypeWhile;
    loop.conditional.size = 1;
    cudaGraphNode_t node;
    CHECK(cudaGraphAddNode(&node, graph, nullptr, nullptr, 0, &loop));
    body = loop.conditional.phGraph_out[0];
    CHECK(cudaStreamBeginCaptureToGraph(stream, body, nullptr, nullptr, 0, cudaStreamCaptureModeRelaxed));
    turn<<<1, 32, 0, stream>>>(in, out, left, again);
    CHECK(cudaStreamEndCapture(stream, &body));
    cudaGraphExec_t exec;
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaMemcpyAsync(sum, out, sizeof sum, cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    std::printf("%s: %s\n", how, sum[31] == 1 ? "right" : "WRONG");
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    for (void* p : {static_cast<void*>(in), static_cast<void*>(out), static_cast<void*>(left)})
        ordered ? cudaFreeAsync(p, stream) : cudaFree(p);
    cudaStreamDestroy(stream);
    return sum[31] == 1 ? 0 : 1;
}
