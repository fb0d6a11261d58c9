// The kernels of kernel_table.hpp, which several files define, each once for every instruction set.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD::networks {

/// Lanes of vector v of a panel that lie in its first `columns` columns.
static inline int32_vector column_mask(int v, std::int64_t columns) {
    int32_vector lane;
    for (int i = 0; i < lanes<float>; ++i)
        lane[i] = i;
    return lane < static_cast<std::int32_t>(columns) - v * lanes<float>;
}

void forward(const layer_view&, const panel_matrix& in, const panel_matrix& sums, const panel_matrix& out,
             const panel_range&);
void backward(const layer_view&, const panel_matrix& gradient, vae::activation form, const panel_matrix& kept,
              const panel_matrix& out, const panel_range&);
double weight_gradient(const float* x, const float* g, std::int64_t rows, float scale, float* gradient);
double bias_gradient(const float* g, std::int64_t rows, float scale, float* gradient);

void likelihood(const likelihood_view&, const target_view&, const panel_matrix& outputs, float scale,
                const likelihood_sums&, const panel_range&);
void means(const likelihood_view&, const panel_matrix& outputs, const panel_range&);
void weigh(float* g, const double* weights, float factor, std::int64_t rows, double* sums);

void posterior(const latent_view&, std::int64_t first_row, std::int64_t last_row, double* kl);
void draw(const latent_view&, const target_view&, const noise_key&, const draw_view&, std::int64_t first_row,
          std::int64_t last_row);
void latent_gradient(const latent_view&, const draw_view&, const latent_gradient_view&, std::int64_t first_row,
                     std::int64_t last_row);

void expand(const stored_row&, std::int64_t dimensions, const noise_key*, std::uint64_t index, float* out,
            std::int64_t stride);
void log_input(const panel_matrix& in, const panel_matrix& out, const panel_range&);
void optimize(const optimizer_step<float>&, const parameter_view&, std::int64_t count);
void transpose_block(const float* block, float* out);

} // namespace elbo::kernels::cpu::ELBO_SIMD::networks
