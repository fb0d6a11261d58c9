// Sums over the rows of an epoch or of other data, and the bound that they are of.
//
// With gaussian_scale::optimal the steps of an epoch have a σ each. What is reported is the bound of one: that of
// σ² = the mean squared error of all rows of the epoch, which the returned model has, too. The reconstruction term is a
// function of σ² and the summed squared error alone. Of the importance objective, ln 1/S Σ_s w_s is convex in 1/σ² but
// for ½ D ln 1/σ², so that its tangent at the step's σ bounds it from below at any other, and is it there to first
// order; for the elbo it is a straight line, and the tangent exact.
#pragma once

#include "elbo/vae/train.hpp"
#include "host/vae/rows.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <cstdint>

namespace elbo::vae {

bool has_optimal_scale(const architecture& a);

/// Means over rows.
struct mean_terms {
    double reconstruction = 0, kl = 0;
    double squared_error = 0; ///< gaussian: mean over rows of Σ_d (x − mean)²
    double elbo() const { return reconstruction - kl; }
};

/// Sums over the rows of the epoch so far, in the order of the steps.
struct epoch_sums {
    std::int64_t rows = 0;
    double reconstruction = 0, kl = 0, squared_error = 0;
    double objective = 0;              ///< optimal scale: of the tangents at 1/σ² = 0, without ½ D ln 1/σ²
    double weighted_squared_error = 0; ///< optimal scale: −2 times the slope of the tangents
    double learning_rate = 0, gradient_norm = 0; ///< of the last step
    double seconds = 0;                          ///< spent in steps

    void add(const architecture& a, const kernels::step_record& record, double rate);
    /// ln of the mean squared error.
    double optimal_log_variance(const architecture& a) const;
    /// Under the σ of the steps, or with gaussian_scale::optimal under this ln σ².
    mean_terms terms(const architecture& a, double log_variance) const;
    double mean_objective(const architecture& a, double log_variance) const;
    /// What it says of an epoch that is over, with gaussian_scale::optimal under the σ of all its rows.
    epoch_record record(const architecture& a) const;
};

/// Means over the first `rows` rows of a resident data set, with one draw each: sums over per-row results in the order
/// of the rows, so the same for any batches.
mean_terms resident_terms(kernels::vae_engine& engine, std::int64_t dataset, std::int64_t rows,
                          const kernels::vae_settings& settings);
/// The same of a source, streamed.
mean_terms streamed_terms(kernels::vae_engine& engine, const row_batches& feed, const kernels::vae_settings& settings);

} // namespace elbo::vae
