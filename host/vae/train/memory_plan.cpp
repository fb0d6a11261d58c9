#include "host/vae/train/memory_plan.hpp"

#include "host/rows/row_access.hpp"

#include <algorithm>

namespace elbo::vae {

namespace {

/// Sizes of resident sets and what they take.
class budget {
public:
    budget(const context& ctx, const kernels::vae_engine& engine, const train_options& o, kernels::row_storage storage)
        : engine_(engine), base_{*o.batch, o.samples, {}, storage}, without_data_(engine.bytes_needed(base_)) {
        // A limit is one for data; what is free must hold everything.
        const std::int64_t available = available_bytes(ctx, o.memory_limit);
        for_data_ = o.memory_limit > 0 ? available : available - without_data_;
    }

    kernels::vae_capacity with(std::vector<std::int64_t> slots) const {
        kernels::vae_capacity c = base_;
        c.slots = std::move(slots);
        return c;
    }
    std::int64_t bytes(std::vector<std::int64_t> slots) const {
        return engine_.bytes_needed(with(std::move(slots))) - without_data_;
    }
    bool fits(std::vector<std::int64_t> slots) const { return bytes(std::move(slots)) <= for_data_; }
    /// The most rows of one set that fit.
    std::int64_t most_rows(std::int64_t rows) const {
        return static_cast<std::int64_t>(static_cast<double>(std::max<std::int64_t>(0, for_data_)) *
                                         static_cast<double>(rows) / static_cast<double>(bytes({rows})));
    }

private:
    const kernels::vae_engine& engine_;
    kernels::vae_capacity base_;
    std::int64_t without_data_;
    std::int64_t for_data_ = 0;
};

} // namespace

memory_plan plan_memory(const context& ctx, const kernels::vae_engine& engine, const train_options& o,
                        kernels::row_storage storage, std::int64_t rows, std::int64_t validation_rows,
                        std::int64_t window_rows) {
    const budget b(ctx, engine, o, storage);
    memory_plan plan;
    plan.window_rows = window_rows;
    const std::int64_t batch = *o.batch;
    if (window_rows == 0)
        plan.window_rows = b.fits({rows}) ? rows : std::clamp(b.most_rows(rows) / batch * batch, batch, rows);
    plan.validation_resident =
        validation_rows > 0 && plan.window_rows == rows && b.fits({plan.window_rows, validation_rows});
    plan.capacity = b.with(plan.validation_resident ? std::vector{plan.window_rows, validation_rows}
                                                    : std::vector{plan.window_rows});
    return plan;
}

} // namespace elbo::vae
