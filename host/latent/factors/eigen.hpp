// Maximum likelihood of probabilistic PCA from eigenvalues (Tipping and Bishop 1999), and whether EM of one component
// came to rest at the maximum.
//
// The sums of a pass contain the whole covariance S where d is small, and products with it in any case; with S the best
// loadings are known. EM need not find them: loadings along any L eigenvectors are a stationary point of PPCA (Tipping
// and Bishop 1999), and near full rank, where all noise is small, EM turns away from the wrong ones too slowly to see.
#pragma once

#include "host/latent/factors/values.hpp"
#include "host/latent/rows.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::latent {

/// How the leading eigenvectors are found.
enum class eigen_way {
    matrix,  ///< of the covariance [d x d]
    gram,    ///< of the inner products of the rows [n x n]
    subspace ///< by a subspace iteration over the rows
};
/// By the shape of the data: the cheapest that is exact, else the iteration.
eigen_way choose_eigen_way(std::int64_t rows, std::int64_t dimensions, std::int64_t latent);
/// Columns of the largest pass that it needs.
std::int64_t eigen_columns(eigen_way way, std::int64_t dimensions, std::int64_t latent);

struct eigen_solution {
    factor_values values;
    std::int64_t passes = 0;
    bool converged = true;
    bool floored = false; ///< σ² is the floor
};

/// With λ_1 ≥ ... ≥ λ_d the eigenvalues of the weighted covariance and v_l the vectors, σ² = mean of λ_{L+1} ... λ_d
/// (at least `noise_floor`) and A = V (Λ − σ²)^½. `rows` has been loaded for passes of eigen_columns. Tolerance on the
/// mean log-likelihood, and seed, are those of the subspace iteration, which begins with `first` [d x latent] and
/// random columns beside it, or with random ones alone.
eigen_solution solve_by_eigen(factor_rows& rows, eigen_way way, std::int64_t latent, double noise_floor,
                              double tolerance, std::int64_t max_iterations, std::uint64_t seed,
                              const std::vector<double>* first = nullptr);

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
