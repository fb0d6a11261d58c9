// Variational Bayes for Gaussian mixtures: distributions over the parameters in place of point estimates.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::gmm {

/// The distribution of the weights α.
enum class weights_model {
    dirichlet,     ///< α ~ Dirichlet(α₀, ..., α₀)
    stick_breaking ///< α_k = v_k Π_{j<k} (1 − v_j), v_k ~ Beta(1, γ), v_K = 1: a Dirichlet process truncated at K
                   ///< components (Blei and Jordan, Bayesian Analysis 1, 2006)
};
std::string_view to_string(weights_model m);
/// The inverse of to_string. Throws invalid_argument that lists the names.
weights_model weights_model_from_string(std::string_view name);

/// The conjugate prior: weights as above, Λ_k ~ Wishart(scale⁻¹, degrees_of_freedom), μ_k | Λ_k ~ N(mean,
/// (mean_precision Λ_k)⁻¹), where Λ_k = Σ_k⁻¹. By family: full [d x d]; diagonal a gamma distribution with shape
/// degrees_of_freedom / 2 and rate scale_j / 2 for each λ_kj; spherical one with scale for λ_k, of which a sample adds
/// d to the degrees of freedom; tied families have one such Λ for all components. What is not given is as in
/// scikit-learn's BayesianGaussianMixture (version 1.9): concentration 1/k, the mean of the data, degrees_of_freedom d,
/// and as scale the data's covariance, its variances, or their mean. The covariance is that of the weighted rows,
/// divided by W, with 1e-6 of its diagonal added, so that constant columns stay finite.
struct variational_prior {
    std::optional<double> concentration = {};      ///< α₀ or γ, 1e-30 to 1e9
    std::optional<std::vector<double>> mean = {};  ///< [d]
    double mean_precision = 1;                     ///< β₀ from 1e-30 to 1e9, in samples
    std::optional<double> degrees_of_freedom = {}; ///< ν₀ > d − 1 (full, tied), ≥ 1e-30 (others), up to 1e9
    std::optional<std::vector<double>> scale = {}; ///< [d x d], [d] or [1], in squared units of the data

    bool operator==(const variational_prior&) const = default;
};

/// The posterior q(α) Π_k q(μ_k, Λ_k) (Bishop, Pattern Recognition and Machine Learning, 10.2), of the prior's form. An
/// immutable value, float64, in the units of the data.
class variational_posterior {
public:
    struct parameters {
        family shape = family::full;
        std::int64_t dimensions = 1;
        weights_model weights = weights_model::dirichlet;
        variational_prior prior; ///< everything given
        /// Dirichlet: α_k [k]. Sticks: the two parameters of each q(v_k), [k − 1 x 2].
        std::vector<double> concentrations;
        std::vector<double> means;              ///< m_k [k x d]
        std::vector<double> mean_precisions;    ///< β_k [k]
        std::vector<double> degrees_of_freedom; ///< ν_k [k]; tied families: [1]
        /// Upper triangular factors of E[Λ_k] = ν_k W_k, in the layout of model::precision_cholesky().
        std::vector<double> precision_cholesky;

        bool operator==(const parameters&) const = default;
    };
    /// Throws invalid_argument: sizes, values that are not finite or not positive, degrees of freedom ≤ d − 1 of a
    /// Wishart distribution, a scale that is not symmetric positive definite.
    explicit variational_posterior(parameters p);

    const parameters& values() const { return values_; }
    family shape() const { return values_.shape; }
    std::int64_t dimensions() const { return values_.dimensions; }
    std::int64_t components() const { return static_cast<std::int64_t>(values_.mean_precisions.size()); }

    /// E[α_k], [k].
    std::vector<double> expected_weights() const;
    /// N_k = β_k − β₀: the samples that component k has taken, [k].
    std::vector<double> counts() const;
    /// Components with N_k > threshold, ascending.
    std::vector<std::int64_t> effective_components(double threshold = 1) const;
    /// The posterior of the components with N_k > threshold alone; q(α) becomes that of the weights among them. Throws
    /// invalid_argument if none is left.
    variational_posterior without_empty(double threshold = 1) const;
    /// The mixture at E[α], m_k and E[Λ_k].
    gmm::model model() const;

    bool operator==(const variational_posterior&) const = default;

private:
    parameters values_;
};

/// Writes a posterior with its prior, `.safetensors` or `.json`, as save(model) does and with the same errors.
void save(const variational_posterior& q, const std::string& path, const std::vector<std::string>& column_names = {});
/// Reads what save wrote. Throws file_error: missing, truncated or malformed, or of an unknown version.
variational_posterior load_posterior(const std::string& path);

/// One iteration, as weighted means per sample in nats. The bound is that of log p(x) with all constants:
/// J = E_q[log p(x, z | θ)] + H(q(z)) − KL(q(α) ‖ p(α)) − KL(q(μ, Λ) ‖ p(μ, Λ)), so that with q(θ)_t the chain is
/// J(q(z)_{t+1}, q(θ)_t) = bound ≤ bound_after_m_step = J(q(z)_{t+1}, q(θ)_{t+1}) ≤ the next record's bound.
struct variational_record {
    std::int64_t iteration = 0;
    double bound = 0;                   ///< after the E-step: the three terms below
    double expected_log_likelihood = 0; ///< E_q[log p(x, z | θ)] + H(q(z))
    double weights_divergence = 0;      ///< KL(q(α) ‖ p(α))
    double components_divergence = 0;   ///< Σ_k KL(q(μ_k, Λ_k) ‖ p(μ_k, Λ_k))
    double bound_after_m_step = 0;
    double entropy = 0;          ///< H(q(z)_{t+1})
    double parameter_change = 0; ///< largest |Δm_k| in units of the data's standard deviation
    double seconds = 0;          ///< since the iterations began
};

/// What a callback sees. Return false to stop.
struct variational_progress {
    std::int64_t restart = 0, restarts = 1;
    variational_record record;
};

struct variational_options {
    std::int64_t components = 1; ///< an upper limit: superfluous ones lose their samples
    family shape = family::full;
    weights_model weights_prior = weights_model::dirichlet;
    variational_prior prior = {};
    start_method start = start_method::automatic;
    std::optional<model> start_model = {}; ///< the first E-step is that of this mixture; overrides `start`
    bool greedy = true;                    ///< k-means++ tries 2 + ln k candidates for each centre
    std::int64_t restarts = 1;             ///< the best bound wins
    std::int64_t max_iterations = 10000;
    double tolerance = 1e-8; ///< on the bound per sample, by the rule of fit_options::tolerance
    sample_weights weights = {};
    sample_labels labels = {}; ///< what is known of each sample's component; x in the bound is then x and this
    std::uint64_t seed = 0;
    compute_precision precision = compute_precision::automatic; ///< automatic: that of the data
    std::function<bool(const variational_progress&)> callback = {};
    std::int64_t memory_limit = 0; ///< as in fit_options
    checkpoint_options checkpoint = {};
    std::string resume = {}; ///< as in fit_options
};

struct variational_result {
    variational_posterior posterior;
    gmm::model model;                        ///< posterior.model(): the mixture at the posterior means
    std::vector<variational_record> trace{}; ///< of the restart that won
    stop_reason stopped = stop_reason::converged;
    std::int64_t iterations = 0;
    double bound = 0;                         ///< of exactly this posterior, mean per sample in nats
    double total_bound = 0;                   ///< times W: at most log p(x), the evidence of k, family and prior
    double entropy = 0;                       ///< H(q(z)), mean per sample
    double total_weight = 0;                  ///< W = Σ w_n; a weight counts as that many equal rows
    std::int64_t samples = 0;                 ///< n
    std::int64_t best_restart = 0;            ///< index
    std::optional<start_method> best_start{}; ///< how that restart began; nothing where a start model was given
    fit_seconds seconds{};
    negligible_weights negligible{}; ///< rows whose weights are too small to count
    std::vector<event> events{};     ///< identical components of the start model, far values in the data
};

/// Fits q by coordinate ascent on the bound, which never decreases. The E-step is that of EM with other parameters and
/// runs on the context's back end; q(θ) is updated in float64 on the host. Reads the data as fit() does.
/// Throws what fit() throws, and invalid_argument for a prior that breaks its rules. After a throw nothing has changed.
variational_result fit_variational(const context& ctx, const data_source& data, const variational_options& options);

/// log p(x_n | data) ≈ log E_q[p(x_n | θ)] for every row, [n]: a mixture of Student t distributions (Bishop 10.81; for
/// the diagonal families products of univariate ones), in float64 on the host with the context's threads. Throws
/// invalid_argument (other dimensions, NaN or infinity: row, column).
std::vector<double> log_density(const context& ctx, const variational_posterior& q, const data_source& data);

/// n samples (x, z) of the predictive distribution, the same on every back end.
sample_result sample(const context& ctx, const variational_posterior& q, std::int64_t n, std::uint64_t seed);

} // namespace elbo::gmm
