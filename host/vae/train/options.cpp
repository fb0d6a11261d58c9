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

void check_precision(const context& ctx, const train_options& o) {
    expects(o.precision == training_precision::float32 || ctx.where() == backend::cuda, [&] {
        return fmt::format("precision = {}: expected float32 for the {} back end, only CUDA devices have others",
                           to_string(o.precision), to_string(ctx.where()));
    });
}

} // namespace

void check_options(const context& ctx, const architecture& a, const train_options& o) {
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
        io::require_safetensors("checkpoint.path", o.checkpoint.path);
    check_precision(ctx, o);
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

} // namespace elbo::vae
