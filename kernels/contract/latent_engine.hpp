// The row engine of models with continuous latent variables and a Gaussian posterior (docs/theory.md section 2).
//
// x = A_k z + μ_k + ε with z ~ N(0, I_L), ε ~ N(0, Ψ_k) has the covariance A Aᵀ + Ψ, whose inverse by Woodbury's
// identity is a diagonal less a matrix of rank L. With M = I + Aᵀ Ψ⁻¹ A = R Rᵀ and W = Ψ⁻¹ A R⁻ᵀ [d x L],
//
//     (A Aᵀ + Ψ)⁻¹ = Ψ⁻¹ − W Wᵀ,    c = Wᵀ δ,    log p(x, k) = offset_k − ½ (Σ_j δ_j² / ψ_j − ‖c‖²),    E[z|x, k] = R⁻ᵀ
//     c
//
// so an engine needs two products of a block of rows with a [d x L] matrix and never a [d x d] one. It knows nothing of
// A and R: the host makes W from them and takes Σ w r δ cᵀ back (Σ w r c and Σ w r c cᵀ are Wᵀ times the sums it has).
// The same pass with Ψ⁻¹ = 0 and any W gives the product of the scatter matrix with W. Responsibilities are
// r_nk = exp(log p(x_n, k) − lse_n); sums as latent_statistics_size has them, with the scalars Σ w lse, Σ w H(r), Σ w.
#pragma once

#include "kernels/contract/row_engine.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

/// Sizes of the parameters that a latent engine works with.
struct latent_shape {
    std::int64_t dimensions = 1; ///< d
    std::int64_t components = 1; ///< K
    std::int64_t latent = 1;     ///< L, columns of the projections

    bool operator==(const latent_shape&) const = default;
};

/// Statistics of one component, δ = x̃ − μ̃ about the mean of this pass and c = Wᵀδ:
/// [Σ w r | Σ w r δ [d] | Σ w r δ² [d] | Σ w r δ cᵀ [d x L]].
ELBO_HD constexpr std::int64_t latent_statistics_size(const latent_shape& s) {
    return 1 + 2 * s.dimensions + s.dimensions * s.latent;
}

/// Where the parts begin within the statistics of a component.
inline constexpr std::int64_t latent_first_moments = 1;
ELBO_HD constexpr std::int64_t latent_squares(const latent_shape& s) {
    return 1 + s.dimensions;
}
ELBO_HD constexpr std::int64_t latent_products(const latent_shape& s) {
    return 1 + 2 * s.dimensions;
}

/// Numbers in the sums: components x latent_statistics_size, then the scalars of sum_scalar (gmm_layout.hpp).
ELBO_HD constexpr std::int64_t sum_count(const latent_shape& s) {
    return s.components * latent_statistics_size(s) + scalar_count;
}
constexpr std::int64_t scalar_sums(const latent_shape&) {
    return scalar_count;
}

/// What a pass computes with, in the normalised frame, on the host. A row without its noise is
/// Σ_k r_k (μ_k + A_k E[z|x, k]).
struct latent_parameters {
    latent_shape shape;
    std::vector<double> offsets;     ///< [K] log α_k − ½ (d log 2π + log |A Aᵀ + Ψ|)
    std::vector<double> means;       ///< [K x d] μ̃
    std::vector<double> precisions;  ///< [K x d] 1 / ψ, at least 0
    std::vector<double> projections; ///< [K x d x L] W
    // For inference alone, else empty: R, and A and μ in units of the data.
    std::vector<double> posterior_factors = {}; ///< [K x L x L], lower triangular
    std::vector<double> loadings = {};          ///< [K x d x L]
    std::vector<double> centres = {};           ///< [K x d]
};
/// Numbers of such parameters.
constexpr std::int64_t parameter_numbers(const latent_shape& s) {
    return s.components * (1 + s.dimensions * (2 + s.latent));
}

using latent_engine = row_engine<latent_parameters>;

/// The engine of the context's back end.
std::unique_ptr<latent_engine> make_latent_engine(const context& ctx, std::int64_t dimensions);

} // namespace elbo::kernels
