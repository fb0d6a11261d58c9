// One run of training under way.
#pragma once

#include "host/seconds.hpp"
#include "host/vae/rows.hpp"
#include "host/vae/train/checkpoint.hpp"
#include "host/vae/train/memory_plan.hpp"
#include "host/vae/train/options.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

namespace elbo::vae {

/// Steps of a slice such that it takes about slice_seconds: often enough for progress, interrupts and checkpoints,
/// seldom enough that waiting for a device costs nothing. No result depends on it.
class slice_pace {
public:
    std::int64_t steps() const { return steps_; }
    void took(std::int64_t steps, double seconds) {
        const double wanted = static_cast<double>(steps) * slice_seconds / std::max(seconds, 1e-6);
        steps_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(wanted), 1, 8 * steps_);
        steps_ = std::min(steps_, most_steps);
    }

private:
    static constexpr double slice_seconds = 0.3;
    static constexpr std::int64_t most_steps = 1 << 16;
    std::int64_t steps_ = 1;
};

class training_run {
public:
    /// Reads all data once, and the checkpoint to resume from. Throws as train does.
    training_run(const context& ctx, const architecture& a, const data_source& data, const train_options& o,
                 const std::optional<data_source>& validation);
    train_result run();

private:
    // Before the first step
    void begin(const row_survey& survey);
    void begin_checkpoint();
    void resume();

    // Steps
    void run_epoch();
    void load_window(std::int64_t window);
    kernels::step_schedule schedule_of(std::int64_t step) const;
    void run_slice(std::int64_t window);
    void note_records(const std::vector<kernels::step_record>& records, const kernels::train_slice& slice);
    [[noreturn]] void fail_not_finite(const kernels::step_record& record);

    // After an epoch
    void finish_epoch();
    void set_optimal_scale();
    epoch_record make_record() const;
    double elbo_so_far() const;
    void judge(epoch_record& record);
    bool out_of_patience() const;

    // In between
    void report(const epoch_record* finished);
    void save_if_due(bool epoch_ended);
    void save();
    void take_state();

    // At the end
    std::vector<double> result_parameters() const;
    train_result make_result(train_stop why);
    void finish_optimal_scale(train_result& result);

    std::int64_t windows() const { return (rows_ + state_.window_rows - 1) / state_.window_rows; }
    std::int64_t rows_of(std::int64_t window) const;
    std::int64_t done_steps() const { return state_.epoch * steps_per_epoch_ + state_.step; }
    double elapsed() const { return seconds_before_ + seconds_since(begin_); }
    std::int64_t batch() const { return *options_.batch; }
    kernels::vae_settings settings() const;
    mean_terms validation_terms();
    mean_terms terms_under(const std::vector<double>& parameters, const row_batches& feed);

    const context& ctx_;
    const architecture& architecture_;
    const train_options& options_;
    std::int64_t rows_, steps_per_epoch_;
    row_batches feed_;
    std::optional<row_batches> validation_;
    std::unique_ptr<kernels::vae_engine> engine_;
    io::json description_;
    bool validation_resident_ = false;

    training_state state_; ///< parameters and optimiser in it are those of the engine only after take_state()
    std::int64_t loaded_window_ = -1;
    std::unique_ptr<row_loader> loader_;
    slice_pace pace_;
    steady_time begin_, saved_;           ///< of this call, when its state was written last
    std::optional<steady_time> reported_; ///< none before the first report
    double seconds_before_ = 0;
    std::int64_t rows_trained_ = 0; ///< by this call
    double train_seconds_ = 0;
    bool stop_ = false;
};

} // namespace elbo::vae
