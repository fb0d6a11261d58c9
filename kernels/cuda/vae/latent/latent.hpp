// Latents on the device: draws with their KL terms, gradients of the encoder's heads, importance weights.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/vae/views.hpp"

namespace elbo::kernels::cuda {

/// ln σ², z = μ + σ ε, KL and log ratios for draws of the rows of a step.
void draw_latents(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step,
                  const draw_range& draws, const latent_view& v);
/// Means over the batch of the KL of each unit.
void average_unit_kl(const internal::cuda_state& state, const step_pointer& step, const latent_view& v);
/// Gradient of the encoder's heads from that of z, summed over the draws.
void heads_gradients(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step,
                     const draw_range& draws, const latent_view& v, const objective_rule& rule);

/// Importance weights w̃ of the draws of each row and ln 1/S Σ w; `gradient` (of the decoder's output) is multiplied
/// with w̃ / rows.
struct weigh_arguments {
    step_pointer step;
    std::int64_t draws;
    likelihood_parts parts;
    const double* log_ratios;
    float* weights;          ///< [rows · draws]
    double* log_mean_weight; ///< [rows]
    matrix gradient;
};
void weigh_draws(const internal::cuda_state& state, std::int64_t rows, const weigh_arguments& a);

/// The sphere decoder: output = r z/‖z‖ + m, and back.
struct sphere_arguments {
    step_pointer step;
    std::int64_t draws;
    const float* radius;
    const float* centre; ///< [d]
    latent_view latents;
    matrix output;       ///< the decoder's output; in the backward pass its gradient
    float* inverse_norm; ///< [rows · draws]
    double* along;       ///< [rows · draws] ∂/∂r, backward
};
void sphere_forward(const internal::cuda_state& state, std::int64_t rows, const sphere_arguments& a);
void sphere_backward(const internal::cuda_state& state, std::int64_t rows, const sphere_arguments& a);

} // namespace elbo::kernels::cuda
