// What the last team to arrive does for all components: policy and weights, then bound and record.
#pragma once

#include "kernels/cuda/gmm/m_step/covariance.cuh"
#include "kernels/cuda/gmm/m_step/end_iteration.cuh"
#include "kernels/cuda/gmm/m_step/write_model.cuh"

namespace elbo::kernels::cuda {

/// Coordinate with the largest variance of each component that has one, for the policy.
template <class Team, class T>
__device__ void note_widest(const Team& team, const update_arguments<T>& a) {
    const std::int64_t d = a.shape.dimensions;
    for (std::int64_t k = team.rank(); k < a.shape.components; k += team.size()) {
        const component_state state = a.arrays.states[k];
        if (state != component_state::healthy && state != component_state::singular)
            continue;
        const double* variances = a.arrays.variances + (gmm::is_tied(a.shape.family) ? 0 : k * d);
        std::int64_t best = 0;
        for (std::int64_t j = 1; j < d; ++j)
            if (variances[j] > variances[best])
                best = j;
        a.arrays.widest_axes[k] = best;
        a.arrays.widest_variances[k] = ::fmax(variances[best], 0.0);
    }
}

/// Where no component is healthy: those that are singular get a floor, so that the fit can go on. Returns the actions
/// written.
template <class Team, class T>
__device__ std::int64_t rescue_singular(const Team& team, const update_arguments<T>& a, double* shared) {
    const std::int64_t d = a.shape.dimensions, K = a.shape.components;
    std::int64_t actions = 0;
    for (std::int64_t k = 0; k < K; ++k) {
        if (a.arrays.states[k] != component_state::singular)
            continue;
        factor_component(team, a, k, true, shared);
        team.sync();
        if (team.rank() == 0) {
            a.arrays.states[k] = component_state::healthy;
            a.arrays.actions[actions] = {k, component_state::singular,
                                         a.rule.on_collapse == gmm::collapse_policy::fail
                                             ? gmm::collapse_policy::fail
                                             : gmm::collapse_policy::reseed};
        }
        ++actions;
        team.sync();
    }
    return actions;
}

/// The policy for components that are flagged, if any is; returns the actions, which stand in arrays.actions.
template <class Team, class T>
__device__ std::int64_t apply_policy(const Team& team, const update_arguments<T>& a, bool common_floor,
                                     double* shared) {
    const update_arrays& w = a.arrays;
    bool healthy = false, flagged = false;
    for (std::int64_t k = team.rank(); k < a.shape.components; k += team.size()) {
        healthy = healthy || w.states[k] == component_state::healthy;
        flagged = flagged || w.states[k] == component_state::empty || w.states[k] == component_state::singular;
    }
    healthy = team.any(healthy);
    if (!team.any(flagged) && healthy && !common_floor)
        return 0;
    const bool tied = gmm::is_tied(a.shape.family);
    if (!tied)
        note_widest(team, a);
    std::int64_t actions = !tied && !healthy ? rescue_singular(team, a, shared) : 0;
    team.sync();
    if (team.rank() == 0) {
        if (common_floor)
            w.actions[actions++] = {0, component_state::singular,
                                    a.rule.on_collapse == gmm::collapse_policy::fail ? gmm::collapse_policy::fail
                                                                                     : gmm::collapse_policy::reseed};
        const collapse_view view{a.shape,   w.states,      w.counts,           w.means,
                                 w.factors, w.widest_axes, w.widest_variances, w.reseeds};
        actions += apply_collapse_policy(view, a.rule.on_collapse, a.rule.reseeds_each, w.actions + actions);
    }
    return static_cast<std::int64_t>(team.from(static_cast<double>(actions), 0));
}

/// Policy and weights, which are there already where they are `weighed` and no policy acts; returns the actions, which
/// stand in arrays.actions.
template <class Team, class T>
__device__ std::int64_t decide(const Team& team, const update_arguments<T>& a, bool common_floor, bool weighed,
                               double* shared) {
    const std::int64_t K = a.shape.components;
    const std::int64_t actions = apply_policy(team, a, common_floor, shared);
    if (weighed && actions == 0)
        return actions;
    double total = 0;
    for (std::int64_t k = team.rank(); k < K; k += team.size())
        total += a.arrays.counts[k];
    total = team.sum_first(K, total);
#pragma unroll 1
    for (std::int64_t k = team.rank(); k < K; k += team.size())
        a.arrays.log_weights[k] = ::log(a.arrays.counts[k] / total); // log 0 = −infinity: dropped
    return actions;
}

/// Bound and record of an update with these actions, after decide(): nothing in them is for the next E-step.
template <class Team, class T>
__device__ update_record sum_up(const Team& team, const update_arguments<T>& a, std::int64_t actions) {
    const std::int64_t d = a.shape.dimensions, K = a.shape.components;
    const update_arrays& w = a.arrays;
    const bool tied = gmm::is_tied(a.shape.family);
    // Σ_k N_k [log α_k + Σ_i log U_ii − d/2 log 2π] − ½ Σ_k N_k tr(Λ_k (C_k − λ)), with the unrounded factors.
    double bound = 0, change = 0;
    constexpr double half_log_2pi = 0.91893853320467274178;
#pragma unroll 1
    for (std::int64_t k = team.rank(); k < K; k += team.size()) {
        const double n = w.counts[k];
        change = ::fmax(change, w.changes[k]);
        if (n > 0 && actions == 0)
            bound += n * (w.log_weights[k] + w.log_determinants[tied ? 0 : k] - static_cast<double>(d) * half_log_2pi -
                          0.5 * w.quadratics[tied ? 0 : k]);
    }
    change = team.reduce_first(K, change, larger());
    bound = team.sum_first(K, bound);
    // A thread a scalar.
    const double scalar = team.rank() < scalar_count
                              ? read_fixed(a.sums, a.sums.count - scalar_count + team.rank(), a.sums.scalar_exponent)
                              : 0;
    update_record r{team.from(scalar, scalar_log_likelihood), team.from(scalar, scalar_entropy), 0, change, actions};
    r.elbo_after = actions > 0 ? r.log_likelihood : bound + team.from(scalar, scalar_log_factors) + r.entropy;
    if (team.rank() == 0)
        *a.arrays.record = r;
    return r;
}

} // namespace elbo::kernels::cuda
