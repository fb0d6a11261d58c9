// Training: one run, from its options to the result.
#include "elbo/vae/train.hpp"

#include "host/check.hpp"
#include "host/io/errors.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/seconds.hpp"
#include "host/vae/fields.hpp"
#include "host/vae/rows.hpp"
#include "host/vae/train/checkpoint.hpp"
#include "host/vae/train/options.hpp"
#include "kernels/contract/phase.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::vae {

using namespace kernels;

namespace {

class training_run {
public:
    /// Reads all data once, and the checkpoint to resume from. Throws as train does.
    training_run(const context& ctx, const architecture& a, const data_source& data, const train_options& o,
                 const std::optional<data_source>& validation)
        : ctx_(ctx), architecture_(a), options_(o), rows_(data.rows()),
          steps_per_epoch_((data.rows() + *o.batch - 1) / *o.batch),
          feed_(ctx, data, a.dimensions, "the dimensions of the architecture"),
          engine_(make_vae_engine(ctx, make_layout(a))), begin_(std::chrono::steady_clock::now()), saved_(begin_) {
        if (validation)
            validation_.emplace(ctx, *validation, a.dimensions, "the dimensions of the architecture");
        description_ = describe(o, rows_, validation ? validation->rows() : 0);
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

    train_result run() {
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

private:
    // Before the first step

    void resume() {
        state_ = read_checkpoint(options_.resume, architecture_, description_);
        check_position(state_, rows_, batch(), options_.resume);
        seconds_before_ = state_.seconds;
    }

    void begin(const row_survey& survey) {
        const std::int64_t validation_rows = validation_ ? validation_->data().rows() : 0;
        const memory_plan memory =
            plan_memory(ctx_, *engine_, options_, survey.storage(), rows_, validation_rows, state_.window_rows);
        state_.window_rows = memory.window_rows;
        windows_.emplace(feed_, memory.window_rows);
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

    /// A path that cannot be written shows now, not after an hour. A file that is there stays until there is news: it
    /// may be the work of another run.
    void begin_checkpoint() {
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

    // Steps

    void run_epoch() {
        while (state_.step < steps_per_epoch_ && !stop_) {
            const std::int64_t window = state_.step * batch() / state_.window_rows;
            windows_->load(*engine_, window);
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
    vae_settings settings() const {
        vae_settings s = settings_of(options_);
        s.scale = state_.scale;
        s.scale_window = std::min(s.scale_window, rows_);
        return s;
    }

    void run_slice(std::int64_t window) {
        train_slice slice;
        slice.epoch = state_.epoch;
        slice.window = window;
        slice.window_rows = windows_->rows_of(window);
        slice.first_row = window * state_.window_rows;
        slice.first_position = state_.step * batch() - slice.first_row;
        slice.batch = batch();
        const std::int64_t left = (slice.window_rows - slice.first_position + slice.batch - 1) / slice.batch;
        for (std::int64_t i = 0; i < std::min(left, pace_.steps()); ++i)
            slice.steps.push_back(schedule_of(options_, done_steps() + i, steps_per_epoch_));
        const steady_time begin = std::chrono::steady_clock::now();
        const std::vector<step_record> records = in_phase("train", [&] { return engine_->train(settings(), slice); });
        const double seconds = seconds_since(begin);
        state_.sums.seconds += seconds;
        train_seconds_ += seconds;
        note_records(records, slice);
        pace_.took(static_cast<std::int64_t>(records.size()), seconds);
    }

    void note_records(const std::vector<step_record>& records, const train_slice& slice) {
        for (std::size_t i = 0; i < records.size(); ++i) {
            if (records[i].not_finite != step_record::term::none)
                fail_not_finite(records[i]);
            state_.sums.add(architecture_, records[i], slice.steps[i].learning_rate);
            state_.scale = records[i].scale;
            rows_trained_ += records[i].rows;
            ++state_.step;
        }
    }

    [[noreturn]] void fail_not_finite(const step_record& record) {
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

    // After an epoch

    void finish_epoch() {
        if (has_optimal_scale(architecture_))
            set_optimal_scale();
        ++state_.epoch;
        epoch_record record = state_.sums.record(architecture_);
        record.epoch = state_.epoch;
        record.step = state_.epoch * steps_per_epoch_;
        judge(record);
        state_.history.push_back(record);
        state_.step = 0;
        state_.sums = {};
        report(&state_.history.back());
        save_if_due(true);
    }

    /// σ² = mean squared error of the epoch's rows, while the parameters moved.
    void set_optimal_scale() {
        const double log_variance = state_.sums.optimal_log_variance(architecture_);
        optimizer_state optimizer = engine_->optimizer();
        std::vector<double> parameters = engine_->parameters();
        parameters[engine_->layout.own] = log_variance;
        if (!optimizer.average.empty())
            optimizer.average[engine_->layout.own] = log_variance;
        engine_->set_parameters(parameters);
        engine_->set_optimizer(optimizer);
    }

    mean_terms validation_terms() {
        return in_phase("validate", [&] {
            return validation_resident_ ? resident_terms(*engine_, 1, validation_->data().rows(), settings())
                                        : streamed_terms(*engine_, *validation_, settings());
        });
    }

    /// Validation looks at the averaged weights where there are such, since they are the result.
    void judge(epoch_record& record) {
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
                throw error(
                    fmt::format("the ELBO of the validation data is {} after epoch {}: a smaller learning rate or "
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

    bool out_of_patience() const {
        return options_.patience > 0 && state_.best.epoch > 0 && state_.epoch - state_.best.epoch >= options_.patience;
    }

    // In between

    /// An optimal scale is that of the last steps, since the epoch may have had few rows so far.
    double elbo_so_far() const {
        return state_.sums.terms(architecture_, optimal_log_variance(state_.scale, architecture_.dimensions)).elbo();
    }

    void report(const epoch_record* finished) {
        constexpr double report_seconds = 0.2;
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

    void save_if_due(bool epoch_ended) {
        const checkpoint_options& c = options_.checkpoint;
        const bool by_time = c.every_seconds > 0 && seconds_since(saved_) >= c.every_seconds;
        const bool by_epochs = epoch_ended && c.every_epochs > 0 && state_.epoch % c.every_epochs == 0;
        if (c.path.empty() || !(by_time || by_epochs))
            return;
        take_state();
        save();
    }

    void take_state() {
        state_.parameters = engine_->parameters();
        state_.optimizer = engine_->optimizer();
        state_.products = engine_->products();
        state_.seconds = elapsed();
    }

    /// A step can leave the range of the numbers without a term that is not finite; what was written before then stays.
    void save() {
        const bool finite =
            std::all_of(state_.parameters.begin(), state_.parameters.end(), [](double p) { return std::isfinite(p); });
        if (!finite)
            throw error(fmt::format("parameters are not finite after step {} (epoch {}): a smaller learning rate or "
                                    "clip_norm may help; '{}' keeps the last good state that was written",
                                    done_steps(), state_.epoch + 1, options_.checkpoint.path));
        write_checkpoint(options_.checkpoint.path, architecture_, description_, state_);
        saved_ = std::chrono::steady_clock::now();
    }

    // At the end

    std::vector<double> result_parameters() const {
        return state_.optimizer.average.empty() ? state_.parameters : state_.optimizer.average;
    }

    mean_terms terms_under(const std::vector<double>& parameters, const row_batches& feed) {
        engine_->set_parameters(parameters);
        return streamed_terms(*engine_, feed, settings());
    }

    train_result make_result(train_stop why) {
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
    void finish_optimal_scale(train_result& result) {
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

    std::int64_t done_steps() const { return state_.epoch * steps_per_epoch_ + state_.step; }
    double elapsed() const { return seconds_before_ + seconds_since(begin_); }
    std::int64_t batch() const { return *options_.batch; }

    const context& ctx_;
    const architecture& architecture_;
    const train_options& options_;
    std::int64_t rows_, steps_per_epoch_;
    row_batches feed_;
    std::optional<row_batches> validation_;
    std::unique_ptr<vae_engine> engine_;
    io::json description_;
    bool validation_resident_ = false;

    training_state state_; ///< parameters and optimiser in it are those of the engine only after take_state()
    std::optional<row_windows> windows_;
    slice_pace pace_;
    steady_time begin_, saved_;           ///< of this call, when its state was written last
    std::optional<steady_time> reported_; ///< none before the first report
    double seconds_before_ = 0;
    std::int64_t rows_trained_ = 0; ///< by this call
    double train_seconds_ = 0;
    bool stop_ = false;
};

} // namespace

train_result train(const context& ctx, const architecture& a, const data_source& data, const train_options& options,
                   const std::optional<data_source>& validation) {
    check_options(ctx, a, options);
    check_run(a, options, data, validation);
    train_options now = options;
    now.batch = batch_of(options, data.rows());
    architecture named = a;
    if (named.column_names.empty())
        named.column_names = data.column_names();
    return training_run(ctx, named, data, now, validation).run();
}

} // namespace elbo::vae
