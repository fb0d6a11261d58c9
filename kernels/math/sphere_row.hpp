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

/// The vectors of which a pass sums multiples of y, and the scalars that it sums.
enum sphere_vector : std::int64_t {
    sphere_direction, ///< ū / y; 0 for y = 0
    sphere_residual,  ///< E[y − r u] / y; 0 for y = 0
    sphere_vectors
};
enum sphere_scalar : std::int64_t {
    sphere_weight,        ///< 1
    sphere_alignment,     ///< E[u·(y − r u)]
    sphere_squared_error, ///< E‖y − r u‖²
    sphere_log_density,   ///< log p(x)
    sphere_negative_kl,   ///< −KL(p(u|x) ‖ uniform)
    sphere_scalars
};

struct sphere_row {
    double vectors[sphere_vectors];
    double scalars[sphere_scalars];
    double concentration; ///< κ
};

/// The model without its centre, in the normalised frame: a law of radial_engine.hpp.
struct sphere_law {
    static constexpr std::int64_t vectors = sphere_vectors, scalars = sphere_scalars;
    static constexpr std::int64_t log_density = sphere_log_density, logs = scalars - log_density;

    std::int64_t dimensions;
    double radius;       ///< r
    double noise;        ///< σ²
    double log_constant; ///< −D/2 log 2πσ²

    ELBO_HD sphere_row operator()(double distance) const {
        // Beyond this κ the terms in 1/κ are nothing, and κ² would overflow.
        constexpr double largest = 1e150;
        sphere_row row;
        row.concentration = ::fmin(radius * (distance / noise), largest);
        const von_mises_fisher v = make_von_mises_fisher(dimensions, row.concentration);
        const double step = distance - radius;
        row.vectors[sphere_direction] = distance > 0 ? v.length / distance : 0;
        row.vectors[sphere_residual] = distance > 0 ? (step + radius * v.one_minus_length) / distance : 0;
        row.scalars[sphere_weight] = 1;
        row.scalars[sphere_alignment] = step - v.one_minus_length * distance;
        row.scalars[sphere_squared_error] = step * step + 2 * radius * v.one_minus_length * distance;
        row.scalars[sphere_log_density] = log_constant - 0.5 * step * (step / noise) + v.log_scaled_mean;
        row.scalars[sphere_negative_kl] = v.log_scaled_mean + row.concentration * v.one_minus_length;
        return row;
    }
};

inline sphere_law make_sphere_law(std::int64_t dimensions, double radius, double noise) {
    constexpr double log_2pi = 1.83787706640934548356;
    return {dimensions, radius, noise, -0.5 * static_cast<double>(dimensions) * (log_2pi + std::log(noise))};
}

} // namespace elbo::kernels
