// Fitting a Gaussian mixture by EM.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/fit.hpp"
#include "elbo/gmm/labels.hpp"
#include "elbo/gmm/model.hpp"
#include "elbo/gmm/prior.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::gmm {

/// Where a fit begins. All are drawn by Philox from the seed and are the same whatever the chunking or thread count.
enum class start_method {
    /// A single start is kmeans. Restarts are in turn kmeans, kmeans_plus_plus, samples, random and again kmeans, each
    /// but kmeans the best of some trials after a few EM steps on few rows (C. Biernacki, G. Celeux and G. Govaert,
    /// "Choosing starting values for the EM algorithm",
    /// Computational Statistics and Data Analysis 41, 2003).
    automatic,
    kmeans_plus_plus, ///< k-means++ centres, one assignment of the rows to them
    kmeans,           ///< k-means++ centres, then Lloyd's iterations
    random,           ///< random responsibilities
    samples           ///< random rows as means, the data's covariance
};
std::string_view to_string(start_method s);
start_method start_method_from_string(std::string_view name);

/// Something that happened to a component during a fit, or that was found in the data before it.
struct event {
    enum class kind {
        empty,
        singular,
        identical, ///< of the start model: mean and covariance are those of a component before it, and EM, which treats
                   ///< both alike, never separates them
        far_value  ///< in the data: `far` says which
    };
    std::int64_t iteration = 0;
    std::int64_t component = 0; ///< index before any removal; −1 for far_value
    kind what = kind::empty;
    collapse_policy action = collapse_policy::reseed; ///< what was done; nothing is for identical and far_value
    far_values far = {};                              ///< of far_value: one event for each column that has some
};
std::string_view to_string(event::kind k);

/// Precision of the E- and M-step. Parameters, factorisations and sums are float64 in any case.
enum class compute_precision { automatic, float32, float64 };

/// How the M-step raises the expected complete-data log-likelihood Q(θ) = E_q[log p(x, z | θ)].
enum class m_step_method {
    closed_form, ///< its maximum
    gradient     ///< generalised EM: ascent steps in the unconstrained parameters of gmm::gradient
};
std::string_view to_string(m_step_method m);
m_step_method m_step_method_from_string(std::string_view name);

/// The M'-step of generalised EM: θ ← θ + η ∇(Q / W), `steps` times with q fixed. Means and factors are those of the
/// data divided, column by column, by its standard deviation rounded to a power of two (one for all columns in the
/// spherical families): so the steps do not depend on the units. Computed in float64 on the host. Not with a prior.
struct gradient_steps {
    std::int64_t steps = 1;
    double rate = 1; ///< η; with backtracking the first one tried
    /// Halves η until Q / W rises by at least a quarter of η ‖∇(Q / W)‖² (Armijo's condition), so that the bound never
    /// decreases; the next iteration begins with twice the last η. Without it a step may lower the bound, and one that
    /// leaves the finite numbers throws elbo::error.
    bool backtracking = true;
};

struct fit_options {
    std::int64_t components = 1;
    family shape = family::full;
    start_method start = start_method::automatic;
    std::optional<model> start_model = {}; ///< begin here; overrides `start`
    bool greedy = true;                    ///< k-means++ tries 2 + ln k candidates for each centre
    std::int64_t restarts = 1;             ///< the best log-likelihood (with a prior: plus log prior) wins
    std::int64_t max_iterations = 10000;
    /// Stop when the gain in mean log-likelihood, and the total gain still expected from its geometric decay, are below
    /// this (nats per sample). Zero runs to max_iterations.
    double tolerance = 1e-8;
    /// λ added to the diagonal of each covariance, in squared units of the data. Not given: 0.
    std::optional<double> regularization = {};
    /// λ relative to the variance of each column, added as well: keeps constant columns and repeated rows finite, and
    /// unlike an absolute λ does not depend on the units. Its effect on a healthy fit is of second order. Values that
    /// are far from all others do not count in the variance, and it is no less than what the rounding of the data's
    /// type leaves (docs/regularization.md). Not given: 1e-6. Where neither is given, maximize() takes λ as it is in
    /// the model.
    std::optional<double> relative_regularization = {};
    /// The variances [d] that this is relative to, such as model::regularization_variances() of a fit to all the rows
    /// of which these are a part; 0 for a column without variance. Not given: found in the data.
    std::optional<std::vector<double>> regularization_variances = {};
    sample_weights weights = {};
    collapse_policy on_collapse = collapse_policy::reseed;
    std::uint64_t seed = 0;
    compute_precision precision = compute_precision::automatic; ///< automatic: that of the data
    std::function<bool(const progress&)> callback = {};
    /// Largest number of bytes of normalised data to keep in memory; more is streamed. 0: what fits.
    std::int64_t memory_limit = 0;
    sample_labels labels = {}; ///< what is known of each sample's component
    /// Maximum a posteriori instead of maximum likelihood: log-likelihood + log p(θ) rises in each iteration, and it
    /// is what `tolerance` and the choice among restarts look at. No component counts as empty, and a singular
    /// covariance, which only rounding can make of a proper prior, gets a floor (event; policy `fail` throws); with
    /// concentration 1 a component that no sample belongs to has the weight 0 and is not in the model. λ is added
    /// beside the prior, which does not need it: set relative_regularization = 0 for the exact mode.
    std::optional<parameter_prior> prior = {};
    m_step_method m_step = m_step_method::closed_form;
    gradient_steps gradient = {}; ///< of m_step_method::gradient
    checkpoint_options checkpoint = {};
    /// Checkpoint to go on from: the result has the bits of a fit that was never stopped. Data, device and options must
    /// be those that it was written under, but for callback, memory_limit, checkpoint and this.
    std::string resume = {};
};

struct fit_result {
    gmm::model model;
    std::vector<iteration_record> trace{}; ///< of the restart that won
    stop_reason stopped = stop_reason::converged;
    std::vector<event> events{};
    fit_seconds seconds{};
    std::int64_t iterations = 0;
    double log_likelihood = 0;       ///< weighted mean per sample, of exactly the returned model
    double total_log_likelihood = 0; ///< times the sum of the weights
    double total_weight = 0;         ///< W = Σ w_n
    double entropy = 0;              ///< H(q) of the returned model, mean per sample
    std::int64_t samples = 0;        ///< n
    double bic = 0, aic = 0, icl = 0;
    std::int64_t best_restart = 0;
    negligible_weights negligible{};          ///< rows whose weights are too small to count
    std::optional<start_method> best_start{}; ///< how that restart began; nothing where a start model was given
};

/// Fits a mixture by EM (docs/theory.md section 1). Reads `data` once per iteration where it does not fit in memory,
/// once in all where it does. Waits for the device. Equal input, seed and device give equal bits, whatever the
/// chunking, the thread count, the grid or the memory the data comes from. Throws invalid_argument (components < 1,
/// more components than distinct rows with weights that count, weights of the wrong length, negative, NaN, all zero or
/// with a sum above 2¹⁰⁰⁰, NaN or infinity in the data with row and column, start_model of other dimensions, ...),
/// file_error, out_of_memory, cuda_error. After a throw nothing has changed.
fit_result fit(const context& ctx, const data_source& data, const fit_options& options);

/// What a fit will need in the memory of the context's device (the host's for cpu and reference).
struct memory_plan {
    std::int64_t data = 0;       ///< the caller's data, where it lies there (of a file, data_source::kept_bytes)
    std::int64_t normalized = 0; ///< the normalised copy
    std::int64_t workspace = 0;  ///< everything else
    std::int64_t peak = 0;       ///< the sum
    bool streamed = false;       ///< the data is read anew in each iteration
    std::string to_string() const;
};
memory_plan plan_memory(const context& ctx, const data_source& data, const fit_options& options);

} // namespace elbo::gmm
