// Points near a sphere: z ~ N(0, I_d), x = r z/‖z‖ + m + σ ε (docs/theory.md section 2). The posterior of the direction
// u = z/‖z‖ is von Mises–Fisher, so log p(x) and EM are exact. Fit, densities, posteriors, samples, files.
//
// Sources: K. V. Mardia and P. E. Jupp, "Directional Statistics", 2000, section 9.3, for the von Mises–Fisher
// distribution; R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of
// any EM algorithm", Scandinavian Journal of Statistics 35, 2008, for the acceleration.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/fit.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::latent {

/// Centre, radius and noise, float64, in the units of the data.
struct sphere_parameters {
    std::vector<double> centre{}; ///< [d] m, d ≥ 1; in one dimension the sphere is the two points m − r and m + r
    double radius = 0;            ///< r ≥ 0
    double noise = 1;             ///< σ² > 0, squared units of the data

    bool operator==(const sphere_parameters&) const = default;
};

/// p(x) with x = r u + m + ε, u uniform on the unit sphere in d dimensions, ε ~ N(0, σ² I). An immutable value.
class sphere_model {
public:
    /// Throws invalid_argument: no centre, non-finite values, a radius below 0, noise not positive, σ below 1e-12 r
    /// (the density is then below what float64 resolves).
    explicit sphere_model(sphere_parameters p);

    std::int64_t dimensions() const { return static_cast<std::int64_t>(p_.centre.size()); }
    const std::vector<double>& centre() const { return p_.centre; }
    double radius() const { return p_.radius; }
    double noise() const { return p_.noise; }
    const sphere_parameters& values() const { return p_; }
    /// Free parameters: d + 2.
    std::int64_t parameters() const { return dimensions() + 2; }

    bool operator==(const sphere_model&) const = default;

private:
    sphere_parameters p_;
};

/// Something that happened during a fit.
struct sphere_event {
    enum class kind {
        noise_floor, ///< the noise reached its floor, as for points exactly on a sphere, and is kept there
        one_sided, ///< all posterior directions agree to rounding: data do not tell radius from centre, and the radius
                   ///< is kept
        far_value  ///< a column has values that do not count in the scale of the data, `far` says which
    };
    std::int64_t iteration = 0;
    kind what = kind::noise_floor; ///< each kind is reported once, far_value once for each column
    far_values far = {};           ///< of kind::far_value
};
std::string_view to_string(sphere_event::kind k);

struct sphere_options {
    std::optional<sphere_model> start_model = {}; ///< begin here, in all restarts
    /// The first begins at the mean of the data with every direction u that of the sample, each further one at a centre
    /// drawn by Philox about the mean; the best log-likelihood wins. More than one are worth while where data cover a
    /// part of the sphere.
    std::int64_t restarts = 1;
    std::int64_t max_iterations = 10000;
    /// Stop when the gain in mean log-likelihood, and the total gain still expected from its geometric decay, are below
    /// this (nats per sample). Zero runs to max_iterations.
    double tolerance = 1e-8;
    /// Extrapolates after every second EM step (SQUAREM, step length S3). A step counts only where log p is at least
    /// the bound after the EM step in its place, so that the chain of the trace holds; otherwise the EM step is taken.
    bool accelerate = true;
    /// Smallest noise relative to the mean variance of the columns (where that is 0: to 1). Points exactly on a sphere
    /// have no maximum of the likelihood without it. At least 1e-20.
    double noise_floor = 1e-12;
    sample_weights weights = {};
    std::uint64_t seed = 0;
    std::function<bool(const progress&)> callback = {}; ///< return false to stop: the best so far is `interrupted`
    /// Largest number of bytes of normalised data to keep in memory; more is streamed. 0: what fits.
    std::int64_t memory_limit = 0;
    checkpoint_options checkpoint = {};
    /// Checkpoint to go on from: the result has the bits of a fit that was never stopped. Data, device and options must
    /// be those that it was written under, but for callback, memory_limit, checkpoint and this.
    std::string resume = {};
};

struct sphere_result {
    sphere_model model;
    /// Of the restart that won. The chain is log_likelihood ≤ elbo_after_m_step ≤ the next log_likelihood; `entropy` is
    /// that of q(u) with respect to the uniform distribution, −KL(q(u) ‖ p(u)) ≤ 0.
    std::vector<iteration_record> trace{};
    stop_reason stopped = stop_reason::converged;
    std::vector<sphere_event> events{};
    fit_seconds seconds{};
    std::int64_t iterations = 0;
    double log_likelihood = 0;       ///< weighted mean per sample, of exactly the returned model
    double total_log_likelihood = 0; ///< times the sum of the weights
    double total_weight = 0;         ///< W = Σ w_n
    std::int64_t samples = 0;        ///< n
    double bic = 0;                  ///< −2 LL + p ln W
    double aic = 0;                  ///< −2 LL + 2 p
    std::int64_t best_restart = 0;
    negligible_weights negligible{}; ///< rows whose weights are too small to count
};

/// Fits by EM, maximum likelihood. An iteration takes time of order n d. Reads `data` once per iteration where it does
/// not fit in memory, once in all where it does. Equal input, seed and device give equal bits, whatever the chunking,
/// the thread count or the memory the data comes from.
/// Throws invalid_argument (options out of range, weights of the wrong length, negative, NaN or all zero, NaN or
/// infinity in the data with row and column, start_model of other dimensions), file_error, out_of_memory, cuda_error.
/// After a throw nothing has changed.
sphere_result fit(const context& ctx, const data_source& data, const sphere_options& options);

/// log p(x_n) for every row, in nats, [n]. Throws invalid_argument (other dimensions, NaN or infinity: row, column).
std::vector<double> log_density(const context& ctx, const sphere_model& m, const data_source& data);

/// p(u | x) for every row: von Mises–Fisher about (x − m)/‖x − m‖.
struct sphere_posterior {
    std::vector<double> log_density;    ///< [n]
    std::vector<double> means;          ///< [n x d] ū = E[u | x], at most of length 1
    std::vector<double> concentrations; ///< [n] κ = r ‖x − m‖ / σ²
};
/// Throws as log_density does.
sphere_posterior posterior(const context& ctx, const sphere_model& m, const data_source& data);

/// The same without arrays of all rows: the results of one batch of rows, in order.
struct sphere_batch {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    const double* log_density = nullptr;    ///< [rows]
    const double* means = nullptr;          ///< [rows x d]
    const double* concentrations = nullptr; ///< [rows]
};
void infer(const context& ctx, const sphere_model& m, const data_source& data,
           const std::function<void(const sphere_batch&)>& sink);

/// E[r u + m | x_n] = m + r ū_n: the rows without their noise, [n x d]. Throws as log_density does.
std::vector<double> reconstruct(const context& ctx, const sphere_model& m, const data_source& data);

/// Log-likelihood and criteria of a model on data; there is no discrete latent variable, so entropy is 0 and icl is
/// bic. Throws as fit does for weights.
score_result score(const context& ctx, const sphere_model& m, const data_source& data,
                   const sample_weights& weights = {});

/// n samples (x, u) of the model, the same on every back end.
struct sphere_sample {
    std::vector<double> x; ///< [n x d]
    std::vector<double> u; ///< [n x d] of length 1
};
/// Throws invalid_argument (n < 0).
sphere_sample sample(const context& ctx, const sphere_model& m, std::int64_t n, std::uint64_t seed);
/// Rows first_row ... first_row + n of what sample with more rows draws.
sphere_sample sample_rows(const sphere_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed);

/// Writes a model: `.safetensors` (tensors centre, radius, noise; description in __metadata__) or `.json`. Written to a
/// temporary file that is renamed; numbers survive to the bit. `column_names` may be empty. Throws file_error
/// (unwritable, disk full) and invalid_argument (unknown ending, wrong number of names).
void save(const sphere_model& m, const std::string& path, const std::vector<std::string>& column_names = {});
/// Reads what save wrote. Throws file_error: missing, truncated or malformed, or of an unknown version.
sphere_model load_sphere(const std::string& path);

} // namespace elbo::latent
