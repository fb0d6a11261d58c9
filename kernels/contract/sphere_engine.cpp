#include "kernels/contract/sphere_engine.hpp"

#include "kernels/math/fixed_point.hpp"

namespace elbo::kernels {

sphere_exponents exponents_of(const sphere_bounds& bounds) {
    return {fixed_exponent(bounds.lengths), fixed_exponent(bounds.logs)};
}

sphere_sums::sphere_sums(std::int64_t dimensions, const sphere_bounds& bounds)
    : limbs(static_cast<std::size_t>(limb_count * sphere_sum_count(dimensions)), 0), exponents(exponents_of(bounds)) {}

void sphere_sums::add(const double* partials) {
    const std::int64_t count = static_cast<std::int64_t>(limbs.size()) / limb_count;
    const std::int64_t scalars = count - sphere_scalars;
    for (std::int64_t i = 0; i < count; ++i) {
        std::int64_t parts[limb_count];
        split_fixed(partials[i], exponent_of(exponents, i - scalars), parts);
        for (int l = 0; l < limb_count; ++l)
            parts[l] += limbs[l * count + i];
        carry_fixed(parts);
        for (int l = 0; l < limb_count; ++l)
            limbs[l * count + i] = parts[l];
    }
}

std::vector<double> sphere_sums::values() const {
    const std::int64_t count = static_cast<std::int64_t>(limbs.size()) / limb_count;
    const std::int64_t scalars = count - sphere_scalars;
    std::vector<double> result(count);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t parts[limb_count] = {limbs[i], limbs[count + i], limbs[2 * count + i]};
        result[i] = join_fixed(parts, exponent_of(exponents, i - scalars));
    }
    return result;
}

} // namespace elbo::kernels
