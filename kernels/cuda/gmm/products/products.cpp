#include "kernels/cuda/gmm/products/products.hpp"

#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/gmm/products/layout.hpp"

namespace elbo::kernels::cuda {

namespace {

product_view carve_products(const gmm_shape& s, carver& from) {
    const product_plan plan = plan_products(s);
    const std::int64_t rows = plan.units * unit_rows;
    product_view v{};
    // The large ones first: all of them begin at a sector of memory.
    v.densities = from.take<float>(rows * s.components);
    v.rows = from.take<unsigned char>(rows / product_lines * plan.stages * operand_bytes);
    v.moments = product_form_of(s.family) == product_form::whitened
                    ? from.take<unsigned char>(rows / product_lines * plan.stages * operand_bytes)
                    : v.rows;
    v.weights = from.take<unsigned char>(plan.blocks * plan.stages * operand_bytes);
    v.parts = from.take<float4>(plan.ranges * rows);
    v.shares = from.take<float4>(rows);
    v.row_scales = from.take<float4>(rows);
    v.columns = from.take<float4>(plan.blocks * product_lines);
    v.near = from.take<int>(s.components);
    return v;
}

} // namespace

std::int64_t product_memory::bytes(const gmm_shape& shape) {
    carver count(nullptr);
    carve_products(shape, count);
    return count.used();
}

product_memory::product_memory(const state_pointer& state, const gmm_shape& shape)
    : memory_(state, "the memory of the products", bytes(shape)) {
    carver from(memory_.data());
    view_ = carve_products(shape, from);
}

} // namespace elbo::kernels::cuda
