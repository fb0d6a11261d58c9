// The policy for components that have lost their samples or become singular (docs/theory.md section 1). One piece of
// code for the host and for the device, where one thread runs it: it touches only the components that are flagged.
//
// Re-seeding takes no data: the collapsed component gets half the weight of the heaviest healthy one and a copy of its
// covariance, its mean one standard deviation away along the coordinate in which that one is widest. EM separates them.
//
// One component always stays: a mixture without any is none.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "kernels/contract/gmm_layout.hpp"
#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

enum class component_state : std::int32_t { healthy, empty, singular, dropped };

/// The parameters after the M-step as the policy sees them. `widest_axis` and `widest_variance` are the coordinate with
/// the largest variance of each component's covariance (for tied families of the common one).
struct collapse_view {
    gmm_shape shape;
    component_state* state;    ///< [k] in: what the M-step found; out: healthy or dropped
    double* counts;            ///< [k] N_k, in and out
    double* means;             ///< [k x d]
    double* factors;           ///< [k x stride], nothing for tied families
    std::int64_t* widest_axis; ///< [k] in; set for components that are re-seeded, which may be donors themselves
    double* widest_variance;   ///< [k]
    std::int32_t* reseeds;     ///< [k] how often each was re-seeded so far
};

/// What was done to component k: written for each flagged component.
struct collapse_action {
    std::int64_t component;
    component_state found;
    gmm::collapse_policy action;
};

/// Index of the component with the largest N_k, the lowest at a tie, among those that are healthy or, with `any`, have
/// not been dropped before; −1 if there is none.
ELBO_HD inline std::int64_t heaviest_component(const collapse_view& v, bool any = false) {
    std::int64_t best = -1;
    for (std::int64_t k = 0; k < v.shape.components; ++k) {
        const bool counts = any ? v.state[k] != component_state::dropped : v.state[k] == component_state::healthy;
        if (counts && (best < 0 || v.counts[k] > v.counts[best]))
            best = k;
    }
    return best;
}

/// Applies the policy in ascending order of components; returns the number of actions written. A component that was
/// dropped before stays so without a new action. With `fail` no component is re-seeded or dropped: the caller throws.
ELBO_HD inline std::int64_t apply_collapse_policy(const collapse_view& v, gmm::collapse_policy policy,
                                                  std::int32_t reseeds_each, collapse_action* actions) {
    const std::int64_t d = v.shape.dimensions;
    const std::int64_t size = geometry(v.shape.family).stride(d);
    if (const std::int64_t kept = heaviest_component(v, true); kept >= 0 && heaviest_component(v) < 0) {
        v.state[kept] = component_state::healthy; // with its parameters as they were
        if (!(v.counts[kept] > 0))
            v.counts[kept] = 1;
    }
    std::int64_t done = 0;
    for (std::int64_t k = 0; k < v.shape.components; ++k) {
        if (v.state[k] != component_state::empty && v.state[k] != component_state::singular)
            continue;
        collapse_action& action = actions[done++];
        action = {k, v.state[k], policy};
        if (policy == gmm::collapse_policy::fail)
            continue;
        const std::int64_t donor = heaviest_component(v);
        if (policy == gmm::collapse_policy::reseed && donor >= 0 && v.reseeds[k] < reseeds_each) {
            v.reseeds[k] += 1;
            v.counts[donor] *= 0.5;
            v.counts[k] = v.counts[donor];
            for (std::int64_t j = 0; j < d; ++j)
                v.means[k * d + j] = v.means[donor * d + j];
            v.means[k * d + v.widest_axis[donor]] += ::sqrt(v.widest_variance[donor]);
            for (std::int64_t i = 0; i < size; ++i)
                v.factors[k * size + i] = v.factors[donor * size + i];
            v.widest_axis[k] = v.widest_axis[donor];
            v.widest_variance[k] = v.widest_variance[donor];
            v.state[k] = component_state::healthy;
        } else {
            action.action = gmm::collapse_policy::drop;
            v.counts[k] = 0;
            v.state[k] = component_state::dropped;
        }
    }
    return done;
}

} // namespace elbo::kernels
