// Models with a Gaussian posterior (latent_engine.hpp) on the CPU: matrix products by BLAS.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/cpu/latent/block.hpp"
#include "kernels/cpu/latent/row_engine.hpp"

namespace elbo::kernels {

std::unique_ptr<latent_engine> make_cpu_latent_engine(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cpu::cpu_row_engine<latent_parameters, cpu::latent_block>>(ctx, dimensions);
}

} // namespace elbo::kernels
