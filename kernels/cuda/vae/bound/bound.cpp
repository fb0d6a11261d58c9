#include "kernels/cuda/vae/bound/bound.hpp"

#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "kernels/math/likelihood/families.hpp"

namespace elbo::kernels::cuda {

namespace {

/// Groups of draws that a launch sums up: 2 million pairs, or a unit of draws of each row.
std::int64_t group_capacity(std::int64_t rows) {
    return std::max(std::int64_t(1) << 17, rows * bound_unit_groups);
}

bound_view carve_bound(const vae_layout& l, std::int64_t rows, carver& from) {
    const bound_plan plan = plan_bound(l);
    bound_view v{};
    v.panels = from.take<unsigned char>(plan.bytes());
    v.columns = from.take<float2>(plan.all_columns());
    v.capacity = group_capacity(rows);
    v.sums = from.take<bound_sum>(v.capacity);
    return v;
}

} // namespace

bool suits_bound(const internal::cuda_state& state, const vae_layout& l) {
    return has_bound_sizes(l) && !facts_of(l.architecture.likelihood.family).blocks && tensor_supported(state);
}

std::int64_t bound_memory::bytes(const internal::cuda_state& state, const vae_layout& l, std::int64_t rows) {
    if (!suits_bound(state, l))
        return 0;
    carver count(nullptr);
    carve_bound(l, rows, count);
    return count.used();
}

bound_memory::bound_memory(const state_pointer& state, const vae_layout& l, std::int64_t rows) {
    const std::int64_t size = bytes(*state, l, rows);
    if (size == 0)
        return;
    memory_ = device_buffer<unsigned char>(state, "the memory of the importance bound", size);
    carver from(memory_.data());
    view_ = carve_bound(l, rows, from);
}

} // namespace elbo::kernels::cuda
