// log p(x | z) and its gradient with respect to what the decoder puts out, one number or one block at a time. All
// constants are included.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

/// A term of log p(x | z) with its derivative.
template <class Real>
struct likelihood_term {
    Real value;
    Real gradient;
};

/// x ln σ(l) + (1 − x) ln σ(−l) of a logit l and x in [0, 1], and x − σ(l). Only e^-|l| is taken, which cannot
/// overflow; with l > 0 the linear part is (x − 1) l, which loses nothing where x is 1.
template <class Real>
ELBO_HD inline likelihood_term<Real> bernoulli_term(Real x, Real logit) {
    const Real e = std::exp(-std::abs(logit));
    const Real linear = logit > 0 ? (x - Real(1)) * logit : x * logit;
    const Real probability = (logit > 0 ? Real(1) : e) / (Real(1) + e);
    return {linear - std::log1p(e), x - probability};
}

/// −½ (ln 2π + ln σ² + (x − mean)²/σ²) and (x − mean)/σ².
template <class Real>
ELBO_HD inline likelihood_term<Real> gaussian_term(Real x, Real mean, Real log_variance, Real inverse_variance) {
    const Real difference = x - mean;
    const Real scaled = difference * inverse_variance;
    constexpr Real log_2pi = Real(1.83787706640934548356);
    return {Real(-0.5) * (log_2pi + log_variance + difference * scaled), scaled};
}

/// Derivative of gaussian_term with respect to ln σ².
template <class Real>
ELBO_HD inline Real gaussian_log_variance_gradient(Real x, Real mean, Real inverse_variance) {
    const Real difference = x - mean;
    return Real(0.5) * (difference * difference * inverse_variance - Real(1));
}

/// ln Σ_j e^{l_j} of `count` logits: the largest is taken out, so that nothing overflows.
template <class Real>
ELBO_HD inline Real log_sum_exp(const Real* logits, std::int64_t count) {
    Real largest = logits[0];
    for (std::int64_t j = 1; j < count; ++j)
        largest = logits[j] > largest ? logits[j] : largest;
    Real sum = 0;
    for (std::int64_t j = 0; j < count; ++j)
        sum += std::exp(logits[j] - largest);
    return largest + std::log(sum);
}

/// One entry of a one-hot block: x_j (l_j − lse), which sums to log p of the block, and x_j − softmax_j.
template <class Real>
ELBO_HD inline likelihood_term<Real> categorical_term(Real x, Real logit, Real block_log_sum_exp) {
    const Real log_probability = logit - block_log_sum_exp;
    // 0 · −∞ must not be NaN where an entry that is not set has no probability left.
    return {x > 0 ? x * log_probability : Real(0), x - std::exp(log_probability)};
}

} // namespace elbo::kernels
