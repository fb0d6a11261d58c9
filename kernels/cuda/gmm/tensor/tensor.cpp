#include "kernels/cuda/gmm/tensor/tensor.hpp"

#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"

namespace elbo::kernels::cuda {

namespace {

tensor_view carve_tensor(const gmm_shape& s, carver& from) {
    const tensor_plan plan = plan_tensor(s);
    const std::int64_t rows = plan.units * unit_rows;
    tensor_view v{};
    v.panels = from.take<unsigned char>(plan.panels * plan.panel_bytes);
    v.mean_sizes = from.take<float>(s.components);
    v.sizes = from.take<float>(rows);
    v.weights = from.take<float>(4 * rows);
    if (is_wide(s.dimensions)) {
        const wide_shape w(s.dimensions);
        v.wide.rows = from.take<unsigned char>(rows / wide_block * w.halves * operand_bytes);
        v.wide.row_scales = from.take<float>(rows);
        v.wide.shifts = from.take<float>(s.components * w.panels * wide_block);
        v.wide.factor_powers = from.take<float2>(s.components);
        v.wide.exponents = from.take<int>(s.components * plan.units);
        v.wide.counts = from.take<int>(s.components * plan.units);
        v.wide.chosen = from.take<std::uint16_t>(s.components * rows);
        v.wide.moments = from.take<unsigned char>(wide_pairs(s.dimensions, s.components * plan.units) *
                                                  wide_moment_bytes(s.dimensions));
    }
    return v;
}

home_view carve_homes(const gmm_shape& s, std::int64_t rows, carver& from) {
    home_view v{};
    if (!suits_screen(s) || !pays_screen(s, rows))
        return v;
    const tensor_plan plan = plan_tensor(s);
    const std::int64_t tiles = blocks_for(rows, screen_rows);
    v.homes = from.take<std::uint16_t>(rows);
    v.order = from.take<std::uint16_t>(rows);
    v.counts = from.take<int>(tiles);
    v.lists = from.take<std::uint16_t>(tiles * (plan.panels / 2));
    v.slabs = from.take<slab_screen>(blocks_for(rows, plan.units * unit_rows));
    v.separations = from.take<float>(s.components * s.components);
    // component_bounds, four numbers
    v.bounds = reinterpret_cast<component_bounds*>(from.take<float>(4 * s.components));
    return v;
}

} // namespace

bool tensor_supported(const internal::cuda_state& state) {
    if (!tensor_built() || state.shared_bytes < tensor_shared_limit)
        return false;
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, state.device), "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, state.device), "cudaDeviceGetAttribute");
    return major == 9 && minor == 0; // code for 90a runs on no other device
}

std::int64_t tensor_memory::bytes(const gmm_shape& shape) {
    carver count(nullptr);
    carve_tensor(shape, count);
    return count.used();
}

tensor_memory::tensor_memory(const state_pointer& state, const gmm_shape& shape)
    : memory_(state, "the memory of the tensor engine", bytes(shape)) {
    carver from(memory_.data());
    view_ = carve_tensor(shape, from);
}

std::int64_t row_homes::bytes(const gmm_shape& shape, std::int64_t rows) {
    carver count(nullptr);
    carve_homes(shape, rows, count);
    return count.used();
}

row_homes::row_homes(const state_pointer& state, const gmm_shape& shape, std::int64_t rows) : state_(state) {
    const std::int64_t size = bytes(shape, rows);
    if (size == 0)
        return;
    memory_ = device_buffer<unsigned char>(state, "the homes of rows", size);
    carver from(memory_.data());
    view_ = carve_homes(shape, rows, from);
    const std::int64_t slabs = blocks_for(rows, tensor_slab_rows(shape));
    check(cudaMemsetAsync(view_.slabs, 0, static_cast<std::size_t>(slabs) * sizeof(slab_screen), state->stream),
          "cudaMemsetAsync");
    forget(0, rows);
}

void row_homes::forget(std::int64_t first, std::int64_t rows) const {
    if (view_.homes) // every byte of no_home is 0xff
        check(cudaMemsetAsync(view_.homes + first, 0xff, static_cast<std::size_t>(rows) * sizeof(std::uint16_t),
                              state_->stream),
              "cudaMemsetAsync");
}

} // namespace elbo::kernels::cuda
