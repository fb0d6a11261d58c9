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
// r_nk = exp(log p(x_n, k) − lse_n); sums as latent_layout.hpp has them, with the scalars Σ w lse, Σ w H(r), Σ w.
#pragma once

#include "kernels/contract/latent_layout.hpp"
#include "kernels/contract/row_engine.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

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
