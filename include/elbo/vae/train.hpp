// Training a variational autoencoder: stochastic gradient ascent on the evidence lower bound.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/vae/model.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::vae {

/// What is maximised.
enum class objective {
    elbo,      ///< J = E_q[log p(x|z)] − β KL(q ‖ p), KL in closed form, the expectation over `samples` draws
    importance ///< L_S = E[log 1/S Σ_s p(x, z_s)/q(z_s|x)] (Burda, Grosse and Salakhutdinov, arXiv 1509.00519)
};
std::string_view to_string(objective o);
objective objective_from_string(std::string_view name);

/// Which estimate of the encoder's gradient is used. All are unbiased but where it is said.
enum class gradient_estimator {
    standard,
    /// No score term (Roeder, Wu and Duvenaud, arXiv 1703.09194). Biased for importance with more than one draw.
    sticking_the_landing,
    doubly_reparameterized ///< squared importance weights (Tucker et al., arXiv 1810.04152); importance only
};
std::string_view to_string(gradient_estimator g);
gradient_estimator gradient_estimator_from_string(std::string_view name);

enum class optimizer_kind { adam, adamw, sgd };
std::string_view to_string(optimizer_kind o);
optimizer_kind optimizer_from_string(std::string_view name);

struct optimizer {
    optimizer_kind kind = optimizer_kind::adam;
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8; ///< adam, adamw (Kingma and Ba, arXiv 1412.6980)
    double weight_decay = 0;                           ///< adamw: of the weight matrices, not of biases
    double momentum = 0.9;                             ///< sgd
    double clip_norm = 0;                              ///< largest 2-norm of the gradient; 0: no limit
};

/// Learning rate over time, as a factor of optimizer::learning_rate.
struct schedule {
    enum class kind {
        constant,
        steps, ///< `factors[i]` from epoch `boundaries[i]` on, 1 before the first
        cosine ///< half a cosine from 1 to `final_factor` at the last step
    };
    kind form = kind::constant;
    std::vector<double> boundaries = {}; ///< epochs, increasing
    std::vector<double> factors = {};
    double final_factor = 0;
    std::int64_t warm_up_steps = 0; ///< the rate grows linearly over these steps, for every form
    /// The factor at step `step` of `total_steps`, with `steps_per_epoch` steps in an epoch.
    double factor(std::int64_t step, std::int64_t steps_per_epoch, std::int64_t total_steps) const;
    /// The eight stages of 3^(i−1) epochs at 10^(−(i−1)/7) of arXiv 1509.00519.
    static schedule burda();
};
std::string_view to_string(schedule::kind k);

/// Arithmetic of the products in training; tf32 and bfloat16 on CUDA devices alone. Master weights, optimiser, sums and
/// every evaluation are float32 or wider.
enum class training_precision { float32, tf32, bfloat16 };
std::string_view to_string(training_precision p);
training_precision training_precision_from_string(std::string_view name);

/// One epoch. All bounds are the true ones (β = 1, no free bits), in nats per sample. With gaussian_scale::optimal they
/// are bounds of one σ, the mean squared error of the epoch's rows: no mean over batches of bounds with a σ each, which
/// would be above those of any model.
struct epoch_record {
    std::int64_t epoch = 0; ///< epochs done, from 1
    std::int64_t step = 0;  ///< optimiser steps done
    double train_elbo = 0;  ///< J: reconstruction − KL, mean over the epoch while parameters moved
    double train_reconstruction = 0;
    double train_kl = 0;
    double train_objective = 0; ///< what was maximised: with β and free bits, or L_S (optimal scale: not above it)
    std::optional<double> validation_elbo = {}, validation_reconstruction = {}, validation_kl = {};
    double learning_rate = 0;      ///< of the last step
    double gradient_norm = 0;      ///< of the last step, before clipping
    double seconds = 0;            ///< since training began, resumed time included
    double samples_per_second = 0; ///< of this epoch, training alone
};

enum class train_stop { completed, early_stopping, interrupted };
std::string_view to_string(train_stop s);

/// What a callback sees, several times a second at the most and once at the end of each epoch.
struct train_progress {
    std::int64_t epoch = 0, epochs = 0; ///< the epoch that runs, from 1
    std::int64_t step = 0, total_steps = 0;
    double elbo = 0; ///< mean over the epoch so far
    double samples_per_second = 0;
    double seconds_left = 0;
    const epoch_record* finished = nullptr; ///< the record, where an epoch has just ended
};

struct checkpoint_options {
    std::string path = {};         ///< empty: none
    double every_seconds = 60;     ///< written at the next chance after so long; 0: not by time
    std::int64_t every_epochs = 0; ///< 0: not by epochs
};

struct train_options {
    std::int64_t epochs = 20;
    std::optional<std::int64_t> batch = {}; ///< rows of a step; none: 128, or all rows where there are fewer
    std::int64_t samples = 1;               ///< S draws of z for each data point
    vae::objective objective = vae::objective::elbo;
    gradient_estimator estimator = gradient_estimator::standard;
    double beta = 1;
    double kl_warm_up_epochs = 0; ///< β grows linearly from 0 over so many epochs
    double free_bits = 0;         ///< nats a latent unit, of the batch's mean KL (Kingma et al., arXiv 1606.04934)
    /// Bernoulli: draw x anew at each use with the grey values as probabilities, instead of taking them as means.
    bool binarize = false;
    vae::optimizer optimizer = {};
    vae::schedule schedule = {};
    double average_decay = 0;  ///< decay of an exponential average of the weights, which is then the result; 0: none
    std::int64_t patience = 0; ///< stop after so many epochs without a better validation ELBO; 0: never
    std::uint64_t seed = 0;
    training_precision precision = training_precision::float32;
    std::optional<model> start = {}; ///< begin with these parameters
    checkpoint_options checkpoint = {};
    /// Checkpoint to go on from. Data and options must be those it was written under, but for epochs (unless the
    /// schedule is a cosine of them), checkpoint, callback and memory_limit; `start` plays no part.
    std::string resume = {};
    std::int64_t memory_limit = 0; ///< largest bytes of data kept on the device; more is taken in windows. 0: what fits
    std::function<bool(const train_progress&)> callback = {}; ///< return false to stop
};

struct train_result {
    vae::model model; ///< the best on the validation data where there are any and patience > 0, else the last
    std::vector<epoch_record> history{};
    train_stop stopped = train_stop::completed;
    double elbo = 0; ///< of the returned model: on the validation data where given, else train_elbo of its epoch
    std::int64_t epochs = 0, steps = 0;
    std::int64_t best_epoch = 0;
    double seconds = 0;
    double samples_per_second = 0; ///< training alone, over all epochs of this call
};

/// Trains a model on the rows of `data`. Equal data, options and device give equal bits, whatever the chunks, the
/// threads or the memory the data comes from, and whether or not the run was stopped and resumed. Data that do not fit
/// on the device are shuffled within windows, whose size is that of the free memory or of memory_limit.
/// Throws invalid_argument (fields out of range, batch larger than the data, validation data of another width, values
/// that the likelihood does not allow with row and column, a checkpoint of another architecture or options with what
/// differs, ...), file_error, out_of_memory, cuda_error, and elbo::error where the bound is no longer finite: it names
/// term and step, and the last good state is in the checkpoint where one is written. Nothing changes after a throw.
train_result train(const context& ctx, const vae::architecture& a, const data_source& data,
                   const train_options& options = {}, const std::optional<data_source>& validation = {});

/// Online training: a model and its optimiser state that take one batch after the other, as a simulation makes them.
class trainer {
public:
    /// `options.epochs`, `batch`, `start`, `patience`, schedule forms other than constant and checkpoints play no part
    /// here; there must be no KL warm-up. Throws invalid_argument.
    trainer(const context& ctx, const vae::model& start, const train_options& options = {});
    trainer(trainer&&) noexcept;
    trainer& operator=(trainer&&) noexcept;
    ~trainer();
    /// One optimiser step on all rows of a matrix in host, pinned or device memory. Returns reconstruction, KL and
    /// ELBO, means over the batch; with gaussian_scale::optimal under the mean squared error of the last 1,024 rows, as
    /// model() has it. Throws as train does; the model is then as before.
    epoch_record partial_fit(any_matrix_view batch);
    vae::model model() const;
    std::int64_t steps() const;
    /// State of the optimiser and model, to go on later to the same bits.
    void save(const std::string& path) const;
    static trainer resume(const context& ctx, const std::string& path, const train_options& options = {});

private:
    struct state;
    explicit trainer(std::unique_ptr<state> s);
    std::unique_ptr<state> state_;
};

} // namespace elbo::vae
