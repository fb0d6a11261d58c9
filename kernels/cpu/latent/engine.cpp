// Models with a Gaussian posterior (latent_engine.hpp) on the CPU: matrix products by BLAS.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/cpu/latent/block.hpp"
#include "kernels/cpu/latent/row_engine.hpp"

namespace elbo::kernels::cpu {

std::unique_ptr<latent_engine> make_latent(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cpu_row_engine<latent_parameters, latent_block>>(ctx, dimensions);
}

} // namespace elbo::kernels::cpu
