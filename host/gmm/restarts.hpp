// What restarts begin with and are judged by, also where they run apart from each other, and what every iteration
// keeps.
#pragma once

#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"

#include <cmath>
#include <cstdint>
#include <fmt/format.h>

namespace elbo::gmm {

/// Seed of one of the restarts of a fit; that of the fit for the first.
constexpr std::uint64_t restart_seed(std::uint64_t seed, std::int64_t restart) {
    return seed + static_cast<std::uint64_t>(restart) * 0x9E3779B97F4A7C15u;
}

/// What a restart is judged by: the log-likelihood, and with a prior log p(θ) beside it, per sample.
inline double restart_objective(const fit_result& r) {
    return r.log_likelihood + r.trace.back().log_prior;
}

/// Throws elbo::error where the objective of an iteration is not finite: no rule would ever end such a fit.
inline void require_finite(std::int64_t iteration, double objective) {
    if (!std::isfinite(objective))
        throw error(
            fmt::format("iteration {}: the objective is {}: expected a finite number; rows may lie too far from "
                        "every component for the arithmetic (compute in float64, or scale the columns)",
                        iteration, objective));
}

} // namespace elbo::gmm
