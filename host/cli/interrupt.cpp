#include "host/cli/interrupt.hpp"

#include "host/cli/command.hpp"

#include <atomic>
#include <csignal>

namespace elbo::cli {

namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only use lock-free atomics");

void handle(int signal) {
    requested.store(true, std::memory_order_relaxed);
    std::signal(signal, SIG_DFL);
}

} // namespace

interrupt_guard::interrupt_guard() {
    requested.store(false, std::memory_order_relaxed);
    std::signal(SIGINT, handle);
}

interrupt_guard::~interrupt_guard() {
    std::signal(SIGINT, SIG_DFL);
}

bool interrupt_requested() {
    return requested.load(std::memory_order_relaxed);
}

void throw_if_interrupted() {
    if (interrupt_requested())
        throw interrupted();
}

} // namespace elbo::cli
