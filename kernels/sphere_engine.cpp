#include "kernels/sphere_engine.hpp"

#include "kernels/math/fixed_point.hpp"

namespace elbo::kernels {

sphere_sums::sphere_sums(std::int64_t dimensions, double bound)
    : limbs(static_cast<std::size_t>(limb_count * sphere_sum_count(dimensions)), 0), exponent(fixed_exponent(bound)) {}

void sphere_sums::add(const double* partials) {
    const std::size_t count = limbs.size() / limb_count;
    for (std::size_t i = 0; i < count; ++i) {
        std::int64_t parts[limb_count];
        split_fixed(partials[i], exponent, parts);
        for (int l = 0; l < limb_count; ++l)
            parts[l] += limbs[l * count + i];
        carry_fixed(parts);
        for (int l = 0; l < limb_count; ++l)
            limbs[l * count + i] = parts[l];
    }
}

std::vector<double> sphere_sums::values() const {
    const std::size_t count = limbs.size() / limb_count;
    std::vector<double> result(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t parts[limb_count] = {limbs[i], limbs[count + i], limbs[2 * count + i]};
        result[i] = join_fixed(parts, exponent);
    }
    return result;
}

} // namespace elbo::kernels
