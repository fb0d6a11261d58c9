#include "host/cli/core/startup.hpp"

#include <csignal>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

namespace elbo::cli {
namespace {

bool is_limited = false;
constexpr unsigned patience = 10; // seconds in which all libraries have begun on the slowest machine

// Only what is safe in a signal handler.
void give_up(int) {
    constexpr std::string_view text = "elbo: error: the limit of address space (ulimit -v) is too small for the "
                                      "libraries: nothing was begun\nelbo: allow at least 1 GB\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
    _exit(1);
}

// Runs before the libraries begin.
void limit_the_beginning() {
    rlimit space{};
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY)
        return;
    is_limited = true;
    std::signal(SIGALRM, give_up);
    alarm(patience);
}

[[gnu::used, gnu::section(".preinit_array")]] void (*const before_libraries)() = limit_the_beginning;

} // namespace

void begin_process() {
    if (is_limited) {
        alarm(0);
        std::signal(SIGALRM, SIG_DFL);
    }
    std::signal(SIGXFSZ, SIG_IGN);
}

} // namespace elbo::cli
