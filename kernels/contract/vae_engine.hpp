// The operations of variational autoencoders, declared once: every back end implements vae_engine, the host code uses
// nothing else. An engine owns the parameters, the optimiser's state, the resident data and the scratch memory.
//
// Random numbers are functions of (seed, purpose, epoch, row, draw, dimension): math/vae_random.hpp. `row` is the index
// of a row in the user's data, so that noise and binarisation do not depend on batches, windows, threads or grids.
//
// Determinism: what a step computes is a function of the rows of its batch in their order, of the parameters and of
// the step's settings alone. Sums over the rows of a batch have an order that depends on the batch size alone; for wide
// layers on a device on that of the slice, so that a last, shorter batch is added up in the order of a whole one.
//
// One step on a batch of B rows with S draws each (docs/theory.md section 3; a row of the decoder is (n, s), n major):
//   (μ, a) = encoder(x),  ln σ² = bounded(a),  z = μ + σ ε,  p(x|z) from decoder(z)
//   log w_ns = log p(x_n|z_ns) + log p(z_ns) − log q(z_ns|x_n)
// objective::elbo: mean over n of [ mean over s of log p(x_n|z_ns) − β Σ_l KL_l ], KL in closed form; with free bits λ
//   the KL of unit l counts as max(λ, mean over the batch of KL_l).
// objective::importance: mean over n of ln 1/S Σ_s w_ns.
// The optimiser ascends; gradients here are of the objective (so parameters move along +gradient).
#pragma once

#include "elbo/context.hpp"
#include "elbo/matrix_view.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "kernels/math/macros.hpp"
#include "kernels/math/vae_scale.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace elbo::kernels {

/// How resident rows are kept.
enum class row_storage {
    bits,   ///< all values 0 or 1
    bytes,  ///< all values k / 255 with integer k, as float32(k) / float32(255) or float32(k · (1/255))
    float32 ///< (float64 in the reference back end)
};

/// Rows that an operation works on: of a matrix in any memory, or resident ones.
struct vae_rows {
    any_matrix_view x = {};   ///< [rows x d]; data == nullptr: resident rows
    std::int64_t dataset = 0; ///< resident: which
    std::int64_t slot = 0;    ///< resident: the first
    std::int64_t rows = 0;
    std::int64_t first_row = 0; ///< index of the first in the user's data, for the random numbers
};

/// What inspect() says of rows: whether the likelihood allows them, and how they may be stored.
struct row_report {
    enum class fault { none, not_finite, not_allowed, not_one_hot };
    fault found = fault::none;
    std::int64_t row = 0, column = 0; ///< of the first fault; column: of the first entry of the block for not_one_hot
    double value = 0;                 ///< the entry, or the sum of the block (entries must be 0 or 1, adding up to 1)
    bool all_bits = true, all_bytes = true;
    std::vector<double> column_sums; ///< [d], rows added in ascending order in float64
};

/// Sizes that memory is reserved for.
struct vae_capacity {
    std::int64_t batch = 1;                     ///< rows of the largest training batch; 0: no training
    std::int64_t samples = 1;                   ///< S of training
    std::vector<std::int64_t> slots = {};       ///< rows of each resident data set
    row_storage storage = row_storage::float32; ///< of all of them
};

struct vae_settings {
    vae::objective objective = vae::objective::elbo;
    vae::gradient_estimator estimator = vae::gradient_estimator::standard;
    std::int64_t samples = 1;
    double free_bits = 0;
    bool binarize = false;
    std::uint64_t seed = 0;
    vae::training_precision precision = vae::training_precision::float32;
    vae::optimizer optimizer = {};
    double average_decay = 0;
    // gaussian_scale::optimal
    running_scale scale = {};                          ///< of the rows before the first step
    std::int64_t scale_window = kernels::scale_window; ///< rows that it looks back on
};

/// What the host decides for each step, in order.
struct step_schedule {
    double learning_rate = 0;
    double beta = 1;
};

/// Steps on resident rows of data set 0. In epoch e the row at position p is slot shuffle(seed, e, window, p) of the
/// `window_rows` resident ones; step i of the slice takes positions first_position + i·batch ... (fewer at the end of
/// the window).
struct train_slice {
    std::int64_t epoch = 0;          ///< for shuffle, noise and binarisation
    std::int64_t window = 0;         ///< number of the window, for shuffle
    std::int64_t window_rows = 0;    ///< slots 0 ... window_rows − 1
    std::int64_t first_row = 0;      ///< index of slot 0 in the user's data
    std::int64_t first_position = 0; ///< a multiple of batch
    std::int64_t batch = 0;
    std::vector<step_schedule> steps; ///< how many steps, and how
};

/// Sums over the rows of one step, in float64.
struct step_record {
    std::int64_t rows = 0;
    double reconstruction = 0; ///< Σ_n mean_s log p(x_n|z_ns)
    double kl = 0;             ///< Σ_n KL_n, closed form
    double objective = 0;      ///< Σ_n of what is maximised, with β and free bits, or ln 1/S Σ_s w_ns
    double squared_error = 0;  ///< gaussian: Σ_n mean_s Σ_d (x − mean)²; else 0
    /// gaussian: Σ_n Σ_s w̃_ns Σ_d (x − mean)² with the weights w̃ of the draws in the gradient, 1/S for the elbo; else
    /// 0. One σ given, −½ of it is the derivative of `objective` with respect to 1/σ² (without that of ½ n D ln 1/σ²).
    double weighted_squared_error = 0;
    running_scale scale = {}; ///< gaussian_scale::optimal: after the step, which went by it
    double gradient_norm = 0; ///< 2-norm of the gradient of the mean objective, before clipping
    enum class term : std::int64_t { none, reconstruction, kl, objective, gradient }; ///< wide: a record has no padding
    term not_finite = term::none; ///< the first that is not finite: the step then changed nothing

    /// That term, given the norm.
    ELBO_HD term first_not_finite(double norm) const {
        if (!std::isfinite(reconstruction))
            return term::reconstruction;
        if (!std::isfinite(kl))
            return term::kl;
        if (!std::isfinite(objective))
            return term::objective;
        return std::isfinite(norm) ? term::none : term::gradient;
    }
};

/// Everything that training carries from step to step. Vectors in the order of the layout; first_moment is the
/// momentum buffer of sgd; average is empty without averaging.
struct optimizer_state {
    std::int64_t steps = 0; ///< done, for the bias corrections
    std::vector<double> first_moment, second_moment, average;
};

/// Per-row results to host memory; null pointers are skipped.
struct row_terms {
    double* reconstruction = nullptr; ///< [rows] mean_s log p(x|z_s)
    double* kl = nullptr;             ///< [rows]
    double* squared_error = nullptr;  ///< [rows] mean_s Σ_d (x − mean)², gaussian
    float* mean = nullptr;            ///< [rows x latent] μ
    float* log_variance = nullptr;    ///< [rows x latent] ln σ²
};

class vae_engine {
public:
    explicit vae_engine(const vae_layout& l) : layout(l) {}
    virtual ~vae_engine() = default;
    vae_engine(const vae_engine&) = delete;
    vae_engine& operator=(const vae_engine&) = delete;

    const vae_layout layout;

    // --- data ---------------------------------------------------------------------------------------------------
    /// Looks at rows in any memory.
    virtual row_report inspect(const any_matrix_view& x) = 0;
    /// Bytes that reserve() will take in the engine's memory, everything included.
    virtual std::int64_t bytes_needed(const vae_capacity& c) const = 0;
    /// Memory for training and for resident data. Throws out_of_memory. Parameters stay.
    virtual void reserve(const vae_capacity& c) = 0;
    /// Stores rows in the slots from `slot` on. They have passed inspect().
    virtual void load(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) = 0;

    // --- parameters ---------------------------------------------------------------------------------------------
    /// Takes parameters [layout.parameters] (rounded to float32 but by the reference) and sets the optimiser's state
    /// to its beginning.
    virtual void set_parameters(const std::vector<double>& p) = 0;
    virtual std::vector<double> parameters() = 0;
    virtual void set_optimizer(const optimizer_state& s) = 0;
    virtual optimizer_state optimizer() = 0;

    // --- training -----------------------------------------------------------------------------------------------
    /// Runs the steps of a slice; waits for them. Returns a record a step; ends after the first that is not finite.
    /// With gaussian_scale::optimal a step goes by σ² = the mean squared error of the rows before and its own
    /// (with_batch() of math/vae_scale.hpp, over rows, draws and dimensions), which the gradient takes as constant, and
    /// leaves ln σ² of the parameters alone.
    virtual std::vector<step_record> train(const vae_settings& s, const train_slice& slice) = 0;
    /// One step on given rows (at most the reserved batch) in their order, noise of (seed, epoch, first_row + i).
    virtual step_record train_on(const vae_settings& s, const step_schedule& step, std::int64_t epoch,
                                 const vae_rows& rows) = 0;
    /// The gradient of the mean objective on given rows, as train_on would take it; changes nothing.
    virtual step_record gradient(const vae_settings& s, double beta, std::int64_t epoch, const vae_rows& rows,
                                 std::vector<double>& out) = 0;

    /// The products of the last step that a library has done, each with the algorithm that was chosen for it, in words;
    /// that choice decides bits. None where the engine's own kernels did all.
    virtual std::vector<std::string> products() const { return {}; }

    // --- evaluation, in float32 or wider ------------------------------------------------------------------------
    /// Per-row terms with `samples` draws, of noise_purpose::evaluation and epoch 0; any number of rows.
    virtual void evaluate(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                          const row_terms& out) = 0;
    /// Per row ln 1/S Σ_s w_s and (Σ w)²/Σ w² [rows], streamed over s: never rows x S x d in memory.
    virtual void importance(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                            double* log_bound, double* effective_samples) = 0;
    /// To host or to the engine's memory (as `mean.space` says); both [rows x latent].
    virtual void encode(const vae_rows& rows, matrix_view<float> mean, matrix_view<float> log_variance) = 0;
    /// Means of p(x|z) of z [rows x latent] in any memory, to out [rows x d] in host memory or the engine's.
    virtual void decode(const any_matrix_view& z, matrix_view<float> out) = 0;
};

/// The engine of the context's back end.
std::unique_ptr<vae_engine> make_vae_engine(const context& ctx, const vae_layout& layout);

} // namespace elbo::kernels
