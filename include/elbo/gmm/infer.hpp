// What a fitted mixture says about data.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace elbo::gmm {

/// log p(x_n) for every row, in nats, [n]; with labels log Σ_k α_k π_nk N(x_n; k), of a row of known component
/// log p(x_n, z_n). Throws invalid_argument (other dimensions, NaN or infinity: row, column; labels of another shape, a
/// label or factor that is none: row).
std::vector<double> log_density(const context& ctx, const model& m, const data_source& data,
                                const sample_labels& labels = {});
/// r_nk = p(z = k | x_n), with labels given what they say, row-major [n x k], rows sum to one. Entries below 2⁻²⁴/k of
/// the largest may be zero. Throws as log_density().
std::vector<double> responsibilities(const context& ctx, const model& m, const data_source& data,
                                     const sample_labels& labels = {});
/// argmax_k r_nk, the lower index at a tie, [n]. Throws as log_density().
std::vector<std::int32_t> assign(const context& ctx, const model& m, const data_source& data,
                                 const sample_labels& labels = {});

/// The same without an array of all rows: the results of one batch of rows, in order.
struct inference_batch {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    const double* log_density = nullptr;      ///< [rows]
    const double* responsibilities = nullptr; ///< [rows x k], null unless asked for
    const std::int32_t* assignment = nullptr; ///< [rows]
};
void infer(const context& ctx, const model& m, const data_source& data, bool with_responsibilities,
           const std::function<void(const inference_batch&)>& sink, const sample_labels& labels = {});

score_result score(const context& ctx, const model& m, const data_source& data, const sample_weights& weights = {},
                   const sample_labels& labels = {});

/// n samples (x, z) of the model, the same on every back end.
struct sample_result {
    std::vector<double> x;            ///< [n x d]
    std::vector<std::int32_t> labels; ///< [n]
};
sample_result sample(const context& ctx, const model& m, std::int64_t n, std::uint64_t seed);

double bic(const model& m, double total_log_likelihood, double total_weight);
double aic(const model& m, double total_log_likelihood);
double icl(const model& m, double total_log_likelihood, double total_entropy, double total_weight);

} // namespace elbo::gmm
