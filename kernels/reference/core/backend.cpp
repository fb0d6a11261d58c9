// The table of the reference back end.
#include "kernels/contract/context_state.hpp"
#include "kernels/shared/memory.hpp"

namespace elbo::kernels {

namespace reference {
// Each beside its engine.
gmm_factory make_gmm;
kmeans_factory make_kmeans;
latent_factory make_latent;
sphere_factory make_sphere;
vae_factory make_vae;
} // namespace reference

namespace {

std::shared_ptr<internal::context_state> open(int) {
    return std::make_shared<internal::context_state>(reference_table, "CPU reference, float64, 1 thread");
}

/// It computes on the devices of the cpu back end.
std::vector<device_info> no_devices() {
    return {};
}

} // namespace

const backend_table reference_table = {backend::reference,
                                       memory_space::host,
                                       reference::make_gmm,
                                       reference::make_kmeans,
                                       reference::make_latent,
                                       reference::make_sphere,
                                       reference::make_vae,
                                       open,
                                       no_devices,
                                       io::wait_on_host,
                                       io::allocate_on_host,
                                       io::copy_on_host,
                                       nullptr,
                                       nullptr};

} // namespace elbo::kernels
