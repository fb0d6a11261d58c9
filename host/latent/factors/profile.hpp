// Factor analysis of a covariance: its likelihood with the best loadings for given noise variances, and the maximum.
//
// For noise Ψ the best loadings follow from the eigenvalues θ_1 ≥ ... ≥ θ_d and vectors v of Ψ^-½ S Ψ^-½: A = Ψ^½ V (Θ
// − I)^½ of the m ≤ L largest that exceed one (D. N. Lawley and A. E. Maxwell, "Factor analysis as a statistical
// method", 1971). What is left is a function of u = log ψ,
//
//     F(u) = −E log p = ½ (d log 2π + Σ_j u_j + Σ_{l ≤ m} (1 + log θ_l) + Σ_{l > m} θ_l),
//     ∂F/∂u_j = ½ Σ_{l > m} (1 − θ_l) v_jl²,
//     ∂²F/∂u_i∂u_j = ½ P_ij Q_ij + ½ Σ_{s ≤ m} v_is v_js Σ_{l > m} (1 − θ_l) (θ_s + θ_l) / (θ_s − θ_l) v_il v_jl
//
// with P = Σ_{l > m} v_l v_lᵀ, Q = Σ_{l > m} θ_l v_l v_lᵀ (K. G. Jöreskog, Psychometrika 32, 1967; M. R. B. Clarke,
// British Journal of Mathematical and Statistical Psychology 23, 1970). EM needs thousands of steps where a noise
// variance goes to its floor; Newton's method needs twenty, and finds the same optima.
#pragma once

#include <cstdint>
#include <vector>

namespace elbo::latent {

/// Columns up to which a covariance is factored: a Newton step costs of order (L + 20) d³ operations.
inline constexpr std::int64_t most_profile_columns = 128;

/// A maximum of the likelihood over noise variances, each with the best loadings.
struct profile_maximum {
    std::vector<double> noise;    ///< [d]
    std::vector<double> loadings; ///< [d x L]
    double log_likelihood = 0;    ///< mean, of data with covariance S about its mean
    double rounding = 0;          ///< of log_likelihood, about
};

/// The maximum above `noise`, to which the likelihood rises in every step. S [d x d] symmetric; noise variances stay
/// between `floor` [d] > 0 and those of the columns.
profile_maximum maximize_profile(const std::vector<double>& covariance, std::int64_t d, std::int64_t L,
                                 const std::vector<double>& noise, const std::vector<double>& floor);

/// The best of the maxima above several beginnings, the first of equals: the variances themselves (as scikit-learn
/// begins), what principal axes leave of them, Jöreskog's (1 − L / 2d) / (S⁻¹)_jj, and shares drawn from the seed; of a
/// later restart the last kind alone.
profile_maximum best_profile(const std::vector<double>& covariance, std::int64_t d, std::int64_t L,
                             const std::vector<double>& floor, std::uint64_t seed, bool first_restart);

} // namespace elbo::latent
