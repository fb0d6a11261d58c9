// Cholesky factors of precisions, float64.
#pragma once

#include <cstdint>

namespace elbo::kernels {

/// For C = L Lᵀ: u = L⁻ᵀ, upper triangular, row-major, zero below the diagonal, so that C⁻¹ = u uᵀ. Reads and destroys
/// the lower triangle of c [d x d]. Returns false, with u unspecified, where a pivot is singular
/// (largest_singular_pivot) or NaN. Runs on the calling thread alone: the result does not depend on the number of
/// threads.
bool precision_factor(double* c, std::int64_t d, double* u);

} // namespace elbo::kernels
