// ∂ ln p(x|z)/∂z into the gradient of the encoder's heads, one unit of one row at a time.
#pragma once

#include "kernels/cuda/vae/views.hpp"

namespace elbo::kernels::cuda {

/// Noise of units 4 block ... 4 block + 3.
__device__ inline void latent_noise(const slice_plan& plan, std::uint64_t row_number, std::int64_t draw,
                                    std::int64_t block, float out[4]) {
    four_normals(
        noise_words(plan.latent, row_number, static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(block)), out);
}

/// The rule of a step, for gradients of draws that have been multiplied with their weight ω already.
class heads_rule {
public:
    __device__ heads_rule(const step_pointer& step, const objective_rule& of, std::int64_t draws)
        : of_(of), rule_(make_latent_rule(of.objective, of.estimator, step.beta())),
          scale_(draw_scale(of.objective, step.rows(), draws)), row_scale_(1 / static_cast<double>(step.rows())) {}

    /// Adds draw r of unit l of row n, of which ω ∂ ln p(x|z)/∂z is given.
    __device__ void add(const latent_view& v, std::int64_t n, std::int64_t r, std::int64_t l, float noise,
                        float z_gradient, latent_gradient<float>& sum) const {
        const float weight = of_.weights ? of_.weights[r] : 1.0f;
        const double scale = scale_ * static_cast<double>(weight);
        latent_rule rule = rule_;
        rule.prior *= scale;
        rule.path *= scale;
        rule.entropy *= scale;
        const float sigma = expf(0.5f * v.log_variance(n, l));
        const auto part = draw_gradient(rule, z_gradient, v.z(r, l), noise, sigma);
        const float encoder_weight = rule.squared_weights ? weight : 1.0f;
        sum.mean += encoder_weight * part.mean;
        sum.log_variance += encoder_weight * part.log_variance;
    }

    /// Ends unit l of row n: closed form of the KL divergence, bound of ln σ².
    __device__ void store(const latent_view& v, std::int64_t n, std::int64_t l, latent_gradient<float> sum) const {
        const bool free = of_.free_bits > 0 && v.unit_kl_means[l] < of_.free_bits;
        const float log_variance = v.log_variance(n, l);
        const auto kl =
            kl_gradient(free ? 0.0f : static_cast<float>(rule_.kl * row_scale_), v.heads(n, l), log_variance);
        v.heads_gradient.set(n, l, sum.mean + kl.mean);
        v.heads_gradient.set(n, v.latent + l,
                             (sum.log_variance + kl.log_variance) * bounded_log_variance_slope(log_variance));
        if (l == 0)
            v.heads_gradient.pad(n, 0);
    }

private:
    const objective_rule& of_;
    latent_rule rule_;
    double scale_, row_scale_;
};

} // namespace elbo::kernels::cuda
