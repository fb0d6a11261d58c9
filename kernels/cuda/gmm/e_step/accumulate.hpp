// E-step and statistics: what the engine calls, one function for each way to run it.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/m_step/m_step.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cuda {

/// Memory for the rows of the slab variant.
template <class T>
struct slab_view {
    T* densities; ///< [slab rows x K]: lp, then weight · r
    T* whitened;  ///< [slab rows x padded(d)], tied only
};
constexpr std::int64_t whitened_size(const gmm_shape& s, std::int64_t rows) {
    return form_of(s.family) == density_form::whitened ? rows * padded(s.dimensions) : 0;
}

/// Blocks of a cluster that the fused engine can have on the device: most_ranks, or 1 where the device knows no
/// clusters or runs code that was compiled for one that does not.
std::int64_t largest_cluster(const internal::cuda_state& state);

/// Fused engine. `blocks` is the grid; it does not change the result. `near` [K]: not null where the products
/// (products/products.hpp) have done the work if all of them are set.
template <class T>
void accumulate_fused(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                      const device_rows<T>& rows, const device_sums& sums, const device_abilities& device,
                      std::int64_t blocks, const int* near = nullptr);

/// Register engine, float32 alone; rows without labels.
void accumulate_registers(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                          const device_rows<float>& rows, const device_sums& sums, std::int64_t blocks);

/// Engine by mma.sync, float32 alone; rows without labels. A chunk a block.
void accumulate_mma(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                    const device_rows<float>& rows, const device_sums& sums);

/// Whether iterate_registers() runs the loop: so few rows that one block has them all.
constexpr bool iterates_alone(e_step_variant variant, std::int64_t rows) {
    return variant == e_step_variant::registers && rows <= register_threads * register_rows;
}

/// E-steps and updates in one kernel, up to the end of a slice of the loop.
void iterate_registers(const internal::cuda_state& state, const update_arguments<float>& a,
                       const device_rows<float>& rows);

/// Slab engine: log-densities of some units, row rule, statistics, then the next units.
template <class T>
void accumulate_slab(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                     const device_rows<T>& rows, const slab_view<T>& slab, const device_sums& sums);

/// Log-densities of at most slab_units units, with what is known of the rows, into the slab.
template <class T>
void slab_densities(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                    const device_rows<T>& rows, const slab_view<T>& slab);

/// Row rule over the slab for inference: the results go to device memory.
template <class T>
void slab_posteriors(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                     std::int64_t rows, const slab_view<T>& slab, const inference_results& to);

/// Inference of the shapes that shape_inference() has a tile for; the results go to device memory.
template <class T>
void infer_by_tiles(const internal::cuda_state& state, const gmm_shape& shape, const device_model<T>& model,
                    const device_rows<T>& rows, const inference_results& to);

/// Σ w x̃ x̃ᵀ (packed upper triangle, diagonal or trace by family) into limbs [3][entries].
template <class T>
void accumulate_scatter(const internal::cuda_state& state, const gmm_shape& shape, const device_rows<T>& rows,
                        std::int64_t* limbs, std::int64_t entries, int exponent);

/// Moves carries upwards, so that further additions_between_carries partials can be added.
void carry_sums(const internal::cuda_state& state, const device_sums& sums);

} // namespace elbo::kernels::cuda
