// Whether EM of one component came to rest at the maximum.
//
// The sums of a pass contain the whole covariance S where d is small, and products with it in any case; with S the best
// loadings are known. EM need not find them: loadings along any L eigenvectors are a stationary point of PPCA (Tipping
// and Bishop 1999), and near full rank, where all noise is small, EM turns away from the wrong ones too slowly to see.
#pragma once

#include "host/latent/factors/values.hpp"
#include "host/latent/latent_common.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::latent {

/// Columns of the largest pass that higher_values makes; 0 where it knows nothing better than EM.
std::int64_t ascent_columns(factor_kind kind, std::int64_t dimensions, std::int64_t latent, std::int64_t components);

/// What the floors and the subspace iteration go by.
struct ascent_rule {
    std::vector<double> noise_floor; ///< [d], of ppca all the same
    double tolerance = 0;            ///< on the mean log-likelihood
    std::int64_t max_passes = 1;
    std::uint64_t seed = 0;
};

/// Parameters to compare with those that EM came to rest at: the best loadings of PPCA, or the maximum of factor
/// analysis above v. Nothing where ascent_columns is 0. `rows` has been loaded for passes of that many columns.
std::optional<factor_values> higher_values(factor_rows& rows, const factor_values& v, const ascent_rule& rule);

} // namespace elbo::latent
