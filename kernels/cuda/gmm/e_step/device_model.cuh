// What the kernels read parameters and compute densities with.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Four neighbouring numbers, read and written with 16-byte accesses.
template <class T>
struct alignas(16) quad {
    T v[4];
};

template <class T>
__device__ inline quad<T> load_quad(const T* p) {
    return *reinterpret_cast<const quad<T>*>(p);
}

/// threadIdx.x, read anew each time: what a phase of a tile works out from it does not stay in registers for the
/// others.
__device__ inline int thread_index() {
    int thread = 0;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
}

inline constexpr double log2_e = 1.4426950408889634074;
inline constexpr double ln_2 = 0.69314718055994530942;

// ex2.approx and lg2.approx: 2 ulp, and an absolute error of 2^-22 near 1 (docs/kernels.md section 5).
__device__ inline float exp2_of(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
__device__ inline double exp2_of(double x) {
    return ::exp2(x);
}
__device__ inline float log2_of(float x) {
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
__device__ inline double log2_of(double x) {
    return ::log2(x);
}

/// 1/x to 1 ulp, for positive normal x.
__device__ inline float reciprocal(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// √x to 1 ulp, 0 of what is not normal.
__device__ inline float square_root(float x) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

} // namespace elbo::kernels::cuda
