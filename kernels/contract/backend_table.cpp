#include "kernels/contract/backend_table.hpp"

#include "elbo/error.hpp"
#include "kernels/contract/context_state.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/contract/latent_engine.hpp"
#include "kernels/contract/radial_engine.hpp"
#include "kernels/contract/start_engine.hpp"
#include "kernels/contract/vae_engine.hpp"

namespace elbo::kernels {

const backend_table& table_of(backend where) {
    switch (where) {
    case backend::reference:
        return reference_table;
    case backend::cpu:
        return cpu_table;
    case backend::cuda:
#ifdef ELBO_WITH_CUDA
        return cuda_table;
#else
        throw not_available("this build of elbo has no CUDA back end: install the CUDA toolkit (nvcc 12.4 or newer) "
                            "and build again with -DELBO_CUDA=ON, or use the cpu back end");
#endif
    }
    throw invalid_argument("unknown back end");
}

std::shared_ptr<const device_queue> queue_of(const void* device_memory) {
    return table_of(backend::cuda).queue_of(device_memory);
}

std::unique_ptr<gmm_engine> make_gmm_engine(const context& ctx, const gmm_shape& shape, element_type precision) {
    return ctx.state().table.gmm(ctx, shape, precision);
}
std::unique_ptr<kmeans_engine> make_kmeans_engine(const context& ctx) {
    return ctx.state().table.kmeans(ctx);
}
std::unique_ptr<start_engine> make_start_engine(const context& ctx, const gmm_shape& shape) {
    start_factory* const make = ctx.state().table.start;
    return make ? make(ctx, shape) : nullptr;
}
std::unique_ptr<latent_engine> make_latent_engine(const context& ctx, std::int64_t dimensions) {
    return ctx.state().table.latent(ctx, dimensions);
}
std::unique_ptr<sphere_engine> make_sphere_engine(const context& ctx, std::int64_t dimensions) {
    return ctx.state().table.sphere(ctx, dimensions);
}
std::unique_ptr<vae_engine> make_vae_engine(const context& ctx, const vae_layout& layout) {
    return ctx.state().table.vae(ctx, layout);
}

} // namespace elbo::kernels
