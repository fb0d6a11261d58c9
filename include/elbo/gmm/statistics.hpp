// The sufficient statistics of a mixture as an object of their own: accumulate them anywhere, merge, maximise.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"

#include <memory>
#include <string>
#include <vector>

namespace elbo::gmm {

namespace internal {
struct statistics_state; // host/gmm/stream/statistics_state.hpp
}

/// Σ w r, Σ w r (x − μ_k), Σ w r (x − μ_k)(x − μ_k)ᵀ under the model they were made for, with log-likelihood and
/// entropy, in fixed-point sums: adding is exact, so the order and the grouping of rows into objects change no bit as
/// long as every part but the last of the data begins at a multiple of `unit_rows()` rows.
class statistics {
public:
    /// Empty statistics under model m. Throws invalid_argument if every weight of the model is zero.
    explicit statistics(const model& m);
    statistics(const statistics&);
    statistics(statistics&&) noexcept;
    statistics& operator=(const statistics&);
    statistics& operator=(statistics&&) noexcept;
    ~statistics();

    /// E-step and sums over the rows of `data`, with labels under the posterior that they leave (labels.hpp). Throws as
    /// score() does, and invalid_argument where the weights, which are taken as they are, leave the range of the sums
    /// (2⁻²⁶ for each unit of rows at least); then nothing was added.
    void accumulate(const context& ctx, const data_source& data, const sample_weights& weights = {},
                    const sample_labels& labels = {});
    /// Adds the sums of another object made for the same model. Throws invalid_argument if the models differ.
    void merge(const statistics& other);

    const model& under() const;
    std::int64_t samples() const;
    double total_weight() const;
    double total_log_likelihood() const;           ///< Σ w_n log p(x_n) under the model
    double total_entropy() const;                  ///< Σ w_n H(r_n)
    std::vector<double> component_weights() const; ///< N_k
    static std::int64_t unit_rows();

    internal::statistics_state& state() const { return *state_; }

private:
    std::unique_ptr<internal::statistics_state> state_;
};

/// M-step: the model that maximises the expected complete-data log-likelihood of these statistics. Components that are
/// empty or singular follow `on_collapse`. With a prior: that maximises it plus log p(θ); what is not given of the
/// prior follows the moments of the samples in the statistics. Options used: regularization and relative_regularization
/// (where neither is given, λ of the model under which the statistics were made; where that has none, of the variances
/// in the statistics), on_collapse, prior.
model maximize(const statistics& s, const fit_options& options);

/// Writes statistics with their model (.safetensors, sums as whole numbers), so that parts of the data that other
/// processes or machines went over can be merged: what load_statistics reads has the same bits. Written to a temporary
/// file that is renamed. `column_names` may be empty. Throws file_error (unwritable, disk full) and invalid_argument
/// (another ending).
void save(const statistics& s, const std::string& path, const std::vector<std::string>& column_names = {});
/// Reads what save wrote. Throws file_error: missing, truncated or malformed (byte offset), of an unknown version.
statistics load_statistics(const std::string& path);

} // namespace elbo::gmm
