// The likelihood where it cannot be worked out with the decoder's last layer, and what evaluation makes of it.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/vae/views.hpp"
#include "kernels/math/vae_importance.hpp"

namespace elbo::kernels::cuda {

struct likelihood_arguments {
    step_pointer step;
    draw_range draws;
    likelihood_view likelihood;
    vae::objective objective;
    matrix output; ///< of the decoder [rows · draws x d]; its gradient takes its place where that is wanted
    bool wants_gradient;
    likelihood_parts parts; ///< of one part
    float* own;             ///< optimal_variance: where ln σ² goes
};
/// Terms of whole rows: blocks reach over tiles, and a sphere has no last layer.
void row_likelihoods(const internal::cuda_state& state, std::int64_t rows, const likelihood_arguments& a);
/// Squared errors alone, added to the running scale, and ln of its mean over rows and dimensions.
void optimal_variance(const internal::cuda_state& state, std::int64_t rows, const likelihood_arguments& a);

/// Means of p(x|z) from outputs, to rows with a stride.
void likelihood_means(const internal::cuda_state& state, const likelihood_view& likelihood, const matrix& output,
                      std::int64_t rows, float* out, std::int64_t out_stride);

/// What evaluation keeps of each row; null where it is not wanted.
struct row_sums {
    double* reconstruction;
    double* squared_error;
    importance_sum* weights;
};
/// Adds the draws of a range, in their order; the first range begins the sums.
void add_draws(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step, const draw_range& draws,
               const likelihood_parts& parts, const double* log_ratios, const row_sums& sums);

} // namespace elbo::kernels::cuda
