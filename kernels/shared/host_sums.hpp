// Fixed-point sums as numbers, for an M-step on the host.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/normalize_statistics.hpp"

#include <vector>

namespace elbo::kernels {

/// The sums [sum_count] in float64, normalised (math/normalize_statistics.hpp).
inline std::vector<double> normalized_sums(const fixed_sums& s, const gmm_shape& shape) {
    const std::int64_t count = sum_count(shape);
    std::vector<double> totals(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t limbs[limb_count] = {s.limbs[i], s.limbs[count + i], s.limbs[2 * count + i]};
        totals[i] = join_fixed(limbs, i < count - scalar_count ? s.component_exponent : s.scalar_exponent);
    }
    normalize_statistics(totals.data(), shape);
    return totals;
}

} // namespace elbo::kernels
