#include "kernels/contract/row_engine.hpp"

#include "kernels/math/fixed_point.hpp"
#include "kernels/math/weightless.hpp"

#include <algorithm>

namespace elbo::kernels {

namespace {

std::int64_t count_of(const fixed_sums& sums) {
    return std::ssize(sums.limbs) / limb_count;
}

template <class T>
void normalize(const matrix_view<const T>& rows, const frame& f, double* x) {
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::int64_t j = 0; j < rows.cols; ++j)
            x[i * rows.cols + j] = (static_cast<double>(rows(i, j)) - f.centre[j]) / f.scale[j];
}

} // namespace

void normalize_host_rows(const input_rows& in, const frame& f, double* x, double* weights) {
    if (in.x.type == element_type::float32)
        normalize(in.x.as<float>(), f, x);
    else
        normalize(in.x.as<double>(), f, x);
    for (std::int64_t i = 0; weights && i < in.x.rows; ++i) {
        weights[i] = !in.weights.data                           ? 1
                     : in.weights.type == element_type::float32 ? in.weights.as<float>()(i, 0) * in.weight_scale
                                                                : in.weights.as<double>()(i, 0) * in.weight_scale;
        if (weights[i] == 0)
            std::transform(x + i * in.x.cols, x + (i + 1) * in.x.cols, x + i * in.x.cols, weightless);
    }
}

fixed_sums empty_sums(std::int64_t count, const sum_bounds& bounds) {
    return {std::vector<std::int64_t>(limb_count * count, 0), fixed_exponent(bounds.component),
            fixed_exponent(bounds.scalar)};
}

void add_partials(fixed_sums& sums, std::int64_t scalars, const double* partials) {
    const std::int64_t count = count_of(sums);
    for (std::int64_t i = 0; i < count; ++i) {
        std::int64_t limbs[limb_count];
        split_fixed(partials[i], i < count - scalars ? sums.component_exponent : sums.scalar_exponent, limbs);
        for (int l = 0; l < limb_count; ++l)
            limbs[l] += sums.limbs[l * count + i];
        carry_fixed(limbs);
        for (int l = 0; l < limb_count; ++l)
            sums.limbs[l * count + i] = limbs[l];
    }
}

std::vector<double> sum_values(const fixed_sums& sums, std::int64_t scalars) {
    const std::int64_t count = count_of(sums);
    std::vector<double> values(count);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t limbs[limb_count] = {sums.limbs[i], sums.limbs[count + i], sums.limbs[2 * count + i]};
        values[i] = join_fixed(limbs, i < count - scalars ? sums.component_exponent : sums.scalar_exponent);
    }
    return values;
}

} // namespace elbo::kernels
