// The arithmetic of a latent engine on blocks of rows, with matrix products by BLAS.
#pragma once

#include "kernels/contract/latent_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"

#include <cstdint>

namespace elbo::kernels::cpu {

/// Rows of a block: differences that fit in a second-level cache, but enough rows for products to be efficient. Depends
/// on d alone, so the order of the sums does, too.
std::int64_t latent_block_rows(std::int64_t dimensions);

/// Scratch memory of one thread for blocks of up to latent_block_rows rows, and the partial sums of one unit.
class latent_block {
public:
    explicit latent_block(const latent_shape& shape);
    static std::int64_t bytes(const latent_shape& shape);

    /// log p(x̃, k) − offsets and all that follows from it for `rows` rows of x without gaps.
    void find_posterior(const latent_parameters& p, const double* x, std::int64_t rows);
    /// Adds the statistics of the rows of the last find_posterior; null weights are all 1.
    void add_statistics(const latent_parameters& p, const double* x, const double* weights);

    void clear_partial();
    const double* partial() const { return partial_.data(); }
    /// Of the last find_posterior, by component: element (n, k) of log p(x̃_n, k) and p(k | x̃_n) at k · rows + n, c_k of
    /// row n at (k · rows + n) · L.
    const double* log_density() const { return log_density_.data(); }
    const double* responsibilities() const { return responsibilities_.data(); }
    const double* projected() const { return projected_.data(); }

private:
    void subtract_mean(const latent_parameters& p, std::int64_t k, const double* x);
    void add_component(const latent_parameters& p, std::int64_t k, const double* weights);

    latent_shape shape_;
    std::int64_t rows_ = 0;                              ///< of the last find_posterior
    std::int64_t centred_ = -1;                          ///< component that delta_ belongs to
    aligned_array<double> delta_;                        ///< [rows x d] x̃ − μ̃_k of one component
    aligned_array<double> projected_;                    ///< [K][rows x L]
    aligned_array<double> weighted_;                     ///< [rows x L] w r c
    aligned_array<double> log_joint_, responsibilities_; ///< [K][rows]
    aligned_array<double> log_density_;                  ///< [rows]
    aligned_array<double> partial_;                      ///< [latent_sum_count]
};

} // namespace elbo::kernels::cpu
