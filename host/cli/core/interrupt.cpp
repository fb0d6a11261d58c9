#include "host/cli/core/interrupt.hpp"

#include "elbo/error.hpp"

#include <atomic>
#include <csignal>
#include <string_view>
#include <unistd.h>

namespace elbo::cli {

namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only use lock-free atomics");

// Only what is safe in a signal handler: an atomic, write, signal.
void handle(int signal) {
    constexpr std::string_view text = "\nelbo: stopping; Ctrl-C again ends at once\n";
    requested.store(true, std::memory_order_relaxed);
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
    std::signal(signal, SIG_DFL);
}

} // namespace

interrupt_guard::interrupt_guard() {
    requested.store(false, std::memory_order_relaxed);
    std::signal(SIGINT, handle);
}

interrupt_guard::~interrupt_guard() {
    std::signal(SIGINT, SIG_DFL);
    requested.store(false, std::memory_order_relaxed);
}

bool interrupt_requested() {
    return requested.load(std::memory_order_relaxed);
}

void throw_if_interrupted() {
    if (interrupt_requested())
        throw interrupted("interrupted");
}

} // namespace elbo::cli
