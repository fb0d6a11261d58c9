#include "host/latent/factors/ascent.hpp"

#include "host/latent/factors/eigen.hpp"
#include "host/latent/factors/profile.hpp"

#include <algorithm>

namespace elbo::latent {

using namespace kernels;

namespace {

/// For PPCA the covariance itself where a pass for it costs about what EM did before, else products with it.
eigen_way ascent_way(std::int64_t d, std::int64_t L) {
    const bool cheap = d <= std::clamp<std::int64_t>(32 * L, 256, 1024);
    return cheap || eigen_columns(eigen_way::subspace, d, L) == d ? eigen_way::matrix : eigen_way::subspace;
}

} // namespace

std::int64_t ascent_columns(factor_kind kind, std::int64_t d, std::int64_t L, std::int64_t components) {
    if (components > 1)
        return 0;
    if (kind == factor_kind::ppca)
        return eigen_columns(ascent_way(d, L), d, L);
    return d <= most_profile_columns ? d : 0;
}

std::optional<factor_values> higher_values(factor_rows& rows, const factor_values& v, const ascent_rule& rule) {
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent;
    if (ascent_columns(v.kind, d, L, v.shape.components) == 0)
        return std::nullopt;
    if (v.kind == factor_kind::ppca)
        return solve_by_eigen(rows, ascent_way(d, L), L, rule.noise_floor[0], rule.tolerance, rule.max_passes,
                              rule.seed, &v.loadings)
            .values;
    factor_values higher = v;
    const row_moments m = moments_of(rows);
    profile_maximum best = maximize_profile(m.covariance, d, L, v.noise, rule.noise_floor);
    higher.means = m.mean;
    higher.noise = std::move(best.noise);
    higher.loadings = std::move(best.loadings);
    return higher;
}

} // namespace elbo::latent
