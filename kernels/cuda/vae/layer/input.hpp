// The rows of a step for likelihoods of counts, before the first layer.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/vae/views.hpp"

namespace elbo::kernels::cuda {

/// Reads the rows of a step (d numbers as they are stored) and writes what pointers are given for: the rows, ln(1 + x)
/// of them, their sums and numbers. A warp a row; padding becomes 0.
struct input_arguments {
    step_pointer step;
    matrix x;                   ///< [rows x d]
    matrix input;               ///< as x: ln(1 + x), or no data
    float* total;               ///< [rows] or null
    std::uint64_t* row_numbers; ///< [rows]
};
void gather_input(const internal::cuda_state& state, std::int64_t rows, const input_arguments& a);

} // namespace elbo::kernels::cuda
