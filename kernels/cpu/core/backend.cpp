// The table of the CPU back end.
#include "kernels/contract/context_state.hpp"
#include "kernels/cpu/core/simd_level.hpp"
#include "kernels/shared/memory.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <fmt/format.h>

namespace elbo::kernels {

namespace cpu {
// Each beside its engine.
gmm_factory make_gmm;
kmeans_factory make_kmeans;
latent_factory make_latent;
sphere_factory make_sphere;
vae_factory make_vae;
} // namespace cpu

namespace {

std::string name_of(int threads) {
    return fmt::format("CPU, {} thread{}, {}", threads, threads == 1 ? "" : "s", to_string(cpu::processor_level()));
}

std::shared_ptr<internal::context_state> open(int threads) {
    const int count = threads == 0 ? default_threads() : threads;
    return std::make_shared<internal::context_state>(cpu_table, name_of(count), count);
}

std::vector<device_info> the_processor() {
    device_info cpu;
    cpu.name = name_of(default_threads());
    return {cpu};
}

} // namespace

const backend_table cpu_table = {
    backend::cpu,         memory_space::host, cpu::make_gmm, cpu::make_kmeans, cpu::make_latent,
    cpu::make_sphere,     cpu::make_vae,      open,          the_processor,    io::wait_on_host,
    io::allocate_on_host, io::copy_on_host,   nullptr,       nullptr};

} // namespace elbo::kernels
