// Numbers of rows of weight zero, which may be anything finite.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>

namespace elbo::kernels {

/// x, or 0 where squares of x or of its products with parameters may overflow: zero times infinity would not be zero.
ELBO_HD inline double weightless(double x) {
    return ::fabs(x) > 0x1p400 ? 0 : x;
}

} // namespace elbo::kernels
