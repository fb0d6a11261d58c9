#include "host/vae/train/options.hpp"

#include "host/check.hpp"
#include "host/io/model/model_archive.hpp"
#include "host/vae/train/fields.hpp"

#include <fmt/format.h>

namespace elbo::vae {

namespace {

void check_optimizer(const optimizer& o) {
    expects(o.weight_decay == 0 || o.kind == optimizer_kind::adamw, [&] {
        return fmt::format("optimizer.weight_decay = {}: expected 0 for {}, only adamw decays weights", o.weight_decay,
                           to_string(o.kind));
    });
}

void check_schedule(const schedule& s) {
    expects(s.factors.size() == s.boundaries.size(), [&] {
        return fmt::format("schedule.factors has {} numbers: expected {}, one for each of the boundaries",
                           s.factors.size(), s.boundaries.size());
    });
    for (std::size_t i = 1; i < s.boundaries.size(); ++i)
        expects(s.boundaries[i] > s.boundaries[i - 1], [&] {
            return fmt::format("schedule.boundaries[{}] = {}: expected more than {}, the one before", i,
                               s.boundaries[i], s.boundaries[i - 1]);
        });
}

void check_importance(const train_options& o) {
    expects(o.beta == 1 && o.kl_warm_up_epochs == 0 && o.free_bits == 0, [&] {
        return fmt::format("beta = {}, kl_warm_up_epochs = {}, free_bits = {}: expected 1, 0 and 0 for the importance "
                           "objective, which has no KL of its own",
                           o.beta, o.kl_warm_up_epochs, o.free_bits);
    });
}

void check_estimator(const train_options& o) {
    expects(o.estimator != gradient_estimator::doubly_reparameterized || o.objective == objective::importance, [&] {
        return fmt::format("estimator = doubly_reparameterized: expected objective = importance, it is {}",
                           to_string(o.objective));
    });
    expects(o.estimator == gradient_estimator::standard || o.free_bits == 0, [&] {
        return fmt::format("free_bits = {}: expected 0 with estimator = {}, which does not use the KL in closed form",
                           o.free_bits, to_string(o.estimator));
    });
}

} // namespace

void check_precision(const context& ctx, const train_options& o) {
    expects(o.precision == training_precision::float32 || ctx.where() == backend::cuda, [&] {
        return fmt::format("precision = {}: expected float32 for the {} back end, only CUDA devices have others",
                           to_string(o.precision), to_string(ctx.where()));
    });
}

void check_options(const architecture& a, const train_options& o) {
    a.check();
    check_fields(o);
    if (o.objective == objective::importance)
        check_importance(o);
    check_estimator(o);
    expects(!o.binarize || a.likelihood.family == likelihood_family::bernoulli, [&] {
        return fmt::format("binarize = true: expected the bernoulli likelihood, it is {}",
                           to_string(a.likelihood.family));
    });
    check_optimizer(o.optimizer);
    check_schedule(o.schedule);
    if (!o.checkpoint.path.empty())
        expects(io::kind_to_save(o.checkpoint.path) == io::model_file_kind::safetensors, [&] {
            return fmt::format("checkpoint.path = '{}': expected a name that ends in .safetensors", o.checkpoint.path);
        });
}

void check_against_data(const train_options& o, const data_source& data, const std::optional<data_source>& validation) {
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

void check_start(const architecture& a, const train_options& o) {
    expects(!o.start || o.start->architecture() == a, [&] {
        return fmt::format("start has another architecture: expected the one to train, got\n{}",
                           o.start->architecture().summary());
    });
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

std::string_view name_of(kernels::step_record::term t) {
    switch (t) {
    case kernels::step_record::term::none:
        return "nothing";
    case kernels::step_record::term::reconstruction:
        return "reconstruction term";
    case kernels::step_record::term::kl:
        return "KL term";
    case kernels::step_record::term::objective:
        return "objective";
    case kernels::step_record::term::gradient:
        return "gradient";
    }
    return "?";
}

step_plan::step_plan(const train_options& o, std::int64_t steps_per_epoch)
    : options_(o), steps_per_epoch_(steps_per_epoch) {}

kernels::step_schedule step_plan::at(std::int64_t step) const {
    const double factor = options_.schedule.factor(step, steps_per_epoch_, options_.epochs * steps_per_epoch_);
    const double warm_up = options_.kl_warm_up_epochs * static_cast<double>(steps_per_epoch_);
    const double share = warm_up > 0 ? std::min(1.0, static_cast<double>(step) / warm_up) : 1.0;
    return {options_.optimizer.learning_rate * factor, options_.beta * share};
}

} // namespace elbo::vae
