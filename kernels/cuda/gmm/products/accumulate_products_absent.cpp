// A library that is built without 90a.
#include "kernels/cuda/gmm/products/products.hpp"

namespace elbo::kernels::cuda {

void accumulate_products(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                         const device_rows<float>&, const product_view&, const device_sums&, std::int64_t) {}

} // namespace elbo::kernels::cuda
