// Activations of the hidden layers and their slopes. tanh, ReLU, softplus (and the identity) give their slope from the
// output; GELU and SiLU are not monotone, so that theirs comes from the input, which has to be kept.
#pragma once

#include "elbo/vae/architecture.hpp"
#include "kernels/math/macros.hpp"

#include <cmath>

namespace elbo::kernels {

/// Whether activation_slope wants the input of the activation; else it wants the output.
ELBO_HD constexpr bool slope_needs_input(vae::activation f) {
    return f == vae::activation::gelu || f == vae::activation::silu;
}

/// 1 / (1 + e^-a), also the mean of a bernoulli variable of logit a; e^-a is infinite far below 0, where the result is
/// 0 as it should be.
template <class Real>
ELBO_HD inline Real logistic(Real a) {
    return Real(1) / (Real(1) + std::exp(-a));
}

/// Φ(a) of the standard normal distribution, exact in the lower tail, too.
template <class Real>
ELBO_HD inline Real normal_distribution(Real a) {
    return Real(0.5) * std::erfc(a * Real(-0.70710678118654752440));
}

/// f(a).
template <class Real>
ELBO_HD inline Real activate(vae::activation f, Real a) {
    switch (f) {
    case vae::activation::identity:
        return a;
    case vae::activation::tanh:
        return std::tanh(a);
    case vae::activation::relu:
        return a > 0 ? a : Real(0);
    case vae::activation::gelu:
        return a * normal_distribution(a);
    case vae::activation::silu:
        return a * logistic(a);
    case vae::activation::softplus:
        return (a > 0 ? a : Real(0)) + std::log1p(std::exp(-std::abs(a)));
    }
    return a;
}

/// f'(a) of `kept`: a itself where slope_needs_input(f), else f(a). The slope of ReLU at 0 is 0.
template <class Real>
ELBO_HD inline Real activation_slope(vae::activation f, Real kept) {
    switch (f) {
    case vae::activation::identity:
        return Real(1);
    case vae::activation::tanh:
        return (Real(1) - kept) * (Real(1) + kept);
    case vae::activation::relu:
        return kept > 0 ? Real(1) : Real(0);
    case vae::activation::gelu: {
        const Real density = Real(0.39894228040143267794) * std::exp(Real(-0.5) * kept * kept);
        return normal_distribution(kept) + kept * density;
    }
    case vae::activation::silu: {
        const Real s = logistic(kept);
        return s * (Real(1) + kept * (Real(1) - s));
    }
    case vae::activation::softplus:
        return -std::expm1(-kept); // 1 − e^-y is the logistic function of a
    }
    return Real(1);
}

} // namespace elbo::kernels
