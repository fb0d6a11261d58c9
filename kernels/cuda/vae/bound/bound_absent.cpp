// A library that is built without 90a.
#include "kernels/cuda/vae/bound/bound.hpp"

namespace elbo::kernels::cuda {

void write_bound_weights(const internal::cuda_state&, const bound_plan&, const std::vector<layer_view>&,
                         const bound_view&) {}

void bound_draws(const internal::cuda_state&, const bound_arguments&, const row_sums&, std::int64_t) {}

} // namespace elbo::kernels::cuda
