// Fits a mixture to an array that lies on the GPU already, on the stream of the program. Needs the CUDA back end.
// [headers]
#include <elbo/gmm/fit.hpp>
#include <elbo/interop.hpp>
// [headers end]

#include <cuda_runtime.h>
#include <iostream>
#include <random>
#include <stdexcept>
#include <vector>

namespace {

void check(cudaError_t status) {
    if (status != cudaSuccess)
        throw std::runtime_error(cudaGetErrorString(status));
}

} // namespace

int main() {
    constexpr std::int64_t rows = 4000;
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(rows * 2);
    for (std::int64_t i = 0; i < rows * 2; ++i)
        x[i] = normal(random) + (i < rows ? 0.0f : 5.0f);

    cudaStream_t stream = nullptr;
    float* pointer = nullptr;
    check(cudaStreamCreate(&stream));
    check(cudaMalloc(&pointer, x.size() * sizeof(float)));
    check(cudaMemcpyAsync(pointer, x.data(), x.size() * sizeof(float), cudaMemcpyHostToDevice, stream));
    double log_likelihood = 0;
    {
        // [device]
        elbo::context ctx = elbo::context_on_stream(stream);
        elbo::gmm::fit_result fit =
            elbo::gmm::fit(ctx, elbo::device_matrix<const float>(pointer, rows, 2), {.components = 2});
        // [device end]
        log_likelihood = fit.log_likelihood;
    }
    check(cudaFree(pointer));
    check(cudaStreamDestroy(stream));
    std::cout << log_likelihood << " nats per sample\n";
    // Two separated unit clusters of equal weight: -log 2 - log 2πe = -3.53, with a standard error of 1/sqrt(4000) =
    // 0.016.
    return log_likelihood > -3.62 && log_likelihood < -3.44 ? 0 : 1;
}
