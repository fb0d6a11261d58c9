// The parameters of a mixture as the kernels read them.
#pragma once

#include "kernels/cuda/tuning.hpp"

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

/// Views of one set of parameters in device memory; p = padded(d), padding is zero.
/// lp_k in units of ln 2, less the common `reference`: lp_k = offset_k − ½ log2(e) ‖U_kᵀ(x − μ_k)‖². Subtracting the
/// largest c_k before rounding to T keeps the rounding error of c_k relative to the differences between components.
template <class T>
struct device_model {
    T* means;            ///< [K x p]
    T* factors;          ///< full [K x p x p], whitened [p x p], diagonal [K x p]
    T* whitened;         ///< [K x p] Uᵀμ_k, tied only
    T* offsets;          ///< [K] (c_k − reference)·log2(e), −infinity for dropped components
    double* log_weights; ///< [K]
    double* constants;   ///< [K] c_k in nats
    double* reference;   ///< [1] max c_k, in nats
};

/// Number of T in `factors`.
constexpr std::int64_t device_factor_size(const gmm_shape& s) {
    const std::int64_t p = padded(s.dimensions);
    switch (form_of(s.family)) {
    case density_form::full:
        return s.components * p * p;
    case density_form::whitened:
        return p * p;
    default:
        return s.components * p;
    }
}

inline constexpr double log2_e = 1.4426950408889634074;
inline constexpr double ln_2 = 0.69314718055994530942;

// ex2.approx and lg2.approx: 2 ulp, and an absolute error of 2^-22 near 1 (kernels.md B5.5).
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

} // namespace elbo::kernels::cuda
