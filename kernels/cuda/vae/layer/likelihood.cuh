// log p(x|z) of one number that the decoder puts out.
#pragma once

#include "kernels/cuda/vae/views.hpp"
#include "kernels/math/vae_likelihood.hpp"

namespace elbo::kernels::cuda {

/// Likelihood of one number, and its squared error.
struct output_term {
    likelihood_term<float> term;
    float squared_error;
};

__device__ inline output_term term_of(const likelihood_view& likelihood, float x, float output, std::int64_t column) {
    if (likelihood.family == vae::likelihood_family::bernoulli)
        return {bernoulli_term(x, output), 0.0f};
    const float log_variance = likelihood.log_variance[likelihood.log_variances == 1 ? 0 : column];
    return {gaussian_term(x, output, log_variance, expf(-log_variance)), (x - output) * (x - output)};
}

} // namespace elbo::kernels::cuda
