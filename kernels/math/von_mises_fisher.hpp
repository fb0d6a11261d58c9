// The von Mises–Fisher distribution on the sphere in D dimensions, p(u) ∝ exp(κ μᵀu): its normalising constant against
// the uniform distribution and its mean length, for D from 1 to 1000 and κ from 0 to 1e8 and beyond, without overflow.
//
// With ν = D/2 − 1:  E_uniform[e^{κ μᵀu}] = Γ(ν + 1) (2/κ)^ν I_ν(κ) = ₀F₁(; D/2; κ²/4),  A_D(κ) = I_{ν+1}(κ) / I_ν(κ).
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

struct von_mises_fisher {
    double log_scaled_mean;  ///< ln E_uniform[e^{κ μᵀu}] − κ, absolute error below 1e-12
    double length;           ///< A_D(κ) = ‖E[u]‖ in [0, 1), relative error below 1e-14
    double one_minus_length; ///< 1 − A_D(κ), relative error below 1e-12
};

namespace bessel {

/// Below this value of √(ν² + κ²) the power series is summed, from it on Debye's expansion.
inline constexpr double debye_from = 80;
inline constexpr int debye_terms = 8;

/// Σ_{k=1}^8 U_k(p)/ν^k with p = ν/t, t = √(ν² + κ²) (DLMF 10.41.10), written in t so that ν = 0 is no exception.
/// The term left out is below 25/t⁹ < 2e-16 for t ≥ 80.
ELBO_HD inline double debye_sum(double nu, double t) {
    constexpr double u[debye_terms][debye_terms + 1] = {
        {0.125, -0.20833333333333334},
        {0.0703125, -0.4010416666666667, 0.3342013888888889},
        {0.0732421875, -0.8912109375, 1.8464626736111112, -1.0258125964506173},
        {0.112152099609375, -2.3640869140625, 8.78912353515625, -11.207002616222994, 4.669584423426247},
        {0.22710800170898438, -7.368794359479632, 42.53499874538846, -91.81824154324002, 84.63621767460073,
         -28.212072558200244},
        {0.5725014209747314, -26.491430486951554, 218.1905117442116, -699.5796273761325, 1059.9904525279999,
         -765.2524681411817, 212.57013003921713},
        {1.7277275025844574, -108.09091978839466, 1200.9029132163525, -5305.646978613403, 11655.393336864534,
         -13586.550006434138, 8061.722181737309, -1919.457662318407},
        {6.074042001273483, -493.915304773088, 7109.514302489364, -41192.65496889755, 122200.46498301746,
         -203400.17728041555, 192547.00123253153, -96980.59838863752, 20204.29133096615}};
    const double q2 = (nu / t) * (nu / t);
    double sum = 0;
    for (int k = debye_terms; k >= 1; --k) {
        double polynomial = 0;
        for (int j = k; j >= 0; --j)
            polynomial = polynomial * q2 + u[k - 1][j];
        sum = (sum + polynomial) / t;
    }
    return sum;
}

ELBO_HD inline von_mises_fisher by_debye(double nu, double kappa) {
    constexpr double log_2pi = 1.83787706640934548356;
    const double t = ::sqrt(nu * nu + kappa * kappa);
    const double t1 = ::sqrt((nu + 1) * (nu + 1) + kappa * kappa);
    const double step = (2 * nu + 1) / (t + t1); // t1 − t
    const double sum = ::log1p(debye_sum(nu, t)), sum1 = ::log1p(debye_sum(nu + 1, t1));
    von_mises_fisher v;
    // I_ν(κ) ≈ e^t (κ/(ν + t))^ν / √(2πt) · (1 + Σ), and t − κ = ν²/(t + κ).
    v.log_scaled_mean =
        ::lgamma(nu + 1) - nu * ::log((nu + t) / 2) + nu * nu / (t + kappa) - 0.5 * (log_2pi + ::log(t)) + sum;
    // The factor κ/(ν + 1 + t1) of the ratio is e^{-asinh((ν + 1)/κ)}.
    const double rest = step - nu * ::log1p((1 + step) / (nu + t)) - 0.5 * ::log1p(step / t) + sum1 - sum;
    v.length = kappa / (nu + 1 + t1) * ::exp(rest);
    v.one_minus_length = kappa > 0 ? -::expm1(rest - ::asinh((nu + 1) / kappa)) : 1.0;
    return v;
}

/// The series of ₀F₁(; ν + 1; κ²/4) and ₀F₁(; ν + 2; κ²/4); all terms are positive, the largest at about κ/2.
ELBO_HD inline von_mises_fisher by_series(double nu, double kappa) {
    const double quarter = 0.25 * kappa * kappa;
    double term = 1, sum = 1, term1 = 1, sum1 = 1;
    for (int j = 0; j < 1000; ++j) {
        term *= quarter / ((nu + 1 + j) * (j + 1));
        term1 *= quarter / ((nu + 2 + j) * (j + 1));
        sum += term;
        sum1 += term1;
        if (term < 0x1p-60 * sum && term1 < 0x1p-60 * sum1)
            break;
    }
    const double numerator = kappa / (2 * (nu + 1)) * sum1;
    return {::log(sum) - kappa, numerator / sum, (sum - numerator) / sum};
}

} // namespace bessel

/// κ ≥ 0, dimensions ≥ 1. In one dimension the sphere is {−1, 1}: cosh and tanh.
ELBO_HD inline von_mises_fisher make_von_mises_fisher(std::int64_t dimensions, double kappa) {
    if (dimensions == 1) {
        const double e = ::exp(-2 * kappa);
        return {::log1p(e) - 0.69314718055994530942, -::expm1(-2 * kappa) / (1 + e), 2 * e / (1 + e)};
    }
    const double nu = 0.5 * static_cast<double>(dimensions) - 1;
    return nu * nu + kappa * kappa < bessel::debye_from * bessel::debye_from ? bessel::by_series(nu, kappa)
                                                                             : bessel::by_debye(nu, kappa);
}

} // namespace elbo::kernels
