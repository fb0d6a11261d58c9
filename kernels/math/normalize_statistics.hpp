// Σ_k r_nk = 1 holds only to rounding: in float32 Σ_k N_k misses Σ w by about 1e-8 of it, always to the same side. The
// bound multiplies that by log-densities, so it would show at 1e-7 nats. All statistics are scaled by one factor that
// makes Σ_k N_k = Σ w: means and own covariances do not change, the bound and the tied covariance become right.
#pragma once

#include "kernels/contract/fixed_sums.hpp"
#include "kernels/contract/gmm_layout.hpp"
#include "kernels/math/macros.hpp"

#include <cstdint>
#include <vector>

namespace elbo::kernels {

/// The factor, from Σ w over the rows and Σ_k N_k.
ELBO_HD inline double statistics_factor(double weight, double count_sum) {
    return weight > 0 && count_sum > 0 ? weight / count_sum : 1;
}

/// Applies it to sums [sum_count] in float64.
inline void normalize_statistics(double* sums, const gmm_shape& shape) {
    const std::int64_t size = statistics_size(shape.family, shape.dimensions), numbers = shape.components * size;
    double count_sum = 0;
    for (std::int64_t k = 0; k < shape.components; ++k)
        count_sum += sums[k * size];
    const double factor = statistics_factor(sums[numbers + scalar_weight], count_sum);
    for (std::int64_t i = 0; i < numbers; ++i)
        sums[i] *= factor;
}

/// Fixed-point sums as such numbers.
inline std::vector<double> normalized_sums(const fixed_sums& s, const gmm_shape& shape) {
    std::vector<double> totals = s.values();
    normalize_statistics(totals.data(), shape);
    return totals;
}

} // namespace elbo::kernels
