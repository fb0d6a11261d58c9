// Options of training: whether they are allowed, what they mean to an engine, and how many rows it keeps at a time.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace elbo::vae {

/// Throws invalid_argument for options that no data can mend.
void check_options(const context& ctx, const architecture& a, const train_options& o);

/// The same for options that do not suit the architecture or the data of a run.
void check_run(const architecture& a, const train_options& o, const data_source& data,
               const std::optional<data_source>& validation);

/// Rows of a step on data of so many rows.
std::int64_t batch_of(const train_options& o, std::int64_t rows);

kernels::vae_settings settings_of(const train_options& o);

/// Learning rate and β of a step.
kernels::step_schedule schedule_of(const train_options& o, std::int64_t step, std::int64_t steps_per_epoch);

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

struct memory_plan {
    std::int64_t window_rows = 0;     ///< training rows taken at a time; all of them where they fit
    bool validation_resident = false; ///< else streamed
    kernels::vae_capacity capacity;   ///< what the engine is to reserve
};

/// `window_rows` > 0: a window that a checkpoint prescribes. Otherwise all rows that fit, or the largest number of them
/// that is a multiple of the batch, so that a window ends where a step ends.
memory_plan plan_memory(const context& ctx, const kernels::vae_engine& engine, const train_options& o,
                        kernels::row_storage storage, std::int64_t rows, std::int64_t validation_rows,
                        std::int64_t window_rows);

} // namespace elbo::vae
