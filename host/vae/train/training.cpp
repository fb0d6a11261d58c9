#include "host/vae/train/training.hpp"

#include "host/io/errors.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/vae/train/fields.hpp"
#include "kernels/contract/phase.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

namespace elbo::vae {

using namespace kernels;

namespace {

constexpr double report_seconds = 0.2;

} // namespace

training_run::training_run(const context& ctx, const architecture& a, const data_source& data, const train_options& o,
                           const std::optional<data_source>& validation)
    : ctx_(ctx), architecture_(a), options_(o), rows_(data.rows()),
      steps_per_epoch_((data.rows() + *o.batch - 1) / *o.batch),
      feed_(ctx, data, a.dimensions, "the dimensions of the architecture"),
      engine_(make_vae_engine(ctx, make_layout(a))), begin_(std::chrono::steady_clock::now()), saved_(begin_) {
    if (validation)
        validation_.emplace(ctx, *validation, a.dimensions, "the dimensions of the architecture");
    description_ = describe(o, {rows_, validation ? validation->rows() : 0});
    // A checkpoint that does not fit is found before the data is read.
    if (!o.resume.empty())
        resume();
    row_survey survey = feed_.survey(*engine_);
    if (validation_) {
        const row_survey others = validation_->survey(*engine_);
        survey.all_bits &= others.all_bits;
        survey.all_bytes &= others.all_bytes;
    }
    begin(survey);
}

void training_run::resume() {
    state_ = read_checkpoint(options_.resume, architecture_, description_);
    const bool inside = state_.epoch >= 0 && state_.step >= 0 && state_.step < steps_per_epoch_;
    const bool windows_end_with_steps =
        state_.window_rows == rows_ ||
        (state_.window_rows >= 1 && state_.window_rows < rows_ && state_.window_rows % batch() == 0);
    if (!inside || !windows_end_with_steps)
        io::fail(options_.resume, fmt::format("position: epoch {}, step {}, window_rows {}: expected a step below {} "
                                              "and windows that are multiples of the batch",
                                              state_.epoch, state_.step, state_.window_rows, steps_per_epoch_));
    seconds_before_ = state_.seconds;
}

void training_run::begin(const row_survey& survey) {
    const std::int64_t validation_rows = validation_ ? validation_->data().rows() : 0;
    const memory_plan memory =
        plan_memory(ctx_, *engine_, options_, survey.storage(), rows_, validation_rows, state_.window_rows);
    state_.window_rows = memory.window_rows;
    validation_resident_ = memory.validation_resident;
    engine_->reserve(memory.capacity);
    if (validation_resident_)
        row_loader(*validation_).load(*engine_, 1, validation_rows);
    if (!options_.resume.empty()) {
        engine_->set_parameters(state_.parameters);
        engine_->set_optimizer(state_.optimizer);
    } else {
        const model start = options_.start ? *options_.start : model(architecture_, options_.seed, survey.mean);
        engine_->set_parameters(start.parameters());
    }
    begin_checkpoint();
}

/// A path that cannot be written shows now, not after an hour. A file that is there stays until there is news: it may
/// be the work of another run.
void training_run::begin_checkpoint() {
    const std::string& path = options_.checkpoint.path;
    if (path.empty())
        return;
    if (std::filesystem::exists(path)) {
        const io::atomic_file probe(path);
        return;
    }
    take_state();
    save();
}

train_result training_run::run() {
    train_stop why = train_stop::completed;
    while (state_.epoch < options_.epochs) {
        if (out_of_patience()) {
            why = train_stop::early_stopping;
            break;
        }
        run_epoch();
        if (stop_ && state_.epoch < options_.epochs) {
            why = train_stop::interrupted;
            break;
        }
    }
    take_state();
    if (!options_.checkpoint.path.empty())
        save();
    return make_result(why);
}

// Steps -------------------------------------------------------------------------------------------------------------

std::int64_t training_run::rows_of(std::int64_t window) const {
    return std::min(state_.window_rows, rows_ - window * state_.window_rows);
}

/// Windows follow each other in file order; a window that is still there from the epoch before is not loaded again.
void training_run::load_window(std::int64_t window) {
    if (loaded_window_ == window)
        return;
    if (!loader_ || loaded_window_ > window)
        loader_ = std::make_unique<row_loader>(feed_), loaded_window_ = -1;
    loader_->skip((window - loaded_window_ - 1) * state_.window_rows);
    loader_->load(*engine_, 0, rows_of(window));
    loaded_window_ = window;
    if (windows() == 1)
        loader_.reset(); // it will not be read again
}

void training_run::run_epoch() {
    while (state_.step < steps_per_epoch_ && !stop_) {
        const std::int64_t window = state_.step * batch() / state_.window_rows;
        load_window(window);
        run_slice(window);
        if (state_.step == steps_per_epoch_)
            break;
        report(nullptr);
        save_if_due(false);
    }
    if (state_.step == steps_per_epoch_)
        finish_epoch();
}

/// A running scale does not look back on the same rows twice.
vae_settings training_run::settings() const {
    vae_settings s = settings_of(options_);
    s.scale = state_.scale;
    s.scale_window = std::min(s.scale_window, rows_);
    return s;
}

/// Learning rate and β of a step.
step_schedule training_run::schedule_of(std::int64_t step) const {
    const double factor = options_.schedule.factor(step, steps_per_epoch_, options_.epochs * steps_per_epoch_);
    const double warm_up = options_.kl_warm_up_epochs * static_cast<double>(steps_per_epoch_);
    const double share = warm_up > 0 ? std::min(1.0, static_cast<double>(step) / warm_up) : 1.0;
    return {options_.optimizer.learning_rate * factor, options_.beta * share};
}

void training_run::run_slice(std::int64_t window) {
    train_slice slice;
    slice.epoch = state_.epoch;
    slice.window = window;
    slice.window_rows = rows_of(window);
    slice.first_row = window * state_.window_rows;
    slice.first_position = state_.step * batch() - slice.first_row;
    slice.batch = batch();
    const std::int64_t left = (slice.window_rows - slice.first_position + slice.batch - 1) / slice.batch;
    for (std::int64_t i = 0; i < std::min(left, pace_.steps()); ++i)
        slice.steps.push_back(schedule_of(done_steps() + i));
    const steady_time begin = std::chrono::steady_clock::now();
    const std::vector<step_record> records = in_phase("train", [&] { return engine_->train(settings(), slice); });
    const double seconds = seconds_since(begin);
    state_.sums.seconds += seconds;
    train_seconds_ += seconds;
    note_records(records, slice);
    pace_.took(static_cast<std::int64_t>(records.size()), seconds);
}

void training_run::note_records(const std::vector<step_record>& records, const train_slice& slice) {
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (records[i].not_finite != step_record::term::none)
            fail_not_finite(records[i]);
        state_.sums.add(architecture_, records[i], slice.steps[i].learning_rate);
        state_.scale = records[i].scale;
        rows_trained_ += records[i].rows;
        ++state_.step;
    }
}

void training_run::fail_not_finite(const step_record& record) {
    std::string kept = "the checkpoint option keeps the state before such a step";
    if (!options_.checkpoint.path.empty()) {
        take_state();
        save();
        kept = fmt::format("the state before it is in '{}'", options_.checkpoint.path);
    }
    throw error(fmt::format("the {} is not finite at step {} (step {} of epoch {}): a smaller learning rate or "
                            "clip_norm may help; {}",
                            name_of(record.not_finite), done_steps() + 1, state_.step + 1, state_.epoch + 1, kept));
}

// After an epoch ----------------------------------------------------------------------------------------------------

void training_run::finish_epoch() {
    if (has_optimal_scale(architecture_))
        set_optimal_scale();
    ++state_.epoch;
    epoch_record record = make_record();
    judge(record);
    state_.history.push_back(record);
    state_.step = 0;
    state_.sums = {};
    report(&state_.history.back());
    save_if_due(true);
}

/// σ² = mean squared error of the epoch's rows, while the parameters moved.
void training_run::set_optimal_scale() {
    const double log_variance = state_.sums.optimal_log_variance(architecture_);
    optimizer_state optimizer = engine_->optimizer();
    std::vector<double> parameters = engine_->parameters();
    parameters[engine_->layout.own] = log_variance;
    if (!optimizer.average.empty())
        optimizer.average[engine_->layout.own] = log_variance;
    engine_->set_parameters(parameters);
    engine_->set_optimizer(optimizer);
}

epoch_record training_run::make_record() const {
    const epoch_sums& s = state_.sums;
    const double log_variance = s.optimal_log_variance(architecture_);
    const mean_terms terms = s.terms(architecture_, log_variance);
    epoch_record r;
    r.epoch = state_.epoch;
    r.step = state_.epoch * steps_per_epoch_;
    r.train_elbo = terms.elbo();
    r.train_reconstruction = terms.reconstruction;
    r.train_kl = terms.kl;
    r.train_objective = s.mean_objective(architecture_, log_variance);
    r.learning_rate = s.learning_rate;
    r.gradient_norm = s.gradient_norm;
    r.samples_per_second = static_cast<double>(s.rows) / std::max(s.seconds, 1e-9);
    return r;
}

mean_terms training_run::validation_terms() {
    return in_phase("validate", [&] {
        return validation_resident_ ? resident_terms(*engine_, 1, validation_->data().rows(), settings())
                                    : streamed_terms(*engine_, *validation_, settings());
    });
}

/// Validation looks at the averaged weights where there are such, since they are the result.
void training_run::judge(epoch_record& record) {
    if (validation_) {
        mean_terms terms;
        const optimizer_state optimizer = options_.average_decay > 0 ? engine_->optimizer() : optimizer_state();
        if (optimizer.average.empty()) {
            terms = validation_terms();
        } else {
            const std::vector<double> parameters = engine_->parameters();
            engine_->set_parameters(optimizer.average);
            terms = validation_terms();
            engine_->set_parameters(parameters);
            engine_->set_optimizer(optimizer);
        }
        if (!std::isfinite(terms.elbo()))
            throw error(fmt::format("the ELBO of the validation data is {} after epoch {}: a smaller learning rate or "
                                    "clip_norm may help; a checkpoint keeps the last state that was written to it",
                                    terms.elbo(), record.epoch));
        record.validation_elbo = terms.elbo();
        record.validation_reconstruction = terms.reconstruction;
        record.validation_kl = terms.kl;
        if (state_.best.epoch == 0 || terms.elbo() > state_.best.elbo) {
            state_.best.epoch = record.epoch;
            state_.best.elbo = terms.elbo();
            if (options_.patience > 0) {
                take_state();
                state_.best.parameters = result_parameters();
            }
        }
    }
    record.seconds = elapsed();
}

bool training_run::out_of_patience() const {
    return options_.patience > 0 && state_.best.epoch > 0 && state_.epoch - state_.best.epoch >= options_.patience;
}

// In between --------------------------------------------------------------------------------------------------------

/// An optimal scale is that of the last steps, since the epoch may have had few rows so far.
double training_run::elbo_so_far() const {
    return state_.sums.terms(architecture_, optimal_log_variance(state_.scale, architecture_.dimensions)).elbo();
}

void training_run::report(const epoch_record* finished) {
    const bool early = reported_ && seconds_since(*reported_) < report_seconds;
    if (!options_.callback || (!finished && early))
        return;
    reported_ = std::chrono::steady_clock::now();
    train_progress p;
    p.epochs = options_.epochs;
    p.epoch = finished ? finished->epoch : state_.epoch + 1;
    p.step = done_steps();
    p.total_steps = options_.epochs * steps_per_epoch_;
    p.elbo = finished ? finished->train_elbo : elbo_so_far();
    p.samples_per_second = finished ? finished->samples_per_second
                                    : static_cast<double>(state_.sums.rows) / std::max(state_.sums.seconds, 1e-9);
    const double rows_left = static_cast<double>(options_.epochs) * static_cast<double>(rows_) -
                             static_cast<double>(state_.epoch) * static_cast<double>(rows_) -
                             static_cast<double>(state_.sums.rows);
    p.seconds_left = rows_left / p.samples_per_second;
    p.finished = finished;
    if (!options_.callback(p))
        stop_ = true;
}

void training_run::save_if_due(bool epoch_ended) {
    const checkpoint_options& c = options_.checkpoint;
    const bool by_time = c.every_seconds > 0 && seconds_since(saved_) >= c.every_seconds;
    const bool by_epochs = epoch_ended && c.every_epochs > 0 && state_.epoch % c.every_epochs == 0;
    if (c.path.empty() || !(by_time || by_epochs))
        return;
    take_state();
    save();
}

void training_run::take_state() {
    state_.parameters = engine_->parameters();
    state_.optimizer = engine_->optimizer();
    state_.seconds = elapsed();
}

/// A step can leave the range of the numbers without a term that is not finite; what was written before then stays.
void training_run::save() {
    const bool finite =
        std::all_of(state_.parameters.begin(), state_.parameters.end(), [](double p) { return std::isfinite(p); });
    if (!finite)
        throw error(fmt::format("parameters are not finite after step {} (epoch {}): a smaller learning rate or "
                                "clip_norm may help; '{}' keeps the last good state that was written",
                                done_steps(), state_.epoch + 1, options_.checkpoint.path));
    write_checkpoint(options_.checkpoint.path, architecture_, description_, state_);
    saved_ = std::chrono::steady_clock::now();
}

// At the end --------------------------------------------------------------------------------------------------------

std::vector<double> training_run::result_parameters() const {
    return state_.optimizer.average.empty() ? state_.parameters : state_.optimizer.average;
}

mean_terms training_run::terms_under(const std::vector<double>& parameters, const row_batches& feed) {
    engine_->set_parameters(parameters);
    return streamed_terms(*engine_, feed, settings());
}

train_result training_run::make_result(train_stop why) {
    const bool best = !state_.best.parameters.empty();
    train_result r{model(architecture_, best ? state_.best.parameters : result_parameters())};
    r.stopped = why;
    r.steps = done_steps();
    r.epochs = state_.epoch;
    r.best_epoch = state_.best.epoch > 0 ? state_.best.epoch : state_.epoch;
    if (best)
        r.elbo = state_.best.elbo;
    else if (state_.sums.rows > 0) // stopped inside an epoch
        r.elbo = validation_ ? terms_under(r.model.parameters(), *validation_).elbo() : elbo_so_far();
    else if (!state_.history.empty())
        r.elbo = state_.history.back().validation_elbo.value_or(state_.history.back().train_elbo);
    r.history = std::move(state_.history);
    if (has_optimal_scale(architecture_))
        finish_optimal_scale(r);
    r.seconds = elapsed();
    r.samples_per_second = static_cast<double>(rows_trained_) / std::max(train_seconds_, 1e-9);
    return r;
}

/// The closed form for the parameters that are returned, which no longer move.
void training_run::finish_optimal_scale(train_result& result) {
    std::vector<double> parameters = result.model.parameters();
    const mean_terms terms = terms_under(parameters, feed_);
    const double log_variance = std::log(terms.squared_error / static_cast<double>(architecture_.dimensions));
    if (!std::isfinite(log_variance))
        throw error(fmt::format("the mean squared error of the training data is {}: expected a positive number for "
                                "likelihood.scale = optimal",
                                terms.squared_error));
    parameters[engine_->layout.own] = log_variance;
    result.model = model(architecture_, std::move(parameters));
    if (validation_)
        result.elbo = terms_under(result.model.parameters(), *validation_).elbo();
}

} // namespace elbo::vae
