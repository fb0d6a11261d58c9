// One pass over the rows for models with continuous latent variables and a Gaussian posterior (docs/theory.md section
// 2), declared once: every back end implements latent_engine, the host code uses nothing else.
//
// x = A_k z + μ_k + ε with z ~ N(0, I_L), ε ~ N(0, Ψ_k) has the covariance A Aᵀ + Ψ, whose inverse by Woodbury's
// identity is a diagonal less a matrix of rank L. With M = I + Aᵀ Ψ⁻¹ A = R Rᵀ and W = Ψ⁻¹ A R⁻ᵀ [d x L],
//
//     (A Aᵀ + Ψ)⁻¹ = Ψ⁻¹ − W Wᵀ,    c = Wᵀ δ,    log p(x, k) = offset_k − ½ (Σ_j δ_j² / ψ_j − ‖c‖²),    E[z|x, k] = R⁻ᵀ
//     c
//
// so an engine needs two products of a block of rows with a [d x L] matrix and never a [d x d] one. It knows nothing of
// A and R: the host makes W from them and takes Σ w r δ cᵀ back (Σ w r c and Σ w r c cᵀ are Wᵀ times the sums it has).
// The same pass with Ψ⁻¹ = 0 and any W gives the product of the scatter matrix with W.
//
// Frame, unit and fixed-point sums are those of contract/gmm_engine.hpp: engines work on x̃ = (x − centre) / scale, all
// arithmetic is float64, sums within a unit of unit_rows rows have an order that depends on the position in the unit
// alone, and unit partials enter fixed-point sums, so batches, threads and grids change no bit.
#pragma once

#include "elbo/context.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/latent_layout.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

/// What a pass computes with, in the normalised frame, on the host.
struct latent_parameters {
    latent_shape shape;
    std::vector<double> offsets;     ///< [K] log α_k − ½ (d log 2π + log |A Aᵀ + Ψ|)
    std::vector<double> means;       ///< [K x d] μ̃
    std::vector<double> precisions;  ///< [K x d] 1 / ψ, at least 0
    std::vector<double> projections; ///< [K x d x L] W
};

class latent_engine {
public:
    explicit latent_engine(std::int64_t dimensions) : dimensions(dimensions) {}
    virtual ~latent_engine() = default;
    latent_engine(const latent_engine&) = delete;
    latent_engine& operator=(const latent_engine&) = delete;

    const std::int64_t dimensions;

    // --- data ---------------------------------------------------------------------------------------------------
    /// Bytes that reserve(rows, weighted) and passes with parameters of this shape will take.
    virtual std::int64_t bytes_needed(const latent_shape& shape, std::int64_t rows, bool weighted) const = 0;
    /// Memory for `rows` normalised rows (slots 0 ... rows − 1). Throws out_of_memory.
    virtual void reserve(std::int64_t rows, bool weighted) = 0;
    /// Normalises rows, whose values have been checked, into the slots from `slot` on, a multiple of unit_rows. Rows
    /// without weights get the weight 1.
    virtual void load(const input_rows& in, const frame& f, std::int64_t slot) = 0;

    // --- parameters ---------------------------------------------------------------------------------------------
    /// Takes parameters of any components and latent; dimensions must be those of the engine. The sums are void until
    /// clear_sums.
    virtual void set_parameters(const latent_parameters& p) = 0;

    // --- sums ---------------------------------------------------------------------------------------------------
    /// Sets the sums to zero and their scales: no partial of a component statistic may exceed `component_bound`, none
    /// of a scalar `scalar_bound`.
    virtual void clear_sums(double component_bound, double scalar_bound) = 0;
    /// Responsibilities r_nk = exp(log p(x_n, k) − lse_n) and sums over the slots first ... first + rows − 1; `first`
    /// is a multiple of unit_rows. Scalars: Σ w lse, Σ w H(r), Σ w.
    virtual void accumulate(std::int64_t first, std::int64_t rows) = 0;
    /// The sums on the host: limbs [3][latent_sum_count(shape)], limb 0 first.
    virtual fixed_sums sums() = 0;

    // --- inference ----------------------------------------------------------------------------------------------
    /// For the slots first ... first + rows − 1, to host memory: log p(x̃) [rows], responsibilities [rows x K] and
    /// c_k = W_kᵀ δ_k [rows x K x L]; null pointers are skipped.
    virtual void infer(std::int64_t first, std::int64_t rows, double* log_density, double* responsibilities,
                       double* projected) = 0;
};

/// The values of such sums, [latent_sum_count(shape)].
std::vector<double> latent_sum_values(const fixed_sums& sums, const latent_shape& shape);

/// For the host's engines: x̃ of some rows and their weights, which may be null, in float64 without gaps. Of rows of
/// weight zero numbers whose squares may overflow become zero.
void load_latent_rows(const input_rows& in, const frame& f, double* x, double* weights);
/// Sums of the host's engines: zero with these scales, and one unit's partials [latent_sum_count] added.
fixed_sums empty_latent_sums(const latent_shape& shape, double component_bound, double scalar_bound);
void add_latent_partials(fixed_sums& sums, const latent_shape& shape, const double* partials);

std::unique_ptr<latent_engine> make_reference_latent_engine(const context& ctx, std::int64_t dimensions);
std::unique_ptr<latent_engine> make_cpu_latent_engine(const context& ctx, std::int64_t dimensions);
std::unique_ptr<latent_engine> make_cuda_latent_engine(const context& ctx, std::int64_t dimensions);

} // namespace elbo::kernels
