// The draws of rows through a decoder, to sums of log p(x|z) and of importance weights, in one kernel: nothing of rows
// x draws is kept in memory. For compute capability 9.0, decoders whose hidden layers have up to 256 units and
// likelihoods of one output a column.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/vae/bound/bound_shape.hpp"
#include "kernels/cuda/vae/layer/dense.hpp"

#include <vector>

namespace elbo::kernels::cuda {

/// Sums over the draws of a group.
struct bound_sum {
    double log_likelihood, second;
    double largest;     ///< ln w
    float sum, squares; ///< of w / e^largest
};

/// Its device memory.
struct bound_view {
    unsigned char* panels; ///< pieces of the weights, see bound_plan
    float2* columns; ///< [all_columns] bias, and the inverse of the power of two that the weights were multiplied by
    bound_sum* sums; ///< [sum capacity]
    std::int64_t capacity; ///< groups
};

/// Whether it suits a network on this device.
bool suits_bound(const internal::cuda_state& state, const vae_layout& l);

class bound_memory {
public:
    bound_memory() = default;
    /// Empty where the kernel does not suit. For up to `rows` rows at a time.
    bound_memory(const state_pointer& state, const vae_layout& l, std::int64_t rows);
    static std::int64_t bytes(const internal::cuda_state& state, const vae_layout& l, std::int64_t rows);
    explicit operator bool() const { return view_.panels; }
    const bound_view& view() const { return view_; }

private:
    device_buffer<unsigned char> memory_;
    bound_view view_{};
};

/// Draws of rows.
struct bound_arguments {
    bound_plan plan;
    bound_view memory;
    vae::activation form; ///< of the hidden layers
    noise_key noise;
    latent_view latents; ///< heads, log_variance and row_numbers of the rows
    likelihood_view likelihood;
    std::int64_t rows;
    draw_range draws; ///< first: a multiple of 256
};

/// The weights of a decoder as bound_draws() reads them.
void write_bound_weights(const internal::cuda_state& state, const bound_plan& plan,
                         const std::vector<layer_view>& decoder, const bound_view& memory);
/// All draws: goes through them in parts for which there is memory. `sums` are of all draws of each row; the grid,
/// `blocks`, does not change them.
void bound_draws(const internal::cuda_state& state, const bound_arguments& a, const row_sums& sums,
                 std::int64_t blocks);

} // namespace elbo::kernels::cuda
