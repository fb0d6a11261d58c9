#include "bench/machine.hpp"

#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cblas.h>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <vector>

#ifdef ELBO_WITH_CUDA
#include <cublas_v2.h>
#include <cuda_runtime.h>
#endif

namespace elbo::bench {

namespace {

/// Seconds of one call after a warm-up: the median of at least 5 within about half a second.
double median_seconds(const settings& s, const std::function<void()>& work) {
    const double budget = s.quick ? 0 : 0.5;
    work();
    std::vector<double> runs;
    double spent = 0;
    do {
        const double begin = seconds_now(s.clock);
        work();
        runs.push_back(seconds_now(s.clock) - begin);
        spent += runs.back();
    } while (runs.size() < 5 || spent < budget);
    std::ranges::nth_element(runs, runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2));
    return runs[runs.size() / 2];
}

double gigaflops(std::int64_t n, double seconds) {
    return 2e-9 * static_cast<double>(n * n * n) / seconds;
}

double gigabytes(std::int64_t bytes, double seconds) {
    return 2e-9 * static_cast<double>(bytes) / seconds;
}

/// All threads at once.
double fma_gflops(const settings& s) {
    const std::int64_t rounds = s.quick ? 100'000 : 2'000'000;
    double operations = 0;
    volatile float kept = 0;
    std::vector<fma_run> runs(s.threads);
    const double seconds = median_seconds(s, [&] {
        kernels::parallel_for(s.threads, s.threads, [&](std::int64_t t, int) {
            runs[t] = multiply_in_registers(rounds, static_cast<float>(t));
        });
        operations = 0;
        for (const fma_run& run : runs) {
            operations += run.operations;
            kept = run.value;
        }
    });
    return 1e-9 * operations / seconds;
}

machine_rates cpu_rates(const settings& s) {
    const double fma = fma_gflops(s);
    const int n = s.quick ? 128 : 1024;
    const std::vector<float> a(n * n, 1.0f), b(n * n, 0.5f);
    std::vector<float> c(n * n);
    const double gemm = median_seconds(s, [&] {
        kernels::parallel_for(s.threads, s.threads, [&](std::int64_t t, int) {
            const int first = static_cast<int>(n * t / s.threads),
                      rows = static_cast<int>(n * (t + 1) / s.threads) - first;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, n, n, 1, &a[first * n], n, b.data(), n, 0,
                        &c[first * n], n);
        });
    });
    const std::int64_t part = (std::int64_t(s.quick ? 1 : 256) << 20) / s.threads;
    std::vector<char> from(part * s.threads, 1), to(part * s.threads, 2);
    const double copy = median_seconds(s, [&] {
        kernels::parallel_for(s.threads, s.threads, [&](std::int64_t t, int) {
            std::memcpy(&to[part * t], &from[part * t], static_cast<std::size_t>(part));
        });
    });
    return {fma, gigaflops(n, gemm), gigabytes(part * s.threads, copy)};
}

#ifdef ELBO_WITH_CUDA
void check(bool fine, const char* call) {
    if (!fine)
        throw std::runtime_error(std::string(call) + " failed");
}

/// Device memory for the measurement.
class device_floats {
public:
    explicit device_floats(std::int64_t count) {
        check(cudaMalloc(&data_, static_cast<std::size_t>(count) * sizeof(float)) == cudaSuccess, "cudaMalloc");
        check(cudaMemset(data_, 0, static_cast<std::size_t>(count) * sizeof(float)) == cudaSuccess, "cudaMemset");
    }
    ~device_floats() { cudaFree(data_); }
    device_floats(const device_floats&) = delete;
    device_floats& operator=(const device_floats&) = delete;
    float* data() const { return static_cast<float*>(data_); }

private:
    void* data_ = nullptr;
};

void wait_for_device() {
    check(cudaDeviceSynchronize() == cudaSuccess, "cudaDeviceSynchronize");
}

double device_sgemm_seconds(const settings& s, int n) {
    const device_floats a(std::int64_t(n) * n), b(std::int64_t(n) * n), c(std::int64_t(n) * n);
    cublasHandle_t blas = nullptr;
    check(cublasCreate(&blas) == CUBLAS_STATUS_SUCCESS, "cublasCreate");
    const float one = 1, zero = 0;
    const double seconds = median_seconds(s, [&] {
        check(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, a.data(), n, b.data(), n, &zero, c.data(),
                          n) == CUBLAS_STATUS_SUCCESS,
              "cublasSgemm");
        wait_for_device();
    });
    cublasDestroy(blas);
    return seconds;
}

machine_rates device_rates(const settings& s) {
    const int n = s.quick ? 64 : 4096;
    const std::int64_t bytes = std::int64_t(s.quick ? 1 : 1024) << 20;
    const device_floats from(bytes / 4), to(bytes / 4);
    const double copy = median_seconds(s, [&] {
        check(cudaMemcpy(to.data(), from.data(), static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice) ==
                  cudaSuccess,
              "cudaMemcpy");
        wait_for_device();
    });
    const double gemm = gigaflops(n, device_sgemm_seconds(s, n));
    return {gemm, gemm, gigabytes(bytes, copy)};
}
#else
machine_rates device_rates(const settings&) {
    throw std::runtime_error("built without CUDA");
}
#endif

} // namespace

double seconds_now(clock_kind clock) {
    timespec t{};
    clock_gettime(clock == clock_kind::wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

machine_rates measure_machine(const settings& s) {
    return s.backend == "cuda" ? device_rates(s) : cpu_rates(s);
}

} // namespace elbo::bench
