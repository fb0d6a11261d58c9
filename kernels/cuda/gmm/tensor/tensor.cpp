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

} // namespace elbo::kernels::cuda
