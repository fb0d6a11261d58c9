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
    std::int32_t falls = 0; ///< by more than the tolerance, since `best`
    double best = 0;        ///< the last value that was above all before it by more than the tolerance
};

/// Where a loop stands: the iterations that it has done, and what the rule remembers of them.
struct loop_position {
    std::int64_t iterations = 0;
    stopping_state rule;
};

/// Falls without a gain after which an iteration is taken to be at its end.
inline constexpr std::int32_t most_falls = 8;

/// Whether to stop, given the mean log-likelihood of this iteration. EM gains decay geometrically: with ratio
/// ρ = gain_t / gain_{t-1}, gain·ρ/(1−ρ) is still to come (Aitken). Both must be below the tolerance twice in a row, so
/// that a single small step on a plateau does not end the fit. A gain ≤ 0 is rounding noise at the optimum. Where that
/// noise is above the tolerance, as of densities in very many dimensions, values may rise and fall for ever: what falls
/// again and again without a new best value stops, too.
ELBO_HD inline bool should_stop(stopping_state& s, double log_likelihood, double tolerance, bool had_event) {
    const double gain = log_likelihood - s.last;
    bool small = s.seen >= 2 && !had_event && gain <= tolerance;
    if (small && gain > 0 && s.last_gain > 0) {
        const double ratio = gain / s.last_gain;
        small = ratio < 1 && gain * ratio <= tolerance * (1 - ratio);
    }
    s.small = small ? s.small + 1 : 0;
    if (s.seen == 0 || had_event || log_likelihood > s.best + tolerance)
        s.best = log_likelihood, s.falls = 0;
    else if (gain < -tolerance)
        s.falls += 1;
    s.last = log_likelihood;
    s.last_gain = gain;
    s.seen += 1;
    return tolerance > 0 && (s.small >= 2 || s.falls >= most_falls);
}

} // namespace elbo::kernels
