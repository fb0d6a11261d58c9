// The gradient of the log-likelihood of a mixture by Fisher's identity, from one pass over the data.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/statistics.hpp"

#include <vector>

namespace elbo::gmm {

/// Derivatives of Σ_n w_n log p(x_n) with respect to unconstrained parameters (docs/theory.md section 1, gradient
/// form).
struct log_likelihood_gradient {
    /// [k] of a_k, where α = softmax(a): N_k − W α_k. They sum to zero; zero for a component of weight zero.
    std::vector<double> logits;
    /// [k x d] of μ_k: U_k U_kᵀ Σ_n w_n r_nk (x_n − μ_k).
    std::vector<double> means;
    /// In the layout of model::precision_cholesky(): of the logarithms of the diagonal of U_k (of 1/σ for the families
    /// without off-diagonal entries), and of the entries above it; zero below. Tied families: of the factor that all
    /// components share.
    std::vector<double> precision_cholesky;
    double total_log_likelihood = 0; ///< Σ_n w_n log p(x_n), the value itself
};

/// ∇ log p(x | θ) = Σ_z p(z | x, θ) ∇ log p(x, z | θ) (Fisher's identity), of statistics under their model. Throws
/// invalid_argument if the statistics are empty.
log_likelihood_gradient gradient(const statistics& s);
/// The same in one call: one E-step over the rows of `data`, streamed as a fit does; with labels the gradient of
/// Σ_n w_n log Σ_k α_k π_nk N(x_n; k). Throws as statistics::accumulate.
log_likelihood_gradient gradient(const context& ctx, const model& m, const data_source& data,
                                 const sample_weights& weights = {}, const sample_labels& labels = {});

} // namespace elbo::gmm
