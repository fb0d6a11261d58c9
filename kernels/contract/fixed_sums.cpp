#include "kernels/contract/fixed_sums.hpp"

namespace elbo::kernels {

fixed_sums::fixed_sums(std::int64_t count, std::int64_t scalar_numbers, double component_bound, double scalar_bound)
    : limbs(static_cast<std::size_t>(limb_count * count), 0), component_exponent(fixed_exponent(component_bound)),
      scalar_exponent(fixed_exponent(scalar_bound)), scalars(scalar_numbers) {}

std::vector<double> fixed_sums::values() const {
    std::vector<double> all(static_cast<std::size_t>(count()));
    for (std::int64_t i = 0; i < count(); ++i)
        all[i] = value(i);
    return all;
}

void fixed_sums::add(const double* partials) {
    for (std::int64_t i = 0; i < count(); ++i) {
        std::int64_t parts[limb_count];
        split_fixed(partials[i], exponent(i), parts);
        for (int l = 0; l < limb_count; ++l)
            limbs[l * count() + i] += parts[l];
        carry_fixed(limbs.data(), count(), i);
    }
}

void fixed_sums::add(const fixed_sums& other) {
    for (std::size_t i = 0; i < limbs.size(); ++i)
        limbs[i] += other.limbs[i];
    for (std::int64_t i = 0; i < count(); ++i)
        carry_fixed(limbs.data(), count(), i);
}

} // namespace elbo::kernels
