// What the fits of all models have in common: weights of the samples, records, events, why a fit stopped, scores.
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo {

namespace kernels {
class device_queue;
}

/// Weights of the samples: [n] numbers ≥ 0 in host or device memory. Empty means all 1. They may be of any finite size:
/// they are multiplied by a power of two on their way, which changes no result.
struct sample_weights {
    any_matrix_view values; ///< [n x 1]; data == nullptr for none
    /// Work on a device that comes before the values are read (weights_on_stream); null where they are complete.
    std::shared_ptr<const kernels::device_queue> after = {};
    sample_weights() = default;
    /// A view of a vector, which must outlive the call that the weights are for.
    sample_weights(const std::vector<float>& v) : values(column_of(v)) {}
    sample_weights(const std::vector<double>& v) : values(column_of(v)) {}
    /// A temporary is kept, and shared by the copies of this object.
    sample_weights(std::vector<float>&& v) : sample_weights(std::make_shared<const std::vector<float>>(std::move(v))) {}
    sample_weights(std::vector<double>&& v)
        : sample_weights(std::make_shared<const std::vector<double>>(std::move(v))) {}
    sample_weights(const std::vector<float>&& v) : sample_weights(std::vector<float>(v)) {}
    sample_weights(const std::vector<double>&& v) : sample_weights(std::vector<double>(v)) {}
    /// A view of a column in host or device memory, which must outlive the call that the weights are for.
    sample_weights(any_matrix_view column) : values(column) {}
    bool empty() const { return values.data == nullptr; }

private:
    template <class T>
    explicit sample_weights(std::shared_ptr<const std::vector<T>> v) : values(column_of(*v)), kept_(std::move(v)) {}
    template <class T>
    static matrix_view<const T> column_of(const std::vector<T>& v) {
        return {v.data(), static_cast<std::int64_t>(v.size()), 1};
    }
    std::shared_ptr<const void> kept_; ///< of a temporary
};

/// Rows that cannot count beside the others: their weight is positive, but less than 2⁻⁷² (2e-22) of the sum of all,
/// which is nothing to sums in float64. They are taken as rows of weight 0.
struct negligible_weights {
    std::int64_t rows = 0;   ///< how many there are
    std::int64_t first = -1; ///< the first of them; −1 where there are none
};

/// Values of a column so far from its median that they are left out of what fits derive from its variance: robust z =
/// |x − median| / (1.4826 MAD) above 1e4 (docs/regularization.md). They count in the likelihood as all others do.
struct far_values {
    std::int64_t row = -1, column = -1; ///< of the farthest one, the first of equals
    double value = 0, robust_z = 0;
    std::int64_t rows = 0; ///< how many there are in the column
};

/// What happens to a component that has lost its samples (N_k < 10·2⁻²⁴·W) or whose covariance is singular.
enum class collapse_policy {
    reseed, ///< it takes half of the heaviest component; after three times in a fit it is dropped
    drop,   ///< it is removed from the model
    fail    ///< the fit stops and throws elbo::error that names component and iteration; nothing changed
};
std::string_view to_string(collapse_policy p);
collapse_policy collapse_policy_from_string(std::string_view name);

/// One iteration. The chain log p(θ_t) = J(q_{t+1}, θ_t) ≤ J(q_{t+1}, θ_{t+1}) ≤ log p(θ_{t+1}) is
/// log_likelihood ≤ elbo_after_m_step ≤ the next record's log_likelihood. All are weighted means per sample, in nats.
/// With a prior the chain holds for log_likelihood + log_prior ≤ elbo_after_m_step + log_prior_after ≤ the next sum.
struct iteration_record {
    std::int64_t iteration = 0;
    double log_likelihood = 0;    ///< log p(x | θ_t) = the ELBO after the E-step
    double elbo_after_m_step = 0; ///< J(q_{t+1}, θ_{t+1}); with regularisation, of the penalised bound less its penalty
    double entropy = 0;           ///< H(q_{t+1})
    double parameter_change = 0;  ///< largest |Δμ| in units of the data's standard deviation
    double seconds = 0;           ///< since the iterations began
    double log_prior = 0;         ///< log p(θ_t) / W; zero without a prior
    double log_prior_after = 0;   ///< log p(θ_{t+1}) / W
};

enum class stop_reason { converged, max_iterations, interrupted };
std::string_view to_string(stop_reason s);

/// What a callback sees. Return false to stop; the best model so far is returned as `interrupted`.
struct progress {
    std::int64_t restart = 0;  ///< which of the restarts
    std::int64_t restarts = 1; ///< how many there are
    iteration_record record;
};

/// Seconds spent in each part of a fit.
struct fit_seconds {
    double load = 0, start = 0, iterations = 0, total = 0;
};

/// Checkpoints of a fit: all that it needs to go on to the same bits.
struct checkpoint_options {
    std::string path = {};             ///< a .safetensors file, which is there whole or not at all; empty: none
    double every_seconds = 60;         ///< written at the next chance after so long; 0: not by time
    std::int64_t every_iterations = 0; ///< 0: not by iterations
};

/// Log-likelihood and criteria of a model on data.
struct score_result {
    double log_likelihood = 0;       ///< weighted mean per sample, nats
    double total_log_likelihood = 0; ///< Σ w_n log p(x_n)
    double entropy = 0;              ///< Σ w_n H(r_n) / W
    double total_weight = 0;
    std::int64_t samples = 0;
    double bic = 0;                  ///< −2 LL + p ln W
    double aic = 0;                  ///< −2 LL + 2 p
    double icl = 0;                  ///< BIC + 2 Σ w_n H(r_n)
    negligible_weights negligible{}; ///< rows whose weights are too small to count
};

/// The names under which mixtures had them first.
namespace gmm {
using elbo::collapse_policy;
using elbo::collapse_policy_from_string;
using elbo::far_values;
using elbo::fit_seconds;
using elbo::iteration_record;
using elbo::negligible_weights;
using elbo::progress;
using elbo::sample_weights;
using elbo::score_result;
using elbo::stop_reason;
using elbo::to_string;
} // namespace gmm

} // namespace elbo
