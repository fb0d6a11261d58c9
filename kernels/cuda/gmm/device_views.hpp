// What the kernels see of rows, parameters and sums: pointers into device memory.
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "kernels/math/macros.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Normalised rows in device memory.
template <class T>
struct device_rows {
    const T* x;       ///< [rows x d], row i at i * stride
    const T* weights; ///< [rows], null for all 1
    std::int64_t stride;
    std::int64_t rows;
    const std::int32_t* labels = nullptr; ///< [rows] component, −1 where unknown; or null
    const T* log_factors = nullptr;       ///< [rows x K] log2 π, or null

    ELBO_HD constexpr bool labelled() const { return labels || log_factors; }
};

/// Views of one set of parameters in device memory; p = padded(d), padding is zero.
/// lp_k in units of ln 2, less the common `reference`: lp_k = offset_k − ½ log2(e) ‖U_kᵀ(x − μ_k)‖². Subtracting the
/// largest c_k before rounding to T keeps the rounding error of c_k relative to the differences between components.
template <class T>
struct device_model {
    T* means;            ///< [K x p]
    T* factors;          ///< full [K x p x p], whitened [p x p], diagonal [K x p]
    T* whitened;         ///< [K x p] U_kᵀμ_k; full: up to register_row_dimensions
    T* norms;            ///< [K] ‖U_kᵀμ_k‖², spherical families ‖μ_k‖²; where suits_dot_form()
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

/// The fixed-point sums in device memory: limbs [3][count].
struct device_sums {
    std::int64_t* limbs;
    std::int64_t count;
    int component_exponent, scalar_exponent;
    const double* values = nullptr; ///< [count] what the limbs were before they were cleared; null: still in the limbs
};

} // namespace elbo::kernels::cuda
