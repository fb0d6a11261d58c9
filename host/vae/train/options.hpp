// Options of training: whether they are allowed, and what they mean to an engine.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <string_view>

namespace elbo::vae {

/// Throws invalid_argument for options that no data can mend.
void check_options(const architecture& a, const train_options& o);
/// The same for options that must fit the data.
void check_against_data(const train_options& o, const data_source& data, const std::optional<data_source>& validation);
/// Throws invalid_argument unless `a` is the architecture of the model that options start from.
void check_start(const architecture& a, const train_options& o);

/// Throws invalid_argument for a precision that the device does not have.
void check_precision(const context& ctx, const train_options& o);

/// A number that must be at least `least`. Throws invalid_argument.
void check_at_least(std::string_view name, std::int64_t value, std::int64_t least);
/// The same with an upper end, which keeps products of such numbers in 64 bits and numbers of draws in 32.
void check_range(std::string_view name, std::int64_t value, std::int64_t least, std::int64_t most);
/// Draws of one row.
inline constexpr std::int64_t most_training_draws = std::int64_t(1) << 20, most_draws = std::int64_t(1) << 31;

/// Rows of a step on data of so many rows.
std::int64_t batch_of(const train_options& o, std::int64_t rows);

kernels::vae_settings settings_of(const train_options& o);

/// What is not finite, for messages.
std::string_view name_of(kernels::step_record::term t);

/// Learning rate and β of every step of a run.
class step_plan {
public:
    step_plan(const train_options& o, std::int64_t steps_per_epoch);
    kernels::step_schedule at(std::int64_t step) const;

private:
    const train_options& options_;
    std::int64_t steps_per_epoch_;
};

} // namespace elbo::vae
