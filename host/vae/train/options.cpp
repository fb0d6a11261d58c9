#include "host/vae/train/options.hpp"

#include "host/check.hpp"
#include "host/io/model/model_archive.hpp"
#include "host/rows/row_access.hpp"
#include "host/vae/fields.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>
#include <utility>
#include <vector>

namespace elbo::vae {

void check_options(const context& ctx, const architecture& a, const train_options& o) {
    a.check();
    check_fields(o);
    expects(o.objective != objective::importance || (o.beta == 1 && o.kl_warm_up_epochs == 0 && o.free_bits == 0), [&] {
        return fmt::format("beta = {}, kl_warm_up_epochs = {}, free_bits = {}: expected 1, 0 and 0 for the importance "
                           "objective, which has no KL of its own",
                           o.beta, o.kl_warm_up_epochs, o.free_bits);
    });
    expects(o.estimator != gradient_estimator::doubly_reparameterized || o.objective == objective::importance, [&] {
        return fmt::format("estimator = doubly_reparameterized: expected objective = importance, it is {}",
                           to_string(o.objective));
    });
    expects(o.estimator == gradient_estimator::standard || o.free_bits == 0, [&] {
        return fmt::format("free_bits = {}: expected 0 with estimator = {}, which does not use the KL in closed form",
                           o.free_bits, to_string(o.estimator));
    });
    expects(!o.binarize || a.likelihood.family == likelihood_family::bernoulli, [&] {
        return fmt::format("binarize = true: expected the bernoulli likelihood, it is {}",
                           to_string(a.likelihood.family));
    });
    expects(o.optimizer.weight_decay == 0 || o.optimizer.kind == optimizer_kind::adamw, [&] {
        return fmt::format("optimizer.weight_decay = {}: expected 0 for {}, only adamw decays weights",
                           o.optimizer.weight_decay, to_string(o.optimizer.kind));
    });
    const std::vector<double>& boundaries = o.schedule.boundaries;
    expects(o.schedule.factors.size() == boundaries.size(), [&] {
        return fmt::format("schedule.factors has {} numbers: expected {}, one for each of the boundaries",
                           o.schedule.factors.size(), boundaries.size());
    });
    for (std::size_t i = 1; i < boundaries.size(); ++i)
        expects(boundaries[i] > boundaries[i - 1], [&] {
            return fmt::format("schedule.boundaries[{}] = {}: expected more than {}, the one before", i, boundaries[i],
                               boundaries[i - 1]);
        });
    if (!o.checkpoint.path.empty())
        io::require_safetensors("checkpoint.path", o.checkpoint.path);
    expects(o.precision == training_precision::float32 || ctx.where() == backend::cuda, [&] {
        return fmt::format("precision = {}: expected float32 for the {} back end, only CUDA devices have others",
                           to_string(o.precision), to_string(ctx.where()));
    });
}

void check_run(const architecture& a, const train_options& o, const data_source& data,
               const std::optional<data_source>& validation) {
    expects(!o.start || o.start->architecture() == a, [&] {
        return fmt::format("start has another architecture: expected the one to train, got\n{}",
                           o.start->architecture().summary());
    });
    expects(!o.batch || *o.batch <= data.rows(), [&] {
        return fmt::format("batch = {}: expected at most {}, the rows of {}", *o.batch, data.rows(),
                           data.description());
    });
    expects(o.patience == 0 || validation.has_value(), [&] {
        return fmt::format("patience = {}: expected 0 without validation data, which early stopping looks at",
                           o.patience);
    });
    if (validation)
        expects(validation->rows() >= 1,
                [&] { return fmt::format("{} has no rows: expected at least one", validation->description()); });
}

std::int64_t batch_of(const train_options& o, std::int64_t rows) {
    constexpr std::int64_t usual = 128;
    return o.batch.value_or(std::max<std::int64_t>(1, std::min(usual, rows)));
}

kernels::vae_settings settings_of(const train_options& o) {
    kernels::vae_settings s;
    s.objective = o.objective;
    s.estimator = o.estimator;
    s.samples = o.samples;
    s.free_bits = o.free_bits;
    s.binarize = o.binarize;
    s.seed = o.seed;
    s.precision = o.precision;
    s.optimizer = o.optimizer;
    s.average_decay = o.average_decay;
    return s;
}

kernels::step_schedule schedule_of(const train_options& o, std::int64_t step, std::int64_t steps_per_epoch) {
    const double factor = o.schedule.factor(step, steps_per_epoch, o.epochs * steps_per_epoch);
    const double warm_up = o.kl_warm_up_epochs * static_cast<double>(steps_per_epoch);
    const double share = warm_up > 0 ? std::min(1.0, static_cast<double>(step) / warm_up) : 1.0;
    return {o.optimizer.learning_rate * factor, o.beta * share};
}

memory_plan plan_memory(const context& ctx, const kernels::vae_engine& engine, const train_options& o,
                        kernels::row_storage storage, std::int64_t rows, std::int64_t validation_rows,
                        std::int64_t window_rows) {
    kernels::vae_capacity c{*o.batch, o.samples, {}, storage};
    const std::int64_t without_data = engine.bytes_needed(c);
    // A limit is one for data; what is free must hold everything.
    const std::int64_t for_data = available_bytes(ctx, o.memory_limit) - (o.memory_limit > 0 ? 0 : without_data);
    const auto bytes_of = [&](std::vector<std::int64_t> slots) {
        c.slots = std::move(slots);
        return engine.bytes_needed(c) - without_data;
    };
    memory_plan plan;
    plan.window_rows = window_rows == 0 ? rows : window_rows;
    if (const std::int64_t bytes = bytes_of({rows}); window_rows == 0 && bytes > for_data) {
        const double most = static_cast<double>(std::max<std::int64_t>(0, for_data)) * static_cast<double>(rows) /
                            static_cast<double>(bytes);
        plan.window_rows = std::clamp(static_cast<std::int64_t>(most) / *o.batch * *o.batch, *o.batch, rows);
    }
    plan.validation_resident =
        validation_rows > 0 && plan.window_rows == rows && bytes_of({rows, validation_rows}) <= for_data;
    c.slots = {plan.window_rows};
    if (plan.validation_resident)
        c.slots.push_back(validation_rows);
    plan.capacity = std::move(c);
    return plan;
}

double schedule::factor(std::int64_t step, std::int64_t steps_per_epoch, std::int64_t total_steps) const {
    double value = 1;
    if (form == kind::steps) {
        const double epoch = static_cast<double>(step) / static_cast<double>(steps_per_epoch);
        const auto passed = std::upper_bound(boundaries.begin(), boundaries.end(), epoch) - boundaries.begin();
        value = passed == 0 ? 1 : factors[passed - 1];
    }
    if (form == kind::cosine) {
        const double last = static_cast<double>(std::max<std::int64_t>(1, total_steps - 1));
        const double done = std::min(1.0, static_cast<double>(step) / last);
        value = final_factor + (1 - final_factor) * 0.5 * (1 + std::cos(std::numbers::pi * done));
    }
    if (step < warm_up_steps)
        value *= static_cast<double>(step + 1) / static_cast<double>(warm_up_steps);
    return value;
}

schedule schedule::burda() {
    schedule s;
    s.form = kind::steps;
    double epochs = 0, length = 1;
    for (int stage = 2; stage <= 8; ++stage, length *= 3) {
        epochs += length;
        s.boundaries.push_back(epochs);
        s.factors.push_back(std::pow(10.0, -(stage - 1) / 7.0));
    }
    return s;
}

} // namespace elbo::vae
