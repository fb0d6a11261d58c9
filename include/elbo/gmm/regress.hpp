// Regression by a mixture: what it expects of some columns where the others are known, row by row.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace elbo::gmm {

struct regress_options {
    bool covariances = false;      ///< of all pairs of columns too, not the variances alone
    bool responsibilities = false; ///< p(k | x_b) too
};

/// The results of a batch of rows, in order; a is the number of columns that are not known.
struct regression_batch {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    const double* means = nullptr;            ///< [rows x a] E[x_a | x_b]
    const double* variances = nullptr;        ///< [rows x a] of each column
    const double* covariances = nullptr;      ///< [rows x a x a], null unless asked for
    const double* log_density = nullptr;      ///< [rows] log p(x_b), nats
    const double* responsibilities = nullptr; ///< [rows x k], null unless asked for
};

/// Mean and variances of the other columns a (in ascending order) for every row of `known`, whose columns are the
/// columns b = `columns` of the model in this order: the moments of conditional(m, columns, row),
///
///     E[x_a | x_b] = Σ_k r_k m_k,   m_k = μ_ka + Σ_kab Σ_kbb⁻¹ (x_b − μ_kb),   r_k ∝ α_k N(x_b; μ_kb, Σ_kbb)
///     Cov[x_a | x_b] = Σ_k r_k (Σ_kaa − Σ_kab Σ_kbb⁻¹ Σ_kba + (m_k − E)(m_k − E)ᵀ)
///
/// (Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 1993), factored once a
/// component and not once a row, in float64 on the host, whatever the context; a row's result is the same bits in any
/// batch and for any number of threads. Right also where every density underflows: log p(x_b) may be −infinity, the
/// moments are those of the components that are left.
/// Throws invalid_argument: no columns or all of them, a column out of range or named twice, another number of columns
/// in `known`, and, after the rows before have been handed out, a value that is not finite (row, column) or a row so
/// far away that its moments overflow.
void regress(const context& ctx, const model& m, const std::vector<std::int64_t>& columns, const data_source& known,
             const std::function<void(const regression_batch&)>& sink, const regress_options& options = {});

/// The same as arrays of all rows; empty where they were not asked for.
struct regression {
    std::vector<double> means, variances; ///< [n x a]
    std::vector<double> covariances;      ///< [n x a x a]
    std::vector<double> log_density;      ///< [n]
    std::vector<double> responsibilities; ///< [n x k]
};
regression regress(const context& ctx, const model& m, const std::vector<std::int64_t>& columns,
                   const data_source& known, const regress_options& options = {});

} // namespace elbo::gmm
