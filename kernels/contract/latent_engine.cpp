#include "kernels/contract/latent_engine.hpp"

#include "kernels/math/fixed_point.hpp"
#include "kernels/math/weightless.hpp"

#include <algorithm>

namespace elbo::kernels {

namespace {

int exponent_of(const fixed_sums& sums, std::int64_t i, std::int64_t count) {
    return i < count - scalar_count ? sums.component_exponent : sums.scalar_exponent;
}

template <class T>
void normalize(const matrix_view<const T>& rows, const frame& f, double* x) {
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::int64_t j = 0; j < rows.cols; ++j)
            x[i * rows.cols + j] = (static_cast<double>(rows(i, j)) - f.centre[j]) / f.scale[j];
}

} // namespace

void load_latent_rows(const input_rows& in, const frame& f, double* x, double* weights) {
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

std::vector<double> latent_sum_values(const fixed_sums& sums, const latent_shape& shape) {
    const std::int64_t count = latent_sum_count(shape);
    std::vector<double> values(count);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t limbs[limb_count] = {sums.limbs[i], sums.limbs[count + i], sums.limbs[2 * count + i]};
        values[i] = join_fixed(limbs, exponent_of(sums, i, count));
    }
    return values;
}

fixed_sums empty_latent_sums(const latent_shape& shape, double component_bound, double scalar_bound) {
    return {std::vector<std::int64_t>(limb_count * latent_sum_count(shape), 0), fixed_exponent(component_bound),
            fixed_exponent(scalar_bound)};
}

void add_latent_partials(fixed_sums& sums, const latent_shape& shape, const double* partials) {
    const std::int64_t count = latent_sum_count(shape);
    for (std::int64_t i = 0; i < count; ++i) {
        std::int64_t limbs[limb_count];
        split_fixed(partials[i], exponent_of(sums, i, count), limbs);
        for (int l = 0; l < limb_count; ++l)
            limbs[l] += sums.limbs[l * count + i];
        carry_fixed(limbs);
        for (int l = 0; l < limb_count; ++l)
            sums.limbs[l * count + i] = limbs[l];
    }
}

} // namespace elbo::kernels
