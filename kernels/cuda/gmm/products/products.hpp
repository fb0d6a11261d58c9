// Engine for the cheap families on the tensor cores of compute capability 9.0, where all means lie near the origin:
// log-densities as products of rows and components in fp16 pieces, row rule, sums as products of responsibilities and
// rows. Float32 rows without labels. What decides bits depends on (family, d, K) and the parameters only.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/device_views.hpp"

#include <vector_types.h>

#include <cstdint>

namespace elbo::kernels::cuda {

/// Its device memory; none for shapes that it does not run. Operands are those of layout.hpp.
struct product_view {
    int* near;              ///< [K] whether the component is near enough
    unsigned char* weights; ///< [blocks of 128 components][stages] operands
    float4* columns; ///< [blocks x 128]: ‖Uᵀμ‖² or ‖μ‖², offset, u or a second inverse, inverse of their power
    unsigned char* rows;    ///< [slab rows / 128][stages] operands
    unsigned char* moments; ///< the same of x, where rows has other terms; else rows
    float4* row_scales;     ///< [slab rows]: inverse of the power of two and norm, of the terms and of x
    float4* parts;          ///< [ranges x slab rows]: max lp, Σ 2^(lp − max), spread
    float4* shares;         ///< [slab rows]: max lp, w / Σ, inverse of the power of two, ‖x‖²
    float* densities;       ///< [K x slab rows]
};

class product_memory {
public:
    product_memory() = default;
    product_memory(const state_pointer& state, const gmm_shape& shape);
    static std::int64_t bytes(const gmm_shape& shape);
    explicit operator bool() const { return view_.near; }
    const product_view& view() const { return view_; }

private:
    device_buffer<unsigned char> memory_;
    product_view view_{};
};

/// E-step and sums over the rows, where all components are near; else nothing but memory.near, which tells the other
/// variant. `blocks` is the grid of the log-densities and does not change the result.
void accumulate_products(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                         const device_rows<float>& rows, const product_view& memory, const device_sums& sums,
                         std::int64_t blocks);

} // namespace elbo::kernels::cuda
