// Where each sufficient statistic of a mixture of low-rank Gaussians lies (kernels/contract/latent_engine.hpp).
#pragma once

#include "kernels/contract/gmm_layout.hpp"
#include "kernels/math/macros.hpp"

#include <cstdint>

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

} // namespace elbo::kernels
