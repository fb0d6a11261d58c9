// log p(x|z) of the pairs of a lane, from the products of the last layer.
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/vae/bound/draws.cuh"
#include "kernels/cuda/vae/layer/likelihood.cuh"

namespace elbo::kernels::cuda {

/// Bias of outputs beyond the last: with x = 0 their log-probability is 0.
inline constexpr float no_output = -1e4f;

/// Adds the columns of a lane under the Bernoulli distribution, of logits l: x l − max(l, 0) − ln(1 + e^-|l|), of which
/// eight logarithms are taken as that of a product, at most 2^8.
template <int N>
__device__ __forceinline__ void add_bernoulli(const bound_kernel_arguments& p, const float (&acc)[N],
                                              const float2* columns, int first, const float (&unscale)[2],
                                              const int (&rows)[2], double (&log_likelihood)[2]) {
    constexpr float log2_e = 1.44269504088896341f, log_2 = 0.69314718055994531f;
    constexpr int together = N > 52 ? 2 : 4; // eights of columns whose x is loaded at once
    const matrix& x = p.of.likelihood.x;
    const int d = p.dimensions();
    float linear[2] = {}, logarithms[2] = {}, product[2] = {1, 1};
#pragma unroll
    for (int i = 0; i < N / 4; ++i) {
        const int column = first + 8 * i;
        if (i % together == 0 && column - first % 8 >= d)
            break; // the branch also keeps more of x from being loaded, for which there are no registers
        const float4 c = *reinterpret_cast<const float4*>(columns + column);
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            float2 v = make_float2(0, 0);
            if (column < d)
                v = *reinterpret_cast<const float2*>(&x(rows[row], column));
            v.y = column + 1 < d ? v.y : 0; // behind the last column there may be a one
            const float a = acc[4 * i + 2 * row] * (unscale[row] * c.y) + c.x;
            const float b = acc[4 * i + 2 * row + 1] * (unscale[row] * c.w) + c.z;
            linear[row] += fmaf(v.x, a, -fmaxf(a, 0.0f));
            linear[row] += fmaf(v.y, b, -fmaxf(b, 0.0f));
            product[row] = fmaf(product[row], exp2_of(-log2_e * ::fabsf(a)), product[row]);
            product[row] = fmaf(product[row], exp2_of(-log2_e * ::fabsf(b)), product[row]);
            if (i % 4 == 3) {
                logarithms[row] += log2_of(product[row]);
                product[row] = 1;
            }
        }
    }
#pragma unroll
    for (int row = 0; row < 2; ++row)
        log_likelihood[row] +=
            static_cast<double>(linear[row]) - static_cast<double>(log_2 * (logarithms[row] + log2_of(product[row])));
}

/// Accumulator i of those that are parked.
__device__ __forceinline__ float number(const float4* parked, int i) {
    return reinterpret_cast<const float*>(parked + i / 4 * bound_consumers)[i % 4];
}

/// The same of any likelihood of one output a column; the outputs are parked, so that the code of a term is there once.
template <class Family, int N>
__device__ __forceinline__ void add_terms_of(const bound_kernel_arguments& p, const float4* parked,
                                             const float2* columns, int first, const float (&unscale)[2],
                                             const int (&rows)[2], double (&log_likelihood)[2], double (&second)[2]) {
    const likelihood_view& likelihood = p.of.likelihood;
#pragma unroll 1
    for (int i = 0; i < N; ++i) {
        const int row = i / 2 % 2, column = first + 8 * (i / 4) + i % 2;
        if (column >= p.dimensions())
            continue;
        const float2 c = columns[column];
        const float output = number(parked, i) * ((row ? unscale[1] : unscale[0]) * c.y) + c.x;
        const int n = row ? rows[1] : rows[0];
        const float total = Family::facts.counts && likelihood.total ? likelihood.total[n] : 1.0f;
        const likelihood_term<device_math> term = Family::template term<device_math>(
            observed<Family>(likelihood, likelihood.x(n, column), total, output, column));
        log_likelihood[0] += row ? 0.0 : static_cast<double>(term.value);
        log_likelihood[1] += row ? static_cast<double>(term.value) : 0.0;
        if constexpr (Family::facts.second == second_sum::squared_error) {
            second[0] += row ? 0.0 : static_cast<double>(term.second);
            second[1] += row ? static_cast<double>(term.second) : 0.0;
        }
    }
}
/// Adds the columns of a lane: of each pair log p(x|z) and, where the likelihood has them, squared errors.
template <int N>
__device__ __forceinline__ void add_terms(const bound_kernel_arguments& p, const float (&acc)[N], float4* parked,
                                          const float2* columns, int first, const float (&unscale)[2],
                                          const int (&rows)[2], double (&log_likelihood)[2], double (&second)[2]) {
    if (p.of.likelihood.family == vae::likelihood_family::bernoulli)
        return add_bernoulli(p, acc, columns, first, unscale, rows, log_likelihood);
#pragma unroll
    for (int i = 0; i < N / 4; ++i)
        parked[i * bound_consumers] = make_float4(acc[4 * i], acc[4 * i + 1], acc[4 * i + 2], acc[4 * i + 3]);
    const auto add = [&](auto family) {
        add_terms_of<decltype(family), N>(p, parked, columns, first, unscale, rows, log_likelihood, second);
    };
    switch (p.of.likelihood.family) {
    case vae::likelihood_family::gaussian:
        return add(likelihoods::gaussian{});
    case vae::likelihood_family::poisson:
        return add(likelihoods::poisson{});
    case vae::likelihood_family::negative_binomial:
        return add(likelihoods::negative_binomial{});
    default: // blocks of columns do not come here
        return;
    }
}

} // namespace elbo::kernels::cuda
