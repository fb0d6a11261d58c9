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
    fixed_sums(std::int64_t count, std::int64_t scalar_numbers, double component_bound, double scalar_bound)
        : limbs(static_cast<std::size_t>(limb_count * count), 0), component_exponent(fixed_exponent(component_bound)),
          scalar_exponent(fixed_exponent(scalar_bound)), scalars(scalar_numbers) {}

    std::int64_t count() const { return std::ssize(limbs) / limb_count; }
    int exponent(std::int64_t i) const { return i < count() - scalars ? component_exponent : scalar_exponent; }
    double value(std::int64_t i) const { return join_fixed(limbs.data(), count(), i, exponent(i)); }
    std::vector<double> values() const {
        std::vector<double> all(static_cast<std::size_t>(count()));
        for (std::int64_t i = 0; i < count(); ++i)
            all[i] = value(i);
        return all;
    }
    /// Adds the partials [count] of a unit.
    void add(const double* partials) {
        for (std::int64_t i = 0; i < count(); ++i) {
            std::int64_t parts[limb_count];
            split_fixed(partials[i], exponent(i), parts);
            for (int l = 0; l < limb_count; ++l)
                limbs[l * count() + i] += parts[l];
            carry_fixed(limbs.data(), count(), i);
        }
    }
    /// Adds sums of the same scales.
    void add(const fixed_sums& other) {
        for (std::size_t i = 0; i < limbs.size(); ++i)
            limbs[i] += other.limbs[i];
        for (std::int64_t i = 0; i < count(); ++i)
            carry_fixed(limbs.data(), count(), i);
    }
};

} // namespace elbo::kernels
