// The CUDA entry points of a build without CUDA: each says so.
#include "elbo/error.hpp"
#include "kernels/contract/context_state.hpp"
#include "kernels/contract/device_copy.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/contract/latent_engine.hpp"
#include "kernels/contract/radial_engine.hpp"
#include "kernels/contract/vae_engine.hpp"

namespace elbo {

namespace {
constexpr const char* reason = "this build of elbo has no CUDA back end: install the CUDA toolkit (nvcc 12.4 or newer) "
                               "and build again with -DELBO_CUDA=ON, or use the cpu back end";
}

namespace internal {
std::shared_ptr<cuda_state> make_cuda_state(int) {
    throw not_available(reason);
}
std::string cuda_device_name(int) {
    throw not_available(reason);
}
void wait_for(const cuda_state&) {
    throw not_available(reason);
}
std::shared_ptr<void> allocate_device(const std::shared_ptr<cuda_state>&, std::int64_t) {
    throw not_available(reason);
}
void copy_on_stream(const cuda_state&, void*, std::int64_t, const void*, std::int64_t, std::int64_t, std::int64_t) {
    throw not_available(reason);
}
std::vector<device_info> list_cuda_devices(std::string& status) {
    status = reason;
    return {};
}
} // namespace internal

namespace io {
std::shared_ptr<void> allocate_device_rows(const void*, std::int64_t, std::int64_t) {
    throw not_available(reason);
}
void copy_device_rows(void*, const void*, std::int64_t, std::int64_t, std::int64_t) {
    throw not_available(reason);
}
} // namespace io

namespace kernels {
std::unique_ptr<gmm_engine> make_cuda_engine(const context&, const gmm_shape&, element_type) {
    throw not_available(reason);
}
std::unique_ptr<kmeans_engine> make_cuda_kmeans(const context&) {
    throw not_available(reason);
}
std::unique_ptr<latent_engine> make_cuda_latent_engine(const context&, std::int64_t) {
    throw not_available(reason);
}
std::unique_ptr<vae_engine> make_cuda_vae_engine(const context&, const vae_layout&) {
    throw not_available(reason);
}
std::unique_ptr<sphere_engine> make_cuda_sphere_engine(const context&, std::int64_t) {
    throw not_available(reason);
}
} // namespace kernels

} // namespace elbo
