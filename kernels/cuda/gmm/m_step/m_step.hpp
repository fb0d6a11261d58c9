// The M-step on the device (docs/kernels.md section 6): from fixed-point sums to the next parameters.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/math/collapse.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// What the update tells the host; the actions stand behind it in the same memory.
struct update_record {
    double log_likelihood, entropy, elbo_after, parameter_change;
    std::int64_t actions;
};

/// update_rule in device memory.
struct device_rule {
    double total_weight;
    double mean_lambda;
    const double* lambda;  ///< [d]
    const double* scatter; ///< as update_rule::scatter
    gmm::collapse_policy on_collapse;
    std::int32_t reseeds_each;
};

/// Float64 working arrays of the update, in device memory. `means` and `factors` hold the next parameters before they
/// are rounded, factors in the layout of gmm::model.
struct update_arrays {
    double* log_weights; ///< [K]
    double* means;       ///< [K x d]
    double* factors;     ///< [covariance_size]
    double* variances;   ///< [K x d] diagonals of the covariances, tied families [d]
    double* between; ///< Σ_k N_k m_k m_kᵀ: tied [d x d] (lower triangle), its diagonal for the other tied families
    double* counts;  ///< [K]
    double* changes; ///< [K] max |δ_k|
    double* log_determinants;   ///< [K] Σ_i log U_ii, tied families [1]
    double* quadratics;         ///< [K] tr(Λ (C − λ)), tied families [1]
    double* widest_variances;   ///< [K]
    std::int64_t* widest_axes;  ///< [K]
    component_state* states;    ///< [K]
    std::int32_t* reseeds;      ///< [K]
    std::int32_t* common_floor; ///< [1] the common covariance needed a floor
    update_record* record;      ///< [1]
    collapse_action* actions;   ///< [K + 1]
};

/// Enqueues the M-step: next parameters into `arrays` and, rounded, into `next`; the record into arrays.record.
template <class T>
void update_parameters(const internal::cuda_state& state, const gmm_shape& shape, const device_sums& sums,
                       const device_rule& rule, const update_arrays& arrays, const device_model<T>& current,
                       const device_model<T>& next);

/// Rounds log_weights, means and factors of `arrays` into `model`, with what follows from them (c_k from the rounded
/// factors).
template <class T>
void write_model(const internal::cuda_state& state, const gmm_shape& shape, const update_arrays& arrays,
                 const device_model<T>& model);

} // namespace elbo::kernels::cuda
