// Dependent launches that touch what a kernel ahead of them still writes or reads, selected by the argument; tests/run
// checks what is reported. "good" cases must give no report.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <string>

__device__ inline void wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
__device__ inline void trigger() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
__device__ inline unsigned shared(const void* p) { return unsigned(__cvta_generic_to_shared(p)); }

constexpr int kThreads = 128;

// to = from + 1, after waiting. early: dependents may start before this kernel has waited.
__global__ void step(const int* from, int* to, bool early) {
    if (early) trigger();
    wait();
    if (!early) trigger();
    int i = blockIdx.x * kThreads + threadIdx.x;
    to[i] = from[i] + 1;
}
// The same with an input that is read ahead of the wait.
__global__ void ahead(const int* early, const int* from, int* to) {
    int i = blockIdx.x * kThreads + threadIdx.x;
    int v = early[i];
    wait();
    trigger();
    to[i] = from[i] + v;
}
__global__ void writesAhead(int* early, const int* from, int* to) {
    int i = blockIdx.x * kThreads + threadIdx.x;
    early[i] = i;
    wait();
    to[i] = from[i];
}
__global__ void copiesAhead(const int* early, int* to) {
    __shared__ alignas(16) int s[kThreads];
    int i = blockIdx.x * kThreads + 4 * threadIdx.x;
    if (threadIdx.x < kThreads / 4) asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(shared(s + 4 * threadIdx.x)), "l"(early + i) : "memory");
    asm volatile("cp.async.wait_all;" ::: "memory");
    wait();
    __syncthreads();
    to[blockIdx.x * kThreads + threadIdx.x] = s[threadIdx.x];
}
__global__ void addsAhead(int* counter, const int* from, int* to) {
    if (threadIdx.x == 0) atomicAdd(counter, 1);
    wait();
    to[threadIdx.x] = from[threadIdx.x];
}
__global__ void counts(int* counter, int* to) {
    wait();
    trigger();
    if (threadIdx.x == 0) atomicAdd(counter, 1);
    to[threadIdx.x] = 1;
}
// One warp waits, and the others do not come to a barrier after it.
__global__ void oneWarpWaits(const int* from, int* to, bool barrier) {
    if (threadIdx.x < 32) wait();
    if (barrier) __syncthreads();
    to[blockIdx.x * kThreads + threadIdx.x] = from[blockIdx.x * kThreads + threadIdx.x];
}
// One thread waits and hands over by an mbarrier.
__global__ void handsOver(const int* from, int* to, bool good) {
    __shared__ alignas(8) unsigned long long bar;
    if (threadIdx.x == 0) asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(shared(&bar)) : "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        if (good) wait();
        asm volatile("{ .reg .b64 s; mbarrier.arrive.shared.b64 s, [%0]; }" ::"r"(shared(&bar)) : "memory");
        if (!good) wait();
    }
    int done = 0;
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 0; selp.b32 %0, 1, 0, p; }" : "=r"(done) : "r"(shared(&bar)) : "memory");
    if (good || threadIdx.x >= 32) to[blockIdx.x * kThreads + threadIdx.x] = from[blockIdx.x * kThreads + threadIdx.x];
}
// One block of a cluster waits.
__global__ void __cluster_dims__(2, 1, 1) clusterWaits(const int* from, int* to) {
    if (blockIdx.x % 2 == 0) wait();
    asm volatile("barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;" ::: "memory");
    to[blockIdx.x * kThreads + threadIdx.x] = from[blockIdx.x * kThreads + threadIdx.x];
}
__global__ void noWait(int* to) { to[blockIdx.x * kThreads + threadIdx.x] = 3; }
__global__ void plain(const int* from, int* to) { to[blockIdx.x * kThreads + threadIdx.x] = from[blockIdx.x * kThreads + threadIdx.x]; }
// Neighbouring halves of a word.
__global__ void writesHalves(short* to) {
    wait();
    trigger();
    to[2 * threadIdx.x] = 1;
}
__global__ void readsHalves(const short* early, short* to) {
    short v = early[2 * threadIdx.x + 1];
    wait();
    to[2 * threadIdx.x] = v;
}

cudaStream_t stream;
constexpr int kBlocks = 4;

template <class... P, class... A>
void launch(bool dependent, void (*kernel)(P...), A... args) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = kBlocks;
    config.blockDim = kThreads;
    config.stream = stream;
    config.attrs = &attribute;
    config.numAttrs = dependent;
    if (cudaError_t e = cudaLaunchKernelEx(&config, kernel, P(args)...)) std::printf("wrong: launch: %s\n", cudaGetErrorName(e));
}

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    const bool graph = argc > 2 && !std::strcmp(argv[2], "graph");
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    constexpr int n = kBlocks * kThreads;
    int *a, *b, *c, *d;
    for (int** p : {&a, &b, &c, &d}) {
        cudaMalloc(p, n * sizeof(int));
        cudaMemset(*p, 0, n * sizeof(int));
    }
    short* s = reinterpret_cast<short*>(d);
    if (graph) cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
    launch(false, step, (const int*)a, b, false);
    if (mode == "read") {
        launch(true, ahead, (const int*)b, (const int*)b, c);
    } else if (mode == "write") {
        launch(true, writesAhead, b, (const int*)b, c);
    } else if (mode == "write-read") {  // writes what the kernel ahead reads
        launch(true, writesAhead, a, (const int*)b, c);
    } else if (mode == "copy") {
        launch(true, copiesAhead, (const int*)b, c);
    } else if (mode == "atomic") {
        launch(true, counts, d, c);
        launch(true, addsAhead, d, (const int*)c, b);
    } else if (mode == "two-back") {  // the kernel in between starts its dependents before it has waited
        launch(true, step, (const int*)b, c, true);
        launch(true, ahead, (const int*)b, (const int*)c, d);
    } else if (mode == "not-waited") {  // the kernel in between never waits
        launch(true, noWait, c);
        launch(true, step, (const int*)b, d, false);
    } else if (mode == "one-warp") {
        launch(true, oneWarpWaits, (const int*)b, c, false);
    } else if (mode == "hand-over") {
        launch(true, handsOver, (const int*)b, c, false);
    } else if (mode == "good") {
        launch(true, ahead, (const int*)a, (const int*)b, c);
        launch(true, ahead, (const int*)b, (const int*)c, d);  // b: two kernels back, which have waited before they let go
        launch(true, step, (const int*)d, a, true);
        launch(true, step, (const int*)a, b, false);
        launch(true, oneWarpWaits, (const int*)b, c, true);
        launch(true, handsOver, (const int*)c, d, true);
        launch(true, clusterWaits, (const int*)d, a);
        launch(true, copiesAhead, (const int*)b, c);  // b: written four kernels back
        launch(false, plain, (const int*)c, b);       // an ordinary launch needs no wait
        launch(true, ahead, (const int*)b, (const int*)c, d);  // which has let nobody start before its end
        launch(true, writesHalves, s);
        launch(true, readsHalves, (const short*)s, s);
    } else if (mode == "separated") {  // a memset, or the host, between the two
        if (graph) cudaMemsetAsync(c, 0, 4, stream);
        else cudaStreamSynchronize(stream);
        launch(true, ahead, (const int*)b, (const int*)b, c);
    } else {
        std::printf("wrong: no such case\n");
    }
    if (graph) {
        cudaGraph_t g;
        cudaGraphExec_t e = nullptr;
        cudaStreamEndCapture(stream, &g);
        const cudaError_t made = cudaGraphInstantiate(&e, g, 0);
        std::printf("instantiate: %s\n", cudaGetErrorName(made));
        cudaGraphDestroy(g);
        for (int i = 0; e && i < 2; ++i) cudaGraphLaunch(e, stream);
        if (e) cudaGraphExecDestroy(e);
    }
    cudaStreamSynchronize(stream);
    int v = 0;
    cudaMemcpy(&v, b, sizeof v, cudaMemcpyDeviceToHost);
    std::printf("b[0] = %d\n", v);
    for (int* p : {a, b, c, d}) cudaFree(p);
    cudaStreamDestroy(stream);
    return 0;
}
