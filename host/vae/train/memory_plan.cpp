#include "host/vae/train/memory_plan.hpp"

#include "host/rows/row_access.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace elbo::vae {

memory_plan plan_memory(const context& ctx, const kernels::vae_engine& engine, const train_options& o,
                        kernels::row_storage storage, std::int64_t rows, std::int64_t validation_rows,
                        std::int64_t window_rows) {
    kernels::vae_capacity c{*o.batch, o.samples, {}, storage};
    const std::int64_t without_data = engine.bytes_needed(c);
    // A limit is one for data; what is free must hold everything.
    const std::int64_t for_data = available_bytes(ctx, o.memory_limit) - (o.memory_limit > 0 ? 0 : without_data);
    const auto bytes_of = [&](std::vector<std::int64_t> slots) {
        c.slots = std::move(slots);
        return engine.bytes_needed(c) - without_data;
    };
    memory_plan plan;
    plan.window_rows = window_rows == 0 ? rows : window_rows;
    if (const std::int64_t bytes = bytes_of({rows}); window_rows == 0 && bytes > for_data) {
        const double most = static_cast<double>(std::max<std::int64_t>(0, for_data)) * static_cast<double>(rows) /
                            static_cast<double>(bytes);
        plan.window_rows = std::clamp(static_cast<std::int64_t>(most) / *o.batch * *o.batch, *o.batch, rows);
    }
    plan.validation_resident =
        validation_rows > 0 && plan.window_rows == rows && bytes_of({rows, validation_rows}) <= for_data;
    c.slots = {plan.window_rows};
    if (plan.validation_resident)
        c.slots.push_back(validation_rows);
    plan.capacity = std::move(c);
    return plan;
}

} // namespace elbo::vae
