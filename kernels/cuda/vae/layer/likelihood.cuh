// log p(x|z) of one number that the decoder puts out.
#pragma once

#include "kernels/cuda/vae/views.hpp"
#include "kernels/math/likelihood/families.hpp"

namespace elbo::kernels::cuda {

using device_math = scalar_math<float>;

/// A number of a column as a likelihood sees it; total: the sum of its row, or 1.
template <class Family>
__device__ observed_number<device_math> observed(const likelihood_view& likelihood, float x, float total, float output,
                                                 std::int64_t column) {
    observed_number<device_math> o{x, output};
    o.total = total;
    o.form = likelihood.mean;
    if constexpr (!Family::facts.own.empty()) {
        o.own = likelihood.own[likelihood.own_count == 1 ? 0 : column];
        o.prepared = Family::prepare(o.own);
    }
    return o;
}

/// Of row r of the decoder, which belongs to row n of the data.
template <class Family>
__device__ likelihood_term<device_math> term_of(const likelihood_view& likelihood, std::int64_t n, std::int64_t r,
                                                float output, std::int64_t column) {
    const float total = Family::facts.counts && likelihood.total ? likelihood.total[n] : 1.0f;
    const likelihood_term<device_math> t = Family::template term<device_math>(
        observed<Family>(likelihood, likelihood.x(n, column), total, output, column));
    if constexpr (Family::facts.second == second_sum::own_gradient)
        if (likelihood.own_gradient.data)
            likelihood.own_gradient(r, column) = t.second;
    return t;
}

} // namespace elbo::kernels::cuda
