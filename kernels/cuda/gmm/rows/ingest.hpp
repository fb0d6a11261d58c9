// The caller's rows into the engine: summaries of their columns, and normalisation (docs/kernels.md section 4).
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/core/cuda_state.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Rows and weights as the caller has them, in memory that the device can address.
struct device_input {
    any_matrix_view x;
    any_matrix_view weights; ///< data == nullptr for all 1
    double weight_scale;
};

/// Summaries [units x summary_size]; `first_bad` is lowered to row * d + column of the first NaN or infinity.
void summarize_units(const internal::cuda_state& state, const device_input& in, double* summaries,
                     unsigned long long* first_bad);

/// x̃ = (x − centre) / scale in float64, rounded to T, to out (row i at i * stride), weights to out_weights (null: not
/// kept). Of rows whose kept weight is zero numbers whose squares may overflow become zero.
template <class T>
void normalize_rows(const internal::cuda_state& state, const device_input& in, const double* centre,
                    const double* scale, T* out, std::int64_t stride, T* out_weights);

} // namespace elbo::kernels::cuda
