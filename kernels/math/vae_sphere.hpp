// The sphere decoder g(z) = r u + m with u = z/‖z‖ (docs/theory.md section 2). Where ‖z‖ is 0, u is 0: the centre.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>

namespace elbo::kernels {

/// 1/‖z‖ of Σ z², or 0 for 0, so that u = z · (1/‖z‖) is 0 there.
template <class Real>
ELBO_HD inline Real sphere_inverse_norm(Real squared_norm) {
    return squared_norm > 0 ? Real(1) / std::sqrt(squared_norm) : Real(0);
}

/// ∂E/∂z_j = r/‖z‖ (h_j − u_j Σ_i h_i u_i), h = ∂E/∂g. The sum is also ∂E/∂r; ∂E/∂m is h.
template <class Real>
ELBO_HD inline Real sphere_latent_gradient(Real radius, Real inverse_norm, Real h, Real u, Real sum_hu) {
    return radius * inverse_norm * (h - u * sum_hu);
}

} // namespace elbo::kernels
