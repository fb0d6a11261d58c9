// When EM stops. One rule for the host loop and for the device, where it runs inside the graph.
#pragma once

#include "kernels/math/macros.hpp"

#include <cstdint>

namespace elbo::kernels {

/// What the rule remembers from one iteration to the next.
struct stopping_state {
    double last = 0;      ///< mean log-likelihood of the iteration before; with a prior, that and log p(θ) per sample
    double last_gain = 0; ///< its gain over the one before
    std::int64_t seen = 0;
    std::int32_t small = 0; ///< iterations in a row that met the rule
};

/// Whether to stop, given the mean log-likelihood of this iteration. EM gains decay geometrically: with ratio
/// ρ = gain_t / gain_{t-1}, gain·ρ/(1−ρ) is still to come (Aitken). Both must be below the tolerance twice in a row, so
/// that a single small step on a plateau does not end the fit. A gain ≤ 0 is rounding noise at the optimum.
ELBO_HD inline bool should_stop(stopping_state& s, double log_likelihood, double tolerance, bool had_event) {
    const double gain = log_likelihood - s.last;
    bool small = s.seen >= 2 && !had_event && gain <= tolerance;
    if (small && gain > 0 && s.last_gain > 0) {
        const double ratio = gain / s.last_gain;
        small = ratio < 1 && gain * ratio <= tolerance * (1 - ratio);
    }
    s.small = small ? s.small + 1 : 0;
    s.last = log_likelihood;
    s.last_gain = gain;
    s.seen += 1;
    return tolerance > 0 && s.small >= 2;
}

} // namespace elbo::kernels
