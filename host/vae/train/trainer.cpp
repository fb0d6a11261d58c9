// Online training, one batch after the other.
#include "host/check.hpp"
#include "host/io/model/model_archive.hpp"
#include "host/rows/row_access.hpp"
#include "host/seconds.hpp"
#include "host/vae/fields.hpp"
#include "host/vae/rows.hpp"
#include "host/vae/train/checkpoint.hpp"
#include "host/vae/train/options.hpp"

#include <fmt/format.h>

namespace elbo::vae {

using namespace kernels;

struct trainer::state {
    state(const context& c, const architecture& a, const train_options& o)
        : ctx(c), options(o), shape(a), engine(make_vae_engine(c, make_layout(a))) {}

    context ctx;
    train_options options;
    architecture shape;
    std::unique_ptr<vae_engine> engine;
    std::int64_t steps = 0;
    std::int64_t reserved = 0; ///< rows of the largest batch so far
    running_scale scale = {};  ///< gaussian, optimal
    double seconds = 0;
    std::vector<char> staging;

    training_state snapshot() const {
        training_state s;
        s.parameters = engine->parameters();
        s.optimizer = engine->optimizer();
        s.products = engine->products();
        s.seconds = seconds;
        s.window_rows = reserved;
        s.scale = scale;
        set_optimal_scale(s.parameters);
        if (!s.optimizer.average.empty())
            set_optimal_scale(s.optimizer.average);
        return s;
    }

    /// The optimal σ² of the last rows, which is not among the parameters of the engine.
    void set_optimal_scale(std::vector<double>& parameters) const {
        if (has_optimal_scale(shape) && scale.rows > 0)
            parameters[engine->layout.own] = optimal_log_variance(scale, shape.dimensions);
    }

    vae_settings settings() const {
        vae_settings s = settings_of(options);
        s.scale = scale;
        return s;
    }

    /// Makes room for larger batches; parameters and optimiser stay.
    void reserve(std::int64_t rows) {
        if (rows <= reserved)
            return;
        vae_capacity capacity;
        capacity.batch = rows;
        capacity.samples = options.samples;
        reserved = 0; // where there is no memory for the larger batch, that of the smaller ones is gone, too
        engine->reserve(capacity);
        reserved = rows;
    }

    step_schedule schedule() const {
        const std::int64_t warm_up = options.schedule.warm_up_steps;
        const double factor = steps < warm_up ? static_cast<double>(steps + 1) / static_cast<double>(warm_up) : 1.0;
        return {options.optimizer.learning_rate * factor, options.beta};
    }
};

namespace {

void check_online(const context& ctx, const architecture& a, const train_options& o) {
    check_options(ctx, a, o);
    expects(o.kl_warm_up_epochs == 0, [&] {
        return fmt::format("kl_warm_up_epochs = {}: expected 0 for a trainer, which knows no epochs",
                           o.kl_warm_up_epochs);
    });
}

/// Batches come in any number and size.
io::json describe_online(const train_options& o) {
    train_options plain = o;
    plain.schedule = {};
    plain.schedule.warm_up_steps = o.schedule.warm_up_steps;
    plain.patience = 0;
    io::json options = describe(plain, 0, 0);
    options.erase("batch");
    options["online"] = true;
    return options;
}

epoch_record record_of(const step_record& r, std::int64_t step, double rate, double seconds) {
    const auto n = static_cast<double>(r.rows);
    epoch_record e;
    e.epoch = step;
    e.step = step;
    e.train_reconstruction = r.reconstruction / n;
    e.train_kl = r.kl / n;
    e.train_elbo = e.train_reconstruction - e.train_kl;
    e.train_objective = r.objective / n;
    e.learning_rate = rate;
    e.gradient_norm = r.gradient_norm;
    e.samples_per_second = n / std::max(seconds, 1e-9);
    return e;
}

} // namespace

trainer::trainer(std::unique_ptr<state> s) : state_(std::move(s)) {}
trainer::trainer(trainer&&) noexcept = default;
trainer& trainer::operator=(trainer&&) noexcept = default;
trainer::~trainer() = default;

trainer::trainer(const context& ctx, const vae::model& start, const train_options& options) {
    check_online(ctx, start.architecture(), options);
    state_ = std::make_unique<state>(ctx, start.architecture(), options);
    state_->engine->set_parameters(start.parameters());
}

epoch_record trainer::partial_fit(any_matrix_view batch) {
    state& s = *state_;
    const steady_time begin = std::chrono::steady_clock::now();
    const data_source data(batch); // checks pointer, stride and sizes
    const row_batches feed(s.ctx, data, s.shape.dimensions, "the dimensions of the model");
    const any_matrix_view x = readable(s.ctx, batch, s.staging);
    check_rows(s.engine->inspect(x), data, 0, s.shape);
    s.reserve(x.rows);
    const step_schedule step = s.schedule();
    const step_record record = s.engine->train_on(s.settings(), step, s.steps, {x, 0, 0, x.rows, 0});
    if (record.not_finite != step_record::term::none)
        throw error(fmt::format("the {} is not finite at step {}: the model is as before; a smaller learning rate or "
                                "clip_norm may help",
                                name_of(record.not_finite), s.steps + 1));
    ++s.steps;
    s.scale = record.scale;
    const double seconds = seconds_since(begin);
    s.seconds += seconds;
    epoch_record result = record_of(record, s.steps, step.learning_rate, seconds);
    result.seconds = s.seconds;
    return result;
}

model trainer::model() const {
    const training_state s = state_->snapshot();
    return {state_->shape, s.optimizer.average.empty() ? s.parameters : s.optimizer.average};
}

std::int64_t trainer::steps() const {
    return state_->steps;
}

void trainer::save(const std::string& path) const {
    io::require_safetensors("path", path);
    write_checkpoint(path, state_->shape, describe_online(state_->options), state_->snapshot());
}

trainer trainer::resume(const context& ctx, const std::string& path, const train_options& options) {
    const architecture a = checkpoint_architecture(path);
    check_online(ctx, a, options);
    const training_state saved = read_checkpoint(path, a, describe_online(options));
    auto s = std::make_unique<state>(ctx, a, options);
    s->engine->set_parameters(saved.parameters);
    s->engine->set_optimizer(saved.optimizer);
    s->steps = saved.optimizer.steps;
    s->seconds = saved.seconds;
    s->scale = saved.scale;
    return trainer(std::move(s));
}

} // namespace elbo::vae
