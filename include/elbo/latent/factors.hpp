// Linear-Gaussian latent variables: probabilistic PCA, factor analysis and mixtures of factor analysers (docs/theory.md
// section 2). Fit, densities, posteriors, reconstructions, samples, files.
//
// Sources: M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis", Journal of the Royal
// Statistical Society B 61, 1999; D. B. Rubin and D. T. Thayer, "EM algorithms for ML factor analysis", Psychometrika
// 47, 1982; Z. Ghahramani and G. E. Hinton, "The EM algorithm for mixtures of factor analyzers", CRG-TR-96-1, 1996;
// G. J. McLachlan and D. Peel, "Finite mixture models", 2000, chapter 8; C. Liu, D. B. Rubin and Y. N. Wu, "Parameter
// expansion to accelerate EM: the PX-EM algorithm", Biometrika 85, 1998.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/fit.hpp"
#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::latent {

enum class factor_kind {
    ppca,            ///< one component, one noise variance for all columns
    factor_analysis, ///< one component, a noise variance for each column
    factor_mixture   ///< K components with a noise variance for each column, common to all or of their own
};
/// "ppca", "factor_analysis", "factor_mixture".
std::string_view to_string(factor_kind k);
/// The inverse of to_string. Throws invalid_argument that lists the names.
factor_kind factor_kind_from_string(std::string_view name);

/// Arrays of a factor_model, row-major float64, in the units of the data.
struct factor_parameters {
    factor_kind kind = factor_kind::ppca;
    std::int64_t dimensions = 1;   ///< d ≥ 1; ≥ 2 for ppca
    std::int64_t latent = 1;       ///< L, 1 ... d; 1 ... d − 1 for ppca
    std::vector<double> weights{}; ///< [K] α on the simplex; empty stands for one component
    std::vector<double> means{};   ///< [K x d] μ
    /// [K x d x L] A. Only A Aᵀ is determined by data: fit returns the A whose columns are orthogonal in the metric of
    /// the noise (Aᵀ Ψ⁻¹ A diagonal), longest first, with the largest element of each column positive.
    std::vector<double> loadings{};
    /// Ψ > 0, squared units of the data: ppca [1]; factor_analysis [d]; factor_mixture [d] common to all components, or
    /// [K x d].
    std::vector<double> noise{};

    bool operator==(const factor_parameters&) const = default;
};

/// p(x) = Σ_k α_k N(x; μ_k, A_k A_kᵀ + Ψ_k): component k with probability α_k, z ~ N(0, I_L), x = A_k z + μ_k + ε,
/// ε ~ N(0, Ψ_k), Ψ diagonal. An immutable value.
class factor_model {
public:
    /// Throws invalid_argument: sizes, non-finite values, weights negative or not summing to 1 (within 1e-6; they are
    /// then normalised), noise not positive, more than one component for ppca or factor_analysis.
    explicit factor_model(factor_parameters p);

    factor_kind kind() const { return p_.kind; }
    std::int64_t components() const { return static_cast<std::int64_t>(p_.weights.size()); }
    std::int64_t dimensions() const { return p_.dimensions; }
    std::int64_t latent() const { return p_.latent; }
    const std::vector<double>& weights() const { return p_.weights; }
    const std::vector<double>& means() const { return p_.means; }
    const std::vector<double>& loadings() const { return p_.loadings; }
    const std::vector<double>& noise() const { return p_.noise; }
    const factor_parameters& values() const { return p_; }

    /// Whether each component of a factor_mixture has noise variances of its own.
    bool own_noise() const;
    /// The noise variances of component k, [d]. Throws invalid_argument (no such component).
    std::vector<double> noise_of(std::int64_t k) const;
    /// A_k A_kᵀ + Ψ_k, [d x d]. Throws invalid_argument (no such component).
    std::vector<double> covariance(std::int64_t k) const;
    /// Cov[z | x, k] = (I + A_kᵀ Ψ_k⁻¹ A_k)⁻¹, [L x L]: the same for all x. Throws invalid_argument.
    std::vector<double> posterior_covariance(std::int64_t k) const;
    /// Free parameters: weights K − 1, means K d, and of each A, which a rotation of z does not change, d L − L(L −
    /// 1)/2; noise 1, d or K d. What describes one covariance counts at most d(d + 1)/2.
    std::int64_t parameters() const;

    bool operator==(const factor_model&) const = default;

private:
    factor_parameters p_;
};

/// Free parameters of such a model.
std::int64_t parameter_count(factor_kind kind, std::int64_t components, std::int64_t dimensions, std::int64_t latent,
                             bool own_noise);

/// How the maximum of the likelihood is found.
enum class factor_method {
    em,   ///< EM with expanded parameters (PX-EM): monotone like EM, in fewer iterations
    eigen ///< ppca only: from the largest eigenvalues of the covariance, exact; see fit
};
std::string_view to_string(factor_method m);
factor_method factor_method_from_string(std::string_view name);

/// Where EM begins. All are drawn by Philox from the seed. The components of a mixture begin at the clusters of
/// k-means++ and Lloyd's iterations, each with loadings of its own.
enum class factor_start {
    /// Kinds in turn, the first for a single start: for ppca principal and random; for one component with a noise
    /// variance for each column conditional, principal, conditional, random; for mixtures principal, conditional,
    /// random.
    automatic,
    principal, ///< loadings along the principal axes of (a sample of) the rows, by a randomised subspace iteration
    /// Noise variances that maximise the likelihood of (a sample of) the rows with the best loadings for them: the best
    /// of several maxima (d ≤ 128; beyond it the best loadings for noise of the variances themselves). Of ppca:
    /// principal.
    conditional,
    random ///< random loadings that explain half of each column's variance on average
};
std::string_view to_string(factor_start s);
factor_start factor_start_from_string(std::string_view name);

/// Something that happened during a fit.
struct factor_event {
    enum class kind {
        empty,       ///< a component lost its samples (N_k < 10·2⁻²⁴·W); `action` is what was done
        noise_floor, ///< a noise variance reached its floor (a Heywood case, or a constant column) and is kept there;
                     ///< reported once for each variance, or for the one of ppca with column = −1
        far_value,   ///< a column has values that do not count in its noise floor, `far` says which
        stalled      ///< EM had come to rest below the maximum, at a saddle or where its steps are too small to see: it
                     ///< went on from the maximum over the loadings
    };
    std::int64_t iteration = 0;
    std::int64_t component = 0; ///< index before any removal; 0 where all components share the noise
    std::int64_t column = -1;
    kind what = kind::empty;
    collapse_policy action = collapse_policy::reseed; ///< of kind::empty
    far_values far = {};                              ///< of kind::far_value, before the first iteration
};
std::string_view to_string(factor_event::kind k);

struct factor_options {
    factor_kind kind = factor_kind::ppca;
    std::int64_t latent = 1;     ///< L, 1 ... d; 1 ... d − 1 for ppca
    std::int64_t components = 1; ///< more than one for factor_mixture only
    bool own_noise = false;      ///< factor_mixture: Ψ_k for each component instead of one Ψ
    factor_method method = factor_method::em;
    factor_start start = factor_start::automatic;
    std::optional<factor_model> start_model = {}; ///< begin here; overrides `start`
    std::int64_t restarts = 1;                    ///< the best log-likelihood wins; within `tolerance` the first
    std::int64_t max_iterations = 10000;
    /// Stop when the gain in mean log-likelihood, and the total gain still expected from its geometric decay, are below
    /// this (nats per sample). Zero runs to max_iterations. With eigen, of the subspace iteration.
    double tolerance = 1e-8;
    /// Extrapolates the noise variances after every second EM step (SQUAREM). A step counts only where log p is at
    /// least the bound after the EM step in its place, so that the chain of the trace holds; otherwise the EM step is
    /// taken.
    bool accelerate = true;
    /// Smallest noise variance relative to the variance of its column (for ppca to the mean of these variances; a
    /// column without variance counts as one of variance 1), 1e-10 to 1. Values far from all others do not count in
    /// that variance (docs/regularization.md). A likelihood without it may have no maximum, and log p is rounded to
    /// about 1e-16 / noise_floor nats.
    double noise_floor = 1e-6;
    sample_weights weights = {};
    collapse_policy on_collapse = collapse_policy::reseed;
    std::uint64_t seed = 0;
    std::function<bool(const progress&)> callback = {}; ///< return false to stop: the best so far is `interrupted`
    /// Largest number of bytes of normalised data to keep in memory; more is streamed. 0: what fits.
    std::int64_t memory_limit = 0;
    checkpoint_options checkpoint = {}; ///< not with factor_method::eigen
    /// Checkpoint to go on from: the result has the bits of a fit that was never stopped. Data, device and options must
    /// be those that it was written under, but for callback, memory_limit, checkpoint and this.
    std::string resume = {};
};

struct factor_result {
    factor_model model;
    /// Of the restart that won; empty with eigen. The chain is log_likelihood ≤ elbo_after_m_step ≤ the next
    /// log_likelihood; `entropy` is H(q) of k and z together, a differential entropy, which may be negative.
    std::vector<iteration_record> trace{};
    stop_reason stopped = stop_reason::converged;
    std::vector<factor_event> events{};
    fit_seconds seconds{};
    std::int64_t iterations = 0;     ///< passes over the data with eigen
    double log_likelihood = 0;       ///< weighted mean per sample, of exactly the returned model
    double total_log_likelihood = 0; ///< times the sum of the weights
    double total_weight = 0;         ///< W = Σ w_n
    std::int64_t samples = 0;        ///< n
    double bic = 0;                  ///< −2 LL + p ln W
    double aic = 0;                  ///< −2 LL + 2 p
    std::int64_t best_restart = 0;
    negligible_weights negligible{};          ///< rows whose weights are too small to count
    std::optional<factor_start> best_start{}; ///< how that restart began; nothing with eigen and with a start model
};

/// Fits by maximum likelihood. With method em time is of order n K d L an iteration, memory K d L beside the rows.
/// Where EM of one component has come to rest it is compared with the maximum over the loadings, and goes on from there
/// if that is higher by more than `tolerance` (event stalled): ppca with the leading eigenvectors of the covariance,
/// from LAPACK where d ≤ 256 or d ≤ 32 L ≤ 1024, else from a subspace iteration over the rows; noise variances of their
/// own with Newton's method where d ≤ 128. So ppca ends at its maximum wherever it begins. With method eigen (ppca) the
/// leading eigenvectors of the weighted covariance come from LAPACK where d ≤ 1024, from the [n x n] Gram matrix where
/// n < d and n ≤ 4096, and from a subspace iteration over the rows otherwise. Reads `data` once per pass where it does
/// not fit in memory, once in all where it does. Equal input, seed and device give equal bits, whatever the chunking,
/// the thread count or the memory the data comes from. Throws invalid_argument (latent or components out of range, more
/// components than distinct rows with positive weight, eigen for another kind than ppca, weights of the wrong length,
/// negative, NaN or all zero, NaN or infinity in the data with row and column, start_model of another shape, ...),
/// error (a component collapsed and the policy is fail), file_error, out_of_memory, not_available, cuda_error. After a
/// throw nothing has changed.
factor_result fit(const context& ctx, const data_source& data, const factor_options& options);

/// log p(x_n) for every row, in nats, [n]. Throws invalid_argument (other dimensions, NaN or infinity: row, column).
std::vector<double> log_density(const context& ctx, const factor_model& m, const data_source& data);

/// p(k, z | x) for every row: Gaussian in z for each component. Covariances: factor_model::posterior_covariance.
struct factor_posterior {
    std::vector<double> log_density;      ///< [n]
    std::vector<double> responsibilities; ///< [n x K] p(k | x); all 1 for one component
    std::vector<double> means;            ///< [n x K x L] E[z | x, k]
};
/// Throws as log_density does.
factor_posterior posterior(const context& ctx, const factor_model& m, const data_source& data);

/// The same without arrays of all rows: the results of one batch of rows, in order.
struct factor_batch {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    const double* log_density = nullptr;      ///< [rows]
    const double* responsibilities = nullptr; ///< [rows x K]
    const double* means = nullptr;            ///< [rows x K x L]
};
void infer(const context& ctx, const factor_model& m, const data_source& data,
           const std::function<void(const factor_batch&)>& sink);

/// E[A z + μ | x_n] = Σ_k r_nk (μ_k + A_k E[z | x_n, k]): the rows without their noise, [n x d]. Throws as log_density.
std::vector<double> reconstruct(const context& ctx, const factor_model& m, const data_source& data);

/// Log-likelihood and criteria of a model on data; entropy and icl are those of p(k | x). Throws as fit does for
/// weights.
score_result score(const context& ctx, const factor_model& m, const data_source& data,
                   const sample_weights& weights = {});

/// n samples (x, z, k) of the model, the same on every back end.
struct factor_sample {
    std::vector<double> x;            ///< [n x d]
    std::vector<double> z;            ///< [n x L]
    std::vector<std::int32_t> labels; ///< [n] k
};
/// Throws invalid_argument (n < 0).
factor_sample sample(const context& ctx, const factor_model& m, std::int64_t n, std::uint64_t seed);
/// Rows first_row ... first_row + n of what sample with more rows draws.
factor_sample sample_rows(const factor_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed);

/// The same density as a Gaussian mixture with full covariances, [K x d x d]. Throws invalid_argument (a covariance
/// that is singular to rounding).
gmm::model to_mixture(const factor_model& m);

/// Writes a model: `.safetensors` (tensors weights, means, loadings, noise; description in __metadata__) or `.json`.
/// Written to a temporary file that is renamed; numbers survive to the bit. `column_names` may be empty. Throws
/// file_error (unwritable, disk full) and invalid_argument (unknown ending, wrong number of names).
void save(const factor_model& m, const std::string& path, const std::vector<std::string>& column_names = {});
/// Reads what save wrote. Throws file_error: missing, truncated or malformed, or of an unknown version.
factor_model load_factors(const std::string& path);

} // namespace elbo::latent
