// Options of training: whether they are allowed, and what they mean to an engine.
#pragma once

#include "elbo/context.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <cstdint>

namespace elbo::vae {

/// Throws invalid_argument for options that no data can mend.
void check_options(const context& ctx, const architecture& a, const train_options& o);

/// Rows of a step on data of so many rows.
std::int64_t batch_of(const train_options& o, std::int64_t rows);

kernels::vae_settings settings_of(const train_options& o);

} // namespace elbo::vae
