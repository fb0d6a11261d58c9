// One row of the sphere model x = r u + m + σ ε (docs/theory.md section 2), given ρ = ‖x − m‖: what the E-step and the
// sums need, written so that nothing is lost for large κ = rρ/σ², where ρ ≈ r and A(κ) ≈ 1.
//
// With y = x − m, ū = A(κ) y/ρ and s = ρ − r:
//     log p(x)        = −D/2 log 2πσ² − s²/(2σ²) + log E_uniform[e^{κ μᵀu}] − κ
//     E‖y − r u‖²     = s² + 2 r (1 − A) ρ
//     E[y − r u]      = (s + r (1 − A)) y/ρ
//     E[u·(y − r u)]  = s − (1 − A) ρ
#pragma once

#include "kernels/math/von_mises_fisher.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

/// The model without its centre, in the normalised frame.
struct sphere_scales {
    std::int64_t dimensions;
    double radius;       ///< r
    double noise;        ///< σ²
    double log_constant; ///< −D/2 log 2πσ²
};

inline sphere_scales make_sphere_scales(std::int64_t dimensions, double radius, double noise) {
    constexpr double log_2pi = 1.83787706640934548356;
    return {dimensions, radius, noise, -0.5 * static_cast<double>(dimensions) * (log_2pi + std::log(noise))};
}

struct sphere_row {
    double log_density;   ///< log p(x)
    double concentration; ///< κ
    double direction;     ///< ū = direction · y; 0 for y = 0
    double residual;      ///< E[y − r u] = residual · y; 0 for y = 0
    double alignment;     ///< E[u·(y − r u)]
    double squared_error; ///< E‖y − r u‖²
    double negative_kl;   ///< −KL(p(u|x) ‖ uniform)
};

ELBO_HD inline sphere_row make_sphere_row(const sphere_scales& m, double distance) {
    // Beyond this κ the terms in 1/κ are nothing, and κ² would overflow.
    constexpr double largest = 1e150;
    sphere_row row;
    row.concentration = ::fmin(m.radius * (distance / m.noise), largest);
    const von_mises_fisher v = make_von_mises_fisher(m.dimensions, row.concentration);
    const double step = distance - m.radius;
    row.log_density = m.log_constant - 0.5 * step * (step / m.noise) + v.log_scaled_mean;
    row.direction = distance > 0 ? v.length / distance : 0;
    row.residual = distance > 0 ? (step + m.radius * v.one_minus_length) / distance : 0;
    row.alignment = step - v.one_minus_length * distance;
    row.squared_error = step * step + 2 * m.radius * v.one_minus_length * distance;
    row.negative_kl = v.log_scaled_mean + row.concentration * v.one_minus_length;
    return row;
}

} // namespace elbo::kernels
