// Triangular factors of the precisions of a mixture, component by component, and what keeps them triangular.
#pragma once

#include "elbo/gmm/model.hpp"
#include "kernels/contract/gmm_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace elbo::gmm {

constexpr structure structure_of(family f) {
    return geometry(f).form;
}
/// The family with this structure, tied or not.
family family_of(structure s, bool tied);
/// Factors that a model holds: one, or one a component.
std::int64_t factor_count(const model& m);

/// U of component k as a matrix [d x d], whatever the family.
std::vector<double> matrix_factor(const model& m, std::int64_t k);
/// The diagonal of U of component k, [d].
std::vector<double> factor_diagonal(const model& m, std::int64_t k);
/// Variances of the first `count` columns under component k, [count]: the diagonal of its covariance as far as that,
/// without the rest of it.
std::vector<double> leading_variances(const model& m, std::int64_t k, std::int64_t count);
/// Throws invalid_argument unless `columns` names some of d columns, each once.
void check_columns(const std::vector<std::int64_t>& columns, std::int64_t d);
/// The columns that are not named, ascending.
std::vector<std::int64_t> other_columns(const std::vector<std::int64_t>& columns, std::int64_t d);
/// Some of the d numbers of every row.
std::vector<double> gather(const std::vector<double>& rows, std::int64_t d, const std::vector<std::int64_t>& columns);
/// Factor c of a model with matrices, its dimensions in the order (first, rest).
std::vector<double> reordered_factor(const model& m, std::int64_t c, const std::vector<std::int64_t>& first,
                                     const std::vector<std::int64_t>& rest);
/// −(U_ba U_aa⁻¹)ᵀ [a x b] of a factor in the order (b, a): E[x_a | x_b] = μ_a + this times (x_b − μ_b).
std::vector<double> conditional_gain(const std::vector<double>& u, std::int64_t b, std::int64_t a);
/// (U_aa U_aaᵀ)⁻¹ of such a factor, the covariance of x_a given x_b, [a x a], or its diagonal.
std::vector<double> conditional_covariance(const std::vector<double>& u, std::int64_t b, std::int64_t a, bool whole);
/// Σ_i log U_ii of a diagonal.
double log_sum(const std::vector<double>& diagonal);
/// The diagonal of the block [first, last) of a matrix [d x d].
std::vector<double> diagonal_of(const std::vector<double>& matrix, std::int64_t d, std::int64_t first,
                                std::int64_t last);
/// The block rows [row, row + rows), columns [col, col + cols) of a matrix with d columns.
std::vector<double> block(const std::vector<double>& matrix, std::int64_t d, std::int64_t row, std::int64_t rows,
                          std::int64_t col, std::int64_t cols);

/// The upper triangular R [d x d] with a positive diagonal for which R Rᵀ = A Aᵀ, A [d x n] of full rank, n >= d: of
/// the decomposition A = (0 R) Q with orthogonal Q. Where `rhs` [n] is given, it becomes Q rhs, so that the t that
/// minimises ‖Aᵀ t − rhs‖ solves Rᵀ t = the last d elements, and the others are the residual.
std::vector<double> upper_factor(std::vector<double> a, std::int64_t d, std::int64_t n, double* rhs = nullptr);

/// log Σ exp of `count` numbers, `stride` apart; −infinity for none but −infinity.
double log_sum_exp(const double* x, std::size_t count, std::size_t stride = 1);

/// Components' weights from log-densities log c_k − ½ r_k² (c includes the old weight; r may be large): never NaN as
/// long as one c_k is not 0. Differences are taken before squares are rounded, so a common large r costs no digits.
struct reweighted {
    std::vector<double> weights;
    double log_sum = 0; ///< log Σ_k c_k exp(−½ r_k²)
};
reweighted reweight(const std::vector<double>& log_constants, const std::vector<double>& radii);
/// The same for arrays [components]; returns log_sum. The radius of the nearest component that counts must be finite.
double reweight(const double* log_constants, const double* radii, std::int64_t components, double* weights);

} // namespace elbo::gmm
