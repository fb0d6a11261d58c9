// The arithmetic of a latent engine on blocks of rows, with matrix products by BLAS.
#pragma once

#include "kernels/contract/latent_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"

#include <cstdint>

namespace elbo::kernels::cpu {

/// Scratch memory of one thread for blocks of rows, and the partial sums of one unit: a Block of row_engine.hpp.
class latent_block {
public:
    explicit latent_block(const latent_shape& shape);
    static std::int64_t bytes(const latent_shape& shape);

    /// Rows of a block: differences that fit in a second-level cache, but enough rows for products to be efficient.
    static std::int64_t rows(std::int64_t dimensions);

    void add(const latent_parameters& p, const double* x, const double* weights, std::int64_t rows) {
        find_posterior(p, x, rows);
        add_statistics(p, x, weights);
    }
    std::int64_t write(const latent_parameters& p, const double* x, std::int64_t rows, const row_results& to);

    void clear_partial();
    const double* partial() const { return partial_.data(); }

private:
    /// log p(x̃, k) − offsets and all that follows from it for `rows` rows of x without gaps.
    void find_posterior(const latent_parameters& p, const double* x, std::int64_t rows);
    /// Adds the statistics of the rows of the last find_posterior.
    void add_statistics(const latent_parameters& p, const double* x, const double* weights);
    void subtract_mean(const latent_parameters& p, std::int64_t k, const double* x);
    /// E[z | x, k] = R⁻ᵀ c in place of c, for the rows of the last find_posterior.
    void find_means(const latent_parameters& p, std::int64_t k);
    /// Adds r_k (μ_k + A_k E[z|x, k]).
    void reconstruct(const latent_parameters& p, std::int64_t k, const matrix_view<double>& to);
    void add_component(const latent_parameters& p, std::int64_t k, const double* weights);

    latent_shape shape_;
    std::int64_t rows_ = 0;           ///< of the last find_posterior
    std::int64_t centred_ = -1;       ///< component that delta_ belongs to
    aligned_array<double> delta_;     ///< [rows x d] x̃ − μ̃_k of one component, or its reconstructions
    aligned_array<double> projected_; ///< [K][rows x L]
    aligned_array<double> weighted_;  ///< [rows x L] w r c
    aligned_array<double> log_joint_, responsibilities_; ///< [K][rows]
    aligned_array<double> log_density_;                  ///< [rows]
    aligned_array<double> partial_;                      ///< [sum_count]
};

} // namespace elbo::kernels::cpu
