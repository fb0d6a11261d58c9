// Mixtures made from mixtures: marginals, conditionals, products, affine maps, moments, and how far two of them are
// apart. Everything here is computed in float64 from the triangular factors of the precisions; no covariance is
// inverted.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// The distribution of some columns: Σ_k α_k N(x_a; μ_ka, Σ_kaa), dimensions in the order of `columns` (numbers from
/// 0). Weights and family stay. Throws invalid_argument: no columns, a column out of range or named twice.
model marginal(const model& m, const std::vector<std::int64_t>& columns);

/// The distribution of all other columns (in ascending order) where the columns b = `columns` have these values
/// [columns]:
///
///     p(x_a | x_b) = Σ_k α'_k N(x_a; μ_ka + Σ_kab Σ_kbb⁻¹ (x_b − μ_kb), Σ_kaa − Σ_kab Σ_kbb⁻¹ Σ_kba),
///     α'_k ∝ α_k N(x_b; μ_kb, Σ_kbb)
///
/// All components are kept in their order, also those whose weight becomes 0, and so is the family. The weights are
/// right also where every density underflows. Throws invalid_argument: no columns or all of them, a column out of range
/// or named twice, not one finite value a column, values so far away that the result overflows.
model conditional(const model& m, const std::vector<std::int64_t>& columns, const std::vector<double>& values);

/// p(x) N(x; mean, covariance) = exp(log_normalizer) times a mixture.
struct product_result {
    gmm::model model;          ///< of components with precisions Σ_k⁻¹ + S⁻¹
    double log_normalizer = 0; ///< log ∫ p(x) N(x; mean, covariance) dx = log Σ_k α_k N(μ_k; mean, Σ_k + S)
};
/// The product with one Gaussian, mean [d] and covariance S [d x d], as a mixture: the posterior of x where it has the
/// prior `m` and the likelihood N(mean; x, S). Tied families stay tied, and diagonal and spherical ones stay what they
/// are where S is of that form exactly. Throws invalid_argument: sizes, values that are not finite, S not symmetric
/// positive definite, a mean so far away that the result overflows.
product_result product(const model& m, const std::vector<double>& mean, const std::vector<double>& covariance);

/// The distribution of A x + b, A [rows x d] row-major, b [rows]: Σ_k α_k N(A μ_k + b, A Σ_k Aᵀ). Tied families stay
/// tied. Diagonal ones stay diagonal where every row of A has one element that is not 0, in columns of their own;
/// spherical ones stay spherical where these elements also have the same magnitude, else they become diagonal. All
/// other results are full. Throws invalid_argument: sizes, values that are not finite, more rows than dimensions, rows
/// of A that are not linearly independent to working precision under the covariance of a component.
model affine(const model& m, const std::vector<double>& a, const std::vector<double>& b);

/// E[x] and Cov[x] of the whole mixture. Those of component k are m.means() and m.covariance(k).
struct moments_result {
    std::vector<double> mean;       ///< [d] Σ_k α_k μ_k
    std::vector<double> covariance; ///< [d x d] Σ_k α_k (Σ_k + (μ_k − mean)(μ_k − mean)ᵀ)
};
moments_result moments(const model& m);

/// D(p‖q) = ∫ p(x) (log p(x) − log q(x)) dx in nats, estimated from samples of p.
struct divergence_options {
    std::int64_t samples = 100000; ///< at least 2
    std::uint64_t seed = 0;
};
struct divergence_result {
    double value = 0; ///< mean of log p(x) − log q(x); may be below 0 by chance, never on purpose made positive
    double standard_error = 0; ///< of the mean
    std::int64_t samples = 0;
};
/// The samples are those that sample(ctx, p, samples, seed) draws, whatever the back end; densities are computed in
/// float64 on the context, batch by batch. Throws invalid_argument: other dimensions, fewer than 2 samples.
divergence_result kl_divergence(const context& ctx, const model& p, const model& q,
                                const divergence_options& options = {});

/// D(p‖q) without samples, from the divergences of all pairs of components (Hershey and Olsen, "Approximating the
/// Kullback Leibler divergence between Gaussian mixture models", ICASSP 2007). Where p and q have one component each,
/// both numbers are the divergence itself.
struct variational_divergence {
    /// Σ_a α_a log( Σ_a' α_a' exp(−D(p_a‖p_a')) / Σ_b β_b exp(−D(p_a‖q_b)) ): the variational
    /// approximation, near D on either side.
    double approximation = 0;
    /// min over φ, ψ of Σ_ab φ_ab (log(φ_ab / ψ_ab) + D(p_a‖q_b)) with Σ_b φ_ab = α_a, Σ_a ψ_ab = β_b: never
    /// below D: the variational upper bound.
    double upper_bound = 0;
    std::int64_t iterations = 0; ///< of the minimisation: until one lowers the bound by less than 1e-12 of it
};
/// Throws invalid_argument: other dimensions.
variational_divergence kl_variational(const model& p, const model& q);

} // namespace elbo::gmm
