// Sums in fixed point (math/fixed_point.hpp) on the host: what the host's engines add to and all engines hand out.
#pragma once

#include "kernels/math/fixed_point.hpp"

#include <cstdint>
#include <vector>

namespace elbo::kernels {

/// Limbs [3][count], limb 0 first. The last `scalars` sums have a scale of their own.
struct fixed_sums {
    std::vector<std::int64_t> limbs;
    int component_exponent = 0; ///< of the statistics of the components
    int scalar_exponent = 0;    ///< of the scalars behind them
    std::int64_t scalars = 0;   ///< how many these are

    fixed_sums() = default;
    /// Zero, for partials that do not exceed these bounds.
    fixed_sums(std::int64_t count, double bound) : fixed_sums(count, 0, bound, bound) {}
    fixed_sums(std::int64_t count, std::int64_t scalar_numbers, double component_bound, double scalar_bound);

    std::int64_t count() const { return std::ssize(limbs) / limb_count; }
    int exponent(std::int64_t i) const { return i < count() - scalars ? component_exponent : scalar_exponent; }
    double value(std::int64_t i) const { return join_fixed(limbs.data(), count(), i, exponent(i)); }
    std::vector<double> values() const;
    /// Adds the partials [count] of a unit.
    void add(const double* partials);
    /// Adds sums of the same scales.
    void add(const fixed_sums& other);
};

} // namespace elbo::kernels
