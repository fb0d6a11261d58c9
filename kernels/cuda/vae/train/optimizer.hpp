// The end of a step: norm and check of the gradient, the optimiser, and the record of the step.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/vae/views.hpp"

namespace elbo::kernels::cuda {

/// Flat vectors of padded(parameters) numbers.
struct optimizer_view {
    float* parameters;
    float* first_moment;
    float* second_moment;
    float* average;         ///< null without averaging
    __nv_bfloat16* rounded; ///< null where no product takes bfloat16
};

struct finish_arguments {
    step_pointer step;
    optimizer_view to;
    const float* gradient;
    std::int64_t size; ///< padded(parameters)
    const double* square_sums;
    std::int64_t square_sum_count;
    const optimizer_step<float>* next;
    double clip_norm;
    float average_decay, one_minus_average_decay;
    const std::int64_t* weight_edges; ///< begin and end of each weight matrix, where adamw lets them decay
    std::int64_t weight_edge_count;
    bool moves;      ///< false: only the record is wanted
    bool has_second; ///< moments
};
void finish_step(const internal::cuda_state& state, const finish_arguments& a);

/// parameters rounded to bfloat16.
void round_parameters(const internal::cuda_state& state, const float* parameters, __nv_bfloat16* rounded,
                      std::int64_t size);

} // namespace elbo::kernels::cuda
