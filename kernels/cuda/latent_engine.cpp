// Latent variable models on devices.
#include "kernels/latent_engine.hpp"

#include "elbo/error.hpp"

namespace elbo::kernels {

std::unique_ptr<latent_engine> make_cuda_latent_engine(const context&, std::int64_t) {
    throw not_available("latent variable models have no CUDA engine: use the cpu or the reference back end");
}

} // namespace elbo::kernels
