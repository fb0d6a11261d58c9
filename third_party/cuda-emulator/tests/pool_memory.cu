// What the default memory pool says about the memory in use, now and at most.
#include "check.h"

static unsigned long long value(cudaMemPoolAttr attribute) {
    cudaMemPool_t pool;
    unsigned long long bytes = 0;
    CUDA(cudaDeviceGetDefaultMemPool(&pool, 0));
    CUDA(cudaMemPoolGetAttribute(pool, attribute, &bytes));
    return bytes;
}

int main() {
    const unsigned long long before = value(cudaMemPoolAttrUsedMemCurrent);
    void *a = nullptr, *b = nullptr;
    CUDA(cudaMallocAsync(&a, 3 << 20, 0));
    CUDA(cudaMallocAsync(&b, 1 << 20, 0));
    CUDA(cudaFreeAsync(a, 0));
    CUDA(cudaStreamSynchronize(0));
    CHECK(value(cudaMemPoolAttrUsedMemCurrent) == before + (1 << 20));
    CHECK(value(cudaMemPoolAttrUsedMemHigh) == before + (4 << 20));
    CHECK(value(cudaMemPoolAttrReservedMemHigh) >= before + (4 << 20));

    cudaMemPool_t pool;
    CUDA(cudaDeviceGetDefaultMemPool(&pool, 0));
    unsigned long long zero = 0, one = 1;
    CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &zero));
    CHECK(value(cudaMemPoolAttrUsedMemHigh) == before + (1 << 20));
    CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &one) == cudaErrorInvalidValue);  // only to zero
    cudaGetLastError();
    CUDA(cudaFreeAsync(b, 0));
    CUDA(cudaStreamSynchronize(0));
    return finish();
}
