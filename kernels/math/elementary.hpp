// Elementary functions of single numbers, by a name for templates: the formulas of likelihoods, activations and
// optimisers take them from here, or a vector at a time from vector_math of kernels/cpu.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <type_traits>

namespace elbo::kernels {

template <class Real>
struct scalar_math {
    using real = Real;   ///< what formulas work on
    using scalar = Real; ///< of constants
    ELBO_HD static Real broadcast(Real value) { return value; }
    ELBO_HD static Real sqrt(Real a) { return std::sqrt(a); }
    ELBO_HD static Real exp(Real a) { return std::exp(a); }
    ELBO_HD static Real log(Real a) { return std::log(a); }
    ELBO_HD static Real tanh(Real a) { return std::tanh(a); }
    ELBO_HD static Real log1p(Real a) { return std::log1p(a); }           ///< of a ≥ 0
    ELBO_HD static Real one_minus_exp(Real a) { return -std::expm1(-a); } ///< 1 − e^-a of a ≥ 0
    ELBO_HD static Real softplus(Real a) { return (a > 0 ? a : Real(0)) + std::log1p(std::exp(-std::abs(a))); }
    /// 1 / (1 + e^-a), also the mean of a bernoulli variable of logit a; e^-a is infinite far below 0, where the result
    /// is 0 as it should be.
    ELBO_HD static Real logistic(Real a) { return Real(1) / (Real(1) + std::exp(-a)); }
    /// Φ(a) of the standard normal distribution, exact in the lower tail, too.
    ELBO_HD static Real normal_cdf(Real a) { return Real(0.5) * std::erfc(a * Real(-0.70710678118654752440)); }
};

/// The functions that a formula takes: M where one is named, else those of its numbers.
template <class M, class Real>
using math_of = std::conditional_t<std::is_void_v<M>, scalar_math<Real>, M>;

} // namespace elbo::kernels
