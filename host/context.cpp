#include "elbo/context.hpp"

#include "elbo/error.hpp"
#include "host/names.hpp"
#include "kernels/contract/context_state.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace elbo {

template <>
inline constexpr name_table names<backend>{"back end", {"reference", "cpu", "cuda"}};

ELBO_TO_STRING(backend)

context context::reference() {
    return context(kernels::table_of(backend::reference).open(1));
}

context context::cpu(int threads) {
    if (threads < 0)
        throw invalid_argument(fmt::format("threads = {}: expected 0 (all) or a positive number", threads));
    return context(kernels::table_of(backend::cpu).open(threads));
}

context context::cuda(int ordinal) {
    if (ordinal < 0)
        throw invalid_argument(fmt::format("device ordinal = {}: expected 0 or more", ordinal));
    return context(kernels::table_of(backend::cuda).open(ordinal));
}

context context::best() {
    try {
        return cuda(0);
    } catch (const not_available&) {
        return cpu();
    }
}

backend context::where() const noexcept {
    return state_->table.where;
}
int context::threads() const noexcept {
    return state_->threads;
}
int context::device() const noexcept {
    return state_->device;
}
memory_space context::memory() const noexcept {
    return state_->table.memory;
}
std::string context::name() const {
    return state_->name;
}
void context::wait() const {
    state_->table.wait(*state_);
}

device_list devices() {
    device_list all{kernels::table_of(backend::cpu).devices(), "available"};
    try {
        std::ranges::move(kernels::table_of(backend::cuda).devices(), std::back_inserter(all.devices));
    } catch (const not_available& reason) {
        all.cuda_status = reason.what();
    }
    return all;
}

} // namespace elbo
