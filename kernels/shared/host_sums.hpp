// Fixed-point sums as numbers, for an M-step on the host.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/normalize_statistics.hpp"

#include <vector>

namespace elbo::kernels {

/// The sums [sum_count] in float64, normalised (math/normalize_statistics.hpp).
inline std::vector<double> normalized_sums(const fixed_sums& s, const gmm_shape& shape) {
    std::vector<double> totals = s.values();
    normalize_statistics(totals.data(), shape);
    return totals;
}

} // namespace elbo::kernels
