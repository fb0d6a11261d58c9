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
