// The latent space: q(z|x) = N(μ, σ²) with z = μ + σ ε against p(z) = N(0, 1), one unit at a time.
#pragma once

#include "elbo/vae/train.hpp"
#include "kernels/math/macros.hpp"

#include <cmath>

namespace elbo::kernels {

/// ln σ² = L tanh(a / L), L = vae::latent_log_variance_limit, of what the encoder puts out.
template <class Real>
ELBO_HD inline Real bounded_log_variance(Real a) {
    constexpr Real limit = Real(vae::latent_log_variance_limit);
    return limit * std::tanh(a / limit);
}

/// d ln σ² / da, of ln σ².
template <class Real>
ELBO_HD inline Real bounded_log_variance_slope(Real log_variance) {
    const Real t = log_variance / Real(vae::latent_log_variance_limit);
    return (Real(1) - t) * (Real(1) + t);
}

/// KL( N(μ, σ²) ‖ N(0, 1) ) = ½ (μ² + σ² − 1 − ln σ²).
template <class Real>
ELBO_HD inline Real unit_kl(Real mean, Real log_variance) {
    return Real(0.5) * (mean * mean + (std::expm1(log_variance) - log_variance));
}

/// ln p(z) − ln q(z|x) of one unit; ln 2π is in both.
template <class Real>
ELBO_HD inline Real latent_log_ratio(Real z, Real noise, Real log_variance) {
    return Real(0.5) * (noise * noise + log_variance - z * z);
}

/// Derivatives with respect to μ and ln σ².
template <class Real>
struct latent_gradient {
    Real mean;
    Real log_variance;
};

/// The gradient that an objective and an estimator give the encoder. With dE = ∂ ln p(x|z)/∂z of a draw and its
/// weight ω (1/S for the ELBO; else the normalised importance weight w̃, squared where `squared_weights`):
///   g = dE − prior · z + path · ε/σ
///   ∂/∂μ = Σ ω g − kl · μ,   ∂/∂ln σ² = Σ ω (½ g ε σ + entropy) − ½ kl (σ² − 1)
struct latent_rule {
    double prior;         ///< of ln p(z)
    double path;          ///< of −ln q(z|x) along z
    double entropy;       ///< of −ln q(z|x) as a function of ln σ², ε held
    double kl;            ///< of the closed form
    bool squared_weights; ///< of the encoder; the decoder's weights are never squared
};

ELBO_HD inline latent_rule make_latent_rule(vae::objective objective, vae::gradient_estimator estimator, double beta) {
    const bool standard = estimator == vae::gradient_estimator::standard;
    if (objective == vae::objective::elbo)
        return standard ? latent_rule{0, 0, 0, beta, false} : latent_rule{beta, beta, 0, 0, false};
    if (standard)
        return {1, 0, 0.5, 0, false};
    return {1, 1, 0, 0, estimator == vae::gradient_estimator::doubly_reparameterized};
}

/// What one draw adds, before its weight ω.
template <class Real>
ELBO_HD inline latent_gradient<Real> draw_gradient(const latent_rule& rule, Real likelihood_gradient, Real z,
                                                   Real noise, Real sigma) {
    const Real g = likelihood_gradient - Real(rule.prior) * z + Real(rule.path) * (noise / sigma);
    return {g, Real(0.5) * g * noise * sigma + Real(rule.entropy)};
}

/// What the closed form of the KL divergence adds, with weight kl (0 for a unit below its free bits).
template <class Real>
ELBO_HD inline latent_gradient<Real> kl_gradient(Real kl, Real mean, Real log_variance) {
    return {-kl * mean, Real(-0.5) * kl * std::expm1(log_variance)};
}

// The sphere decoder g(z) = r u + m with u = z/‖z‖ (docs/theory.md section 2). Where ‖z‖ is 0, u is 0: the centre.

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
