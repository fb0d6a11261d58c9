// Whether a step of training may be taken.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/math/macros.hpp"

#include <cmath>

namespace elbo::kernels {

/// The first term of a step that is not finite, its gradient's norm included.
ELBO_HD inline step_record::term first_not_finite(const step_record& record, double gradient_norm) {
    if (!std::isfinite(record.reconstruction))
        return step_record::term::reconstruction;
    if (!std::isfinite(record.kl))
        return step_record::term::kl;
    if (!std::isfinite(record.objective))
        return step_record::term::objective;
    return std::isfinite(gradient_norm) ? step_record::term::none : step_record::term::gradient;
}

} // namespace elbo::kernels
