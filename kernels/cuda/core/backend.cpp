// The table of the CUDA back end.
#include "kernels/cuda/core/device_buffer.hpp"

namespace elbo::kernels {

namespace cuda {
// Each beside its engine.
gmm_factory make_gmm;
kmeans_factory make_kmeans;
start_factory make_start;
latent_factory make_latent;
sphere_factory make_sphere;
vae_factory make_vae;
} // namespace cuda

namespace {

void wait(const internal::context_state& state) {
    internal::wait_for(*state.cuda);
}

std::shared_ptr<void> allocate(const internal::context_state& state, std::int64_t bytes) {
    return {cuda::allocate_device(*state.cuda, "a buffer", bytes),
            [owner = state.cuda](void* p) { cuda::free_device(*owner, p); }};
}

void copy(const internal::context_state& state, void* to, std::int64_t to_stride, const void* from,
          std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows) {
    internal::copy_on_stream(*state.cuda, to, to_stride, from, from_stride, row_bytes, rows);
}

} // namespace

const backend_table cuda_table = {backend::cuda,
                                  memory_space::device,
                                  cuda::make_gmm,
                                  cuda::make_kmeans,
                                  cuda::make_latent,
                                  cuda::make_sphere,
                                  cuda::make_vae,
                                  internal::open_device,
                                  internal::list_cuda_devices,
                                  wait,
                                  allocate,
                                  copy,
                                  cuda::queue_of,
                                  cuda::make_start};

} // namespace elbo::kernels
