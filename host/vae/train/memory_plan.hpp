// How many rows are kept on the device at a time.
#pragma once

#include "elbo/context.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_engine.hpp"

namespace elbo::vae {

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
