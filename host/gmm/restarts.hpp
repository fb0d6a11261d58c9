// What restarts begin with and are judged by, also where they run apart from each other.
#pragma once

#include "elbo/gmm/fit.hpp"

#include <cstdint>

namespace elbo::gmm {

/// Seed of one of the restarts of a fit; that of the fit for the first.
constexpr std::uint64_t restart_seed(std::uint64_t seed, std::int64_t restart) {
    return seed + static_cast<std::uint64_t>(restart) * 0x9E3779B97F4A7C15u;
}

/// What a restart is judged by: the log-likelihood, and with a prior log p(θ) beside it, per sample.
inline double restart_objective(const fit_result& r) {
    return r.log_likelihood + r.trace.back().log_prior;
}

} // namespace elbo::gmm
