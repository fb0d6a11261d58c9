// The reference back end: float64, one thread, plain loops that read like docs/theory.md. It sums over all components;
// its sums are fixed-point by unit as in every back end.
#pragma once

#include "kernels/contract/gmm_engine.hpp"

#include <span>

namespace elbo::kernels::reference {

/// Parameters with what follows from them.
struct parameters {
    gmm_parameters values;
    std::vector<double> offsets; ///< c_k = log α_k + Σ_i log U_ii − d/2 log 2π
};
parameters with_offsets(const gmm_shape& shape, gmm_parameters values);

/// ‖U_kᵀ (x̃ − μ̃_k)‖² for one row.
double mahalanobis_squared(const gmm_shape& shape, const gmm_parameters& p, std::int64_t k, const double* x);

/// What is known of rows, one of the two or nothing.
struct row_labels {
    const std::int32_t* labels = nullptr; ///< [rows], −1 where unknown
    const double* log_factors = nullptr;  ///< [rows x K] log π_nk
};

/// log π_nk [K] of row n as they count under p, written to `buffer`; null where nothing is known of the row, or where
/// all components that it may come from have been dropped.
const double* log_factors_of(const row_labels& labels, const parameters& p, std::int64_t n, double* buffer);

/// lp_k [K] and responsibilities [K] of one row with its log π_k (null for none); returns lse.
double row_posterior(const gmm_shape& shape, const parameters& p, const double* x, double* lp, double* r,
                     const double* log_factors = nullptr);

/// Statistics of a run of rows inside one unit, added to `sums` [sum_count] in float64.
void accumulate_rows(const gmm_shape& shape, const parameters& p, const double* x, const double* weights,
                     std::int64_t rows, double* sums, const row_labels& labels = {});

/// M-step (engine contract in kernels/contract/gmm_engine.hpp).
update_outcome m_step(const gmm_shape& shape, const gmm_parameters& current, std::span<const double> sums,
                      const update_rule& rule, std::vector<std::int32_t>& reseeds, gmm_parameters& next);

} // namespace elbo::kernels::reference
