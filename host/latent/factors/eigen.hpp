// Maximum likelihood of probabilistic PCA from eigenvalues (Tipping and Bishop 1999).
#pragma once

#include "host/latent/factors/values.hpp"
#include "host/latent/latent_common.hpp"

#include <cstdint>
#include <functional>

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

/// Weighted moments of the rows, in the frame.
struct row_moments {
    std::vector<double> mean;       ///< [d]
    std::vector<double> covariance; ///< [d x d]
};
/// By one pass of d columns.
row_moments moments_of(factor_rows& rows);

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

} // namespace elbo::latent
