#include "kernels/contract/vae_engine.hpp"

namespace elbo::kernels {

std::unique_ptr<vae_engine> make_vae_engine(const context& ctx, const vae_layout& layout) {
    switch (ctx.where()) {
    case backend::reference:
        return make_reference_vae_engine(ctx, layout);
    case backend::cpu:
        return make_cpu_vae_engine(ctx, layout);
    case backend::cuda:
        return make_cuda_vae_engine(ctx, layout);
    }
    return make_reference_vae_engine(ctx, layout);
}

} // namespace elbo::kernels
