// A library that is built without 90a.
#include "kernels/cuda/gmm/tensor/tensor.hpp"

namespace elbo::kernels::cuda {

bool tensor_built() {
    return false;
}

void write_tensor_panels(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                         const tensor_view&) {}

void tensor_densities(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                      const device_rows<float>&, const tensor_view&, float*, std::int64_t) {}

void tensor_posteriors(const internal::cuda_state&, const gmm_shape&, const device_model<float>&, std::int64_t,
                       const float*, const inference_results&) {}

void accumulate_tensor(const internal::cuda_state&, const gmm_shape&, const device_model<float>&,
                       const device_rows<float>&, const tensor_view&, const home_view&, float*, const device_sums&,
                       std::int64_t) {}

} // namespace elbo::kernels::cuda
