// The M-step on the device (docs/kernels.md section 6): from fixed-point sums to the next parameters.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/loop_view.hpp"
#include "kernels/math/collapse.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

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
    double* between;   ///< Σ_k N_k m_k m_kᵀ: tied [d x d] (lower triangle), its diagonal for the other tied families
    double* counts;    ///< [K]
    double* sums_of_r; ///< [K] the same before they are normalised
    double* steps;     ///< [K x d] of the means
    double* changes;   ///< [K] max |δ_k|
    double* log_determinants;  ///< [K] Σ_i log U_ii, tied families [1]
    double* quadratics;        ///< [K] tr(Λ (C − λ)), tied families [1]
    double* constants;         ///< [K] log det of the factor as the model has it, then c_k
    double* widest_variances;  ///< [K]
    std::int64_t* widest_axes; ///< [K]
    component_state* states;   ///< [K]
    std::int32_t* reseeds;     ///< [K]
    update_record* record;     ///< [1]
    collapse_action* actions;  ///< [K + 1]
    std::uint32_t* arrived;    ///< [1] blocks of a grid that have done their part, 0 between kernels
};

/// The arrays in a piece of memory.
ELBO_HD inline update_arrays carve_arrays(const gmm_shape& s, carver& from) {
    const std::int64_t K = s.components, d = s.dimensions;
    const bool tied = gmm::is_tied(s.family);
    update_arrays a{};
    a.log_weights = from.take<double>(K);
    a.means = from.take<double>(K * d);
    a.factors = from.take<double>(geometry(s.family).count(K) * geometry(s.family).size(d));
    a.variances = from.take<double>((tied ? 1 : K) * d);
    a.between = from.take<double>(s.family == gmm::family::tied ? d * d : tied ? d : 0);
    a.counts = from.take<double>(K);
    a.sums_of_r = from.take<double>(K);
    a.steps = from.take<double>(K * d);
    a.changes = from.take<double>(K);
    a.log_determinants = from.take<double>(K);
    a.quadratics = from.take<double>(K);
    a.constants = from.take<double>(K);
    a.widest_variances = from.take<double>(K);
    a.widest_axes = from.take<std::int64_t>(K);
    a.states = from.take<component_state>(K);
    a.reseeds = from.take<std::int32_t>(K);
    a.record = from.take<update_record>(1);
    a.actions = from.take<collapse_action>(K + 1);
    a.arrived = from.take<std::uint32_t>(1);
    return a;
}

/// What the kernels of the M-step see.
template <class T>
struct update_arguments {
    gmm_shape shape;
    update_arrays arrays;
    device_model<T> model;         ///< the current parameters, then the next ones in their place
    device_model<T> previous = {}; ///< takes the current ones
    device_sums sums = {};         ///< zero afterwards, if the update is part of a loop
    device_rule rule = {};
    loop_view loop = {};
    std::int64_t factor_in_shared = cuda::factor_in_shared; ///< largest matrix, factor_limit() of the device
};

/// Enqueues the M-step: next parameters into `arrays` and, rounded, into `model`, what was there into `previous`; the
/// record into arrays.record. As part of a loop it ends the iteration, too.
template <class T>
void update_parameters(const internal::cuda_state& state, const update_arguments<T>& a);

/// Rounds log_weights, means and factors of `arrays` into `model`, with what follows from them (c_k from the rounded
/// factors). As part of a loop it ends the iteration.
template <class T>
void write_model(const internal::cuda_state& state, const update_arguments<T>& a);

} // namespace elbo::kernels::cuda
