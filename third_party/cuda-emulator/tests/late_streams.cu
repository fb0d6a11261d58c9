// Work on a non-blocking stream that nobody has waited for yet is not done yet (CUDA_EMULATOR_STREAMS=late).
#include "check.h"

#include <cstdlib>

__global__ void put(int* to, int value) {
    to[threadIdx.x] = value;
}

static int read(const int* from) {
    int value = -1;
    CUDA(cudaMemcpy(&value, from, sizeof value, cudaMemcpyDeviceToHost));
    return value;
}

int main() {
    setenv("CUDA_EMULATOR_STREAMS", "late", 1);
    cudaStream_t stream, other, blocking;
    CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CUDA(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CUDA(cudaStreamCreate(&blocking));
    int *a, *b;
    CUDA(cudaMalloc(&a, 32 * sizeof(int)));
    CUDA(cudaMalloc(&b, 32 * sizeof(int)));
    CUDA(cudaMemset(a, 0, 32 * sizeof(int)));
    CUDA(cudaMemset(b, 0, 32 * sizeof(int)));

    put<<<1, 32, 0, stream>>>(a, 1);
    CHECK(read(a) == 0);  // the default stream does not wait for it
    CUDA(cudaStreamSynchronize(other));
    CHECK(read(a) == 0);
    CUDA(cudaStreamSynchronize(stream));
    CHECK(read(a) == 1);

    put<<<1, 32, 0, stream>>>(a, 2);  // in the order of the stream
    CUDA(cudaMemcpyAsync(b, a, 32 * sizeof(int), cudaMemcpyDeviceToDevice, stream));
    CUDA(cudaMemsetAsync(a, 0, 32 * sizeof(int), stream));
    CHECK(read(a) == 1 && read(b) == 0);
    cudaEvent_t event;
    CUDA(cudaEventCreate(&event));
    CUDA(cudaEventRecord(event, stream));
    CUDA(cudaStreamWaitEvent(other, event, 0));
    int value = -1;
    CUDA(cudaMemcpyAsync(&value, b, sizeof value, cudaMemcpyDeviceToHost, other));
    CUDA(cudaStreamSynchronize(other));
    CHECK(value == 2 && read(a) == 0);

    put<<<1, 32, 0, blocking>>>(a, 3);  // the default stream waits for these
    CHECK(read(a) == 3);
    put<<<1, 32, 0, stream>>>(a, 4);
    CUDA(cudaDeviceSynchronize());
    CHECK(read(a) == 4);
    put<<<1, 32, 0, stream>>>(a, 5);  // memory is given back after the work on it
    CUDA(cudaFreeAsync(a, stream));
    CUDA(cudaFree(b));
    CUDA(cudaEventDestroy(event));
    CUDA(cudaStreamDestroy(blocking));
    CUDA(cudaStreamDestroy(other));
    CUDA(cudaStreamDestroy(stream));
    return finish();
}
