// The caller's rows: what they are, and into the engine's storage.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/vae/views.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// What is found out about rows, piece by piece.
struct row_survey {
    unsigned long long first_fault; ///< row * d + column; of a one-hot block its first
    unsigned all_bits, all_bytes;
};

/// Looks at rows in device memory, of which the first is number first_row; adds to the survey and to the sums [d].
void survey_rows(const internal::cuda_state& state, const any_matrix_view& x, std::int64_t first_row,
                 const likelihood_view& likelihood, row_survey* survey, double* column_sums);

/// Elements (row_source::stride) from row to row of a storage.
std::int64_t storage_stride(row_storage form, std::int64_t dimensions);
std::int64_t storage_bytes(row_storage form, std::int64_t dimensions, std::int64_t rows);

/// Stores rows in device memory from `slot` of a storage on.
void store_rows(const internal::cuda_state& state, const any_matrix_view& x, const row_source& to, std::int64_t slot);

} // namespace elbo::kernels::cuda
