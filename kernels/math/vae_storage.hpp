// Values that fit a byte: k/255 with integer k.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>

namespace elbo::kernels {

/// What a stored byte stands for.
ELBO_HD inline float byte_value(int k) {
    return static_cast<float>(k) / 255.0f;
}

/// k where the value is k/255 as float32 makes it: by division, or by a product with 1/255 in either precision.
/// -1 for every other value.
ELBO_HD inline int byte_of(float value) {
    if (!(value >= 0.0f && value <= 1.0f))
        return -1;
    const int k = static_cast<int>(value * 255.0f + 0.5f);
    const bool matches = value == byte_value(k) || value == static_cast<float>(k) * (1.0f / 255.0f) ||
                         value == static_cast<float>(k * (1.0 / 255.0));
    return matches ? k : -1;
}

} // namespace elbo::kernels
