// Rows of variational autoencoders on the host, and what is wrong with them.
#pragma once

#include "kernels/contract/vae_engine.hpp"

#include <vector>

namespace elbo::kernels {

/// Row i, [cols].
std::vector<double> matrix_row(const any_matrix_view& v, std::int64_t i);

/// vae_engine::inspect on one thread: every value, and of the first fault all that is to be said.
row_report inspect_rows(const vae::likelihood& form, const any_matrix_view& x);

} // namespace elbo::kernels
