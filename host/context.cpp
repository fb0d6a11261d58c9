#include "elbo/context.hpp"

#include "elbo/error.hpp"
#include "kernels/contract/context_state.hpp"
#include "kernels/cpu/core/simd_level.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <fmt/format.h>

namespace elbo {

namespace {

context make(backend where, int threads, std::string name) {
    auto state = std::make_shared<internal::context_state>();
    state->where = where;
    state->threads = threads;
    state->name = std::move(name);
    return context(std::move(state));
}

} // namespace

std::string_view to_string(backend b) {
    switch (b) {
    case backend::reference:
        return "reference";
    case backend::cpu:
        return "cpu";
    case backend::cuda:
        return "cuda";
    }
    return "?";
}

context context::reference() {
    return make(backend::reference, 1, "CPU reference, float64, 1 thread");
}

context context::cpu(int threads) {
    if (threads < 0)
        throw invalid_argument(fmt::format("threads = {}: expected 0 (all) or a positive number", threads));
    const int count = threads == 0 ? kernels::default_threads() : threads;
    return make(
        backend::cpu, count,
        fmt::format("CPU, {} thread{}, {}", count, count == 1 ? "" : "s", to_string(kernels::cpu::processor_level())));
}

context context::cuda(int ordinal) {
    if (ordinal < 0)
        throw invalid_argument(fmt::format("device ordinal = {}: expected 0 or more", ordinal));
    auto state = std::make_shared<internal::context_state>();
    state->where = backend::cuda;
    state->device = ordinal;
    state->cuda = internal::make_cuda_state(ordinal);
    state->name = fmt::format("{} (cuda:{})", internal::cuda_device_name(ordinal), ordinal);
    return context(std::move(state));
}

context context::best() {
    try {
        return cuda(0);
    } catch (const not_available&) {
        return cpu();
    }
}

backend context::where() const noexcept {
    return state_->where;
}
int context::threads() const noexcept {
    return state_->threads;
}
int context::device() const noexcept {
    return state_->device;
}
std::string context::name() const {
    return state_->name;
}
void context::wait() const {
    if (state_->cuda)
        internal::wait_for(*state_->cuda);
}

device_list devices() {
    device_list all;
    device_info cpu;
    cpu.name = context::cpu().name();
    all.devices.push_back(cpu);
    for (auto& device : internal::list_cuda_devices(all.cuda_status))
        all.devices.push_back(std::move(device));
    return all;
}

} // namespace elbo
