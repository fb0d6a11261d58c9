// Stepwise (online) EM: a mixture that follows a stream, each batch of which is seen once.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"
#include "elbo/gmm/statistics.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::gmm {

/// How much of the running statistics a batch replaces: ρ_t = (t + t0)^−κ for t = 1, 2, ... (O. Cappé and E. Moulines,
/// "On-line expectation-maximization algorithm for latent data models", J. R. Stat. Soc. B 71, 2009; P. Liang and
/// D. Klein, "Online EM for unsupervised models", NAACL 2009).
struct online_options {
    double t0 = 1;                   ///< ≥ 0; with 0 the first batch replaces everything
    double kappa = 0.7;              ///< in (1/2, 1]: then Σ ρ_t diverges and Σ ρ_t² does not
    std::optional<double> rate = {}; ///< in (0, 1]: every ρ_t, for streams that drift; they never settle
    /// As in fit_options. Where neither is given, λ is that of the model that the stream begins with; where it has
    /// none, relative to the variance of the running statistics.
    std::optional<double> regularization = {};
    std::optional<double> relative_regularization = {};
    collapse_policy on_collapse = collapse_policy::reseed;
};

/// What one batch came to.
struct online_step {
    std::int64_t step = 0;     ///< t
    double rate = 0;           ///< ρ_t
    double log_likelihood = 0; ///< of the batch under the model before it: weighted mean per sample, nats
    double entropy = 0;        ///< H(q), the same
    double total_weight = 0;   ///< of the batch
    std::int64_t samples = 0;
    std::vector<event> events{}; ///< iteration is t
};

/// Everything that the next step depends on beside the options. The running statistics s are kept as the moments that
/// they stand for: Σ w r / W = the model's weights, Σ w r x / Σ w r = its means, and the covariances about those.
struct online_state {
    gmm::model model;
    /// Layout of model::covariances(), without regularisation. At the beginning, and after a step with events, those of
    /// the model.
    std::vector<double> covariances;
    std::vector<std::int32_t> reseeds; ///< [k] how often each component was re-seeded
    std::int64_t steps = 0;
    std::int64_t samples = 0; ///< seen so far
    double total_weight = 0;  ///< of these
};

/// Stepwise EM: for each batch an E-step under the current model, s ← (1 − ρ_t) s + ρ_t ŝ with ŝ the statistics of the
/// batch per unit of weight, and the M-step of s on the host in float64. Batches count alike whatever their weight.
///
/// Agreement with fit: with rate = 1 and all the data as each batch the steps are the iterations of fit, to rounding.
/// With κ = 1 and t0 = 0, ρ_t = 1/t: s is the mean of the batches' statistics. With κ < 1 the steps over shuffled
/// batches settle about the optimum of fit; what is left of the mean log-likelihood is of the order of
/// p ρ_t / (4 B) nats for p parameters and batches of B samples.
class online {
public:
    /// Begins with the moments of a model, for example one that fit found on the first rows. Throws invalid_argument
    /// (t0, kappa, rate, regularization, relative_regularization out of range).
    explicit online(const gmm::model& start, const online_options& options = {});
    /// Goes on from a state. Throws invalid_argument also where its arrays do not match the model.
    online(online_state state, const online_options& options);

    /// One step. Throws as statistics::accumulate, and elbo::error where the policy is `fail` and a component
    /// collapses; then nothing has changed.
    online_step partial_fit(const context& ctx, const data_source& batch, const sample_weights& weights = {});
    /// The same with the statistics of a batch under model(), which may have been merged from several processes. Throws
    /// invalid_argument where they are empty or were made under another model.
    online_step partial_fit(const statistics& batch);

    const gmm::model& model() const { return state_.model; }
    const online_state& state() const { return state_; }
    const online_options& options() const { return options_; }

    /// Writes a model file (.safetensors) that also holds the state and the options, so that a stream goes on with the
    /// same bits. `column_names` may be empty. Throws file_error and invalid_argument (another ending).
    void save(const std::string& path, const std::vector<std::string>& column_names = {}) const;
    /// Reads what save wrote. Throws file_error, also for a model file without a state.
    static online load(const std::string& path);

private:
    online_state state_;
    online_options options_;
};

} // namespace elbo::gmm
