// One parameter of the optimisers, and what they share over all parameters. They ascend: θ moves along +gradient.
#pragma once

#include "elbo/vae/train.hpp"
#include "kernels/math/elementary.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

/// What the gradient is multiplied with so that its 2-norm is at most `clip_norm`; 0 is no limit.
ELBO_HD inline double clip_factor(double norm, double clip_norm) {
    return clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0;
}

/// Numbers of one step, the same for all parameters. Worked out in float64 and rounded once.
template <class Real>
struct optimizer_step {
    vae::optimizer_kind kind;
    Real first, one_minus_first;   ///< β1 and 1 − β1; sgd: the momentum
    Real second, one_minus_second; ///< β2 and 1 − β2
    Real rate;                     ///< adam: over the bias correction 1 − β1^t
    Real root_scale;               ///< adam: 1/√(1 − β2^t)
    Real epsilon;
    Real decay; ///< rate · weight decay, of weight matrices under adamw
    Real clip;  ///< factor of the gradient
};

/// `steps_done` before this one.
template <class Real>
ELBO_HD inline optimizer_step<Real> make_optimizer_step(const vae::optimizer& o, double learning_rate,
                                                        std::int64_t steps_done, double clip) {
    optimizer_step<Real> step = {};
    step.kind = o.kind;
    step.clip = Real(clip);
    if (o.kind == vae::optimizer_kind::sgd) {
        step.first = Real(o.momentum);
        step.rate = Real(learning_rate);
        return step;
    }
    const double t = static_cast<double>(steps_done + 1);
    step.first = Real(o.beta1);
    step.one_minus_first = Real(1 - o.beta1);
    step.second = Real(o.beta2);
    step.one_minus_second = Real(1 - o.beta2);
    step.rate = Real(learning_rate / (1 - std::pow(o.beta1, t)));
    step.root_scale = Real(1 / std::sqrt(1 - std::pow(o.beta2, t)));
    step.epsilon = Real(o.epsilon);
    step.decay = o.kind == vae::optimizer_kind::adamw ? Real(learning_rate * o.weight_decay) : Real(0);
    return step;
}

/// Moves one parameter and its moments; `is_weight`: of a weight matrix, which adamw lets decay. The second moment is
/// not touched by sgd, whose first moment is the momentum buffer.
template <class M = void, class Scalar, class Real>
ELBO_HD inline Real optimize(const optimizer_step<Scalar>& step, Real gradient, bool is_weight, Real parameter,
                             Real& first_moment, Real& second_moment) {
    const Real g = step.clip * gradient;
    if (step.kind == vae::optimizer_kind::sgd) {
        first_moment = step.first * first_moment + g;
        return parameter + step.rate * first_moment;
    }
    first_moment = step.first * first_moment + step.one_minus_first * g;
    second_moment = step.second * second_moment + step.one_minus_second * (g * g);
    const Real move =
        step.rate * first_moment / (math_of<M, Real>::sqrt(second_moment) * step.root_scale + step.epsilon);
    // The decay is subtracted from the step: 1 − decay would round to 1 in float32 where the decay is small.
    return parameter + (is_weight ? move - step.decay * parameter : move);
}

/// The exponential average of a parameter after a step.
template <class Scalar, class Real>
ELBO_HD inline Real averaged(Scalar decay, Scalar one_minus_decay, Real average, Real parameter) {
    return decay * average + one_minus_decay * parameter;
}

} // namespace elbo::kernels
