// Activations of the hidden layers and their slopes. tanh, ReLU, softplus (and the identity) give their slope from the
// output; GELU and SiLU are not monotone, so that theirs comes from the input, which has to be kept.
#pragma once

#include "elbo/vae/architecture.hpp"
#include "kernels/math/elementary.hpp"

namespace elbo::kernels {

/// Whether activation_slope wants the input of the activation; else it wants the output.
ELBO_HD constexpr bool slope_needs_input(vae::activation f) {
    return f == vae::activation::gelu || f == vae::activation::silu;
}

/// f(a).
template <class M = void, class Real>
ELBO_HD inline Real activate(vae::activation f, Real a) {
    using math = math_of<M, Real>;
    using c = typename math::scalar;
    switch (f) {
    case vae::activation::identity:
        return a;
    case vae::activation::tanh:
        return math::tanh(a);
    case vae::activation::relu:
        return a > c(0) ? a : math::broadcast(0);
    case vae::activation::gelu:
        return a * math::normal_cdf(a);
    case vae::activation::silu:
        return a * math::logistic(a);
    case vae::activation::softplus:
        return math::softplus(a);
    }
    return a;
}

/// f'(a) of `kept`: a itself where slope_needs_input(f), else f(a). The slope of ReLU at 0 is 0.
template <class M = void, class Real>
ELBO_HD inline Real activation_slope(vae::activation f, Real kept) {
    using math = math_of<M, Real>;
    using c = typename math::scalar;
    switch (f) {
    case vae::activation::identity:
        break;
    case vae::activation::tanh:
        return (c(1) - kept) * (c(1) + kept);
    case vae::activation::relu:
        return kept > c(0) ? math::broadcast(1) : math::broadcast(0);
    case vae::activation::gelu:
        return math::normal_cdf(kept) + kept * (c(0.39894228040143267794) * math::exp(c(-0.5) * kept * kept));
    case vae::activation::silu: {
        const auto s = math::logistic(kept);
        return s * (c(1) + kept * (c(1) - s));
    }
    case vae::activation::softplus:
        return math::one_minus_exp(kept); // the logistic function of a
    }
    return math::broadcast(1);
}

} // namespace elbo::kernels
