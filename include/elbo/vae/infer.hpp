// Using a variational autoencoder: bounds on log p(x), latents, reconstructions, samples.
#pragma once

#include "elbo/buffer.hpp"
#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/vae/model.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace elbo::vae {

struct evaluate_options {
    std::int64_t samples = 1;            ///< draws of z a row for the ELBO
    std::int64_t importance_samples = 0; ///< S of the importance bound; 0: none
    bool binarize = false;               ///< bernoulli: draw x once from the grey values
    std::uint64_t seed = 0;
    /// rows done, rows in all; return false to stop, which throws elbo::interrupted.
    std::function<bool(std::int64_t done, std::int64_t rows)> callback = {};
};

/// Means over the rows, in nats. J = reconstruction − KL ≤ L_S ≤ log p(x).
struct evaluation {
    std::int64_t rows = 0;
    double elbo = 0, reconstruction = 0, kl = 0;
    double elbo_standard_error = 0;    ///< of the mean over rows
    std::vector<double> kl_per_unit;   ///< [latent]
    std::vector<double> unit_activity; ///< [latent] Var_x(E_q[z]); a unit is active above 0.01 (arXiv 1509.00519)
    std::int64_t active_units = 0;
    std::int64_t importance_samples = 0;
    std::optional<double> log_likelihood_bound = {};          ///< L_S
    std::optional<double> log_likelihood_standard_error = {}; ///< of the mean over rows
    std::optional<double> effective_sample_size = {};         ///< mean over rows of (Σ w)² / Σ w²
    double seconds = 0;
};
/// Per row: [n] J and, with importance_samples > 0, [n] L_S.
struct row_bounds {
    std::vector<double> elbo, log_likelihood_bound;
};
/// With `rows`, the bounds of every row too, from the same pass. Throws invalid_argument (other width, values that the
/// likelihood does not allow, samples < 1 ...), file_error; `rows` is then as before.
evaluation evaluate(const context& ctx, const model& m, const data_source& data, const evaluate_options& options = {},
                    row_bounds* rows = nullptr);
/// The bounds of the rows alone.
row_bounds evaluate_rows(const context& ctx, const model& m, const data_source& data,
                         const evaluate_options& options = {});

/// Where streamed results go: rows first ... of the result, row-major [rows x cols], host memory.
using row_sink = std::function<void(std::int64_t first, matrix_view<const float> rows)>;

struct latents {
    std::vector<float> mean, log_variance; ///< [n x latent]
};
latents encode(const context& ctx, const model& m, const data_source& data);
/// The same, streamed: rows of 2·latent numbers, means then log-variances.
void encode(const context& ctx, const model& m, const data_source& data, const row_sink& sink);

/// Means of p(x|z): probabilities for bernoulli and categorical; with likelihood.library_size those of a row whose sum
/// is 1. z [n x latent] → [n x d].
std::vector<float> decode(const context& ctx, const model& m, const data_source& z);
void decode(const context& ctx, const model& m, const data_source& z, const row_sink& sink);

/// decode(E_q[z | x]) [n x d], with likelihood.library_size times the sum of the row.
std::vector<float> reconstruct(const context& ctx, const model& m, const data_source& data);
void reconstruct(const context& ctx, const model& m, const data_source& data, const row_sink& sink);

struct sample_options {
    std::uint64_t seed = 0;
    bool means = false; ///< means of p(x|z) instead of draws of x
    double row_sum = 1; ///< likelihood.library_size: what rows shall add up to on average
};
/// Draws z ~ N(0, I), then x ~ p(x|z) [n x d].
std::vector<float> sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options = {});
void sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options, const row_sink& sink);

/// Decoded straight line between the encodings of two rows, ends included: [steps x d]. from, to: [d].
std::vector<float> interpolate(const context& ctx, const model& m, const std::vector<float>& from,
                               const std::vector<float>& to, std::int64_t steps);

/// A network ready to be asked many times: made once from a model, it owns an engine with the parameters and memory
/// that grows to the largest call; later calls of up to as many float32 rows allocate nothing. The results are those of
/// the functions above, to the bit, and are there when a call returns. x and z in float32 or float64, any stride, in
/// host memory or, with a CUDA context, in device memory, between which and the engine nothing passes through the host
/// but samples. One thread at a time; several networks may be used at once, as contexts may. All throw invalid_argument
/// (shapes, memory out of reach), out_of_memory, cuda_error. Whether numbers are finite and such as the likelihood
/// allows is not asked but by check().
class network {
public:
    network(const context& ctx, const model& m);
    network(network&& other) noexcept;
    network& operator=(network&& other) noexcept;
    ~network();

    /// Throws invalid_argument: row and column of a value of x [n x d] that the likelihood does not allow.
    void check(const any_matrix_view& x);
    /// Means and ln σ² of q(z | x) for x [n x d], [n x latent] each.
    void encode(const any_matrix_view& x, matrix_view<float> mean, matrix_view<float> log_variance);
    /// Means of p(x | z) for z [n x latent], [n x d].
    void decode(const any_matrix_view& z, matrix_view<float> out);
    /// decode(E_q[z | x]), [n x d].
    void reconstruct(const any_matrix_view& x, matrix_view<float> out);
    /// Rows first ... of what sample() draws with these options, [n x d]. Throws invalid_argument (first < 0).
    void sample(std::int64_t first, const sample_options& options, matrix_view<float> out);

private:
    struct state;
    std::unique_ptr<state> state_;
};

// On device memory, without a copy through the host (host memory for the other back ends). Enqueued on the context's
// stream; `out` has [rows x latent] or [rows x d].
void encode(const context& ctx, const model& m, any_matrix_view x, matrix_view<float> mean,
            matrix_view<float> log_variance);
void decode(const context& ctx, const model& m, any_matrix_view z, matrix_view<float> out);

} // namespace elbo::vae
