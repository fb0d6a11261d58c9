#include "host/cli/core/progress.hpp"

#include "host/cli/core/findings.hpp"

#include "elbo/error.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace elbo::cli {
namespace {

std::atomic<bool> requested{false};
std::atomic<int> last_signal{SIGINT};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler may only use lock-free atomics");

constexpr std::array handled{SIGINT, SIGTERM, SIGHUP};

// Only what is safe in a signal handler: atomics, write, signal.
void handle(int signal) {
    constexpr std::string_view of_keyboard = "\nelbo: stopping; Ctrl-C again ends at once\n",
                               of_others = "\nelbo: stopping after a signal\n";
    const bool first = !requested.exchange(true, std::memory_order_relaxed);
    const std::string_view text = signal == SIGINT ? of_keyboard : of_others;
    if (first)
        last_signal.store(signal, std::memory_order_relaxed);
    if (signal == SIGINT)
        std::signal(signal, SIG_DFL);
    if (first || signal == SIGINT) {
        [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
    }
}

bool is_ignored(int signal) {
    struct sigaction now {};
    return sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN;
}

using namespace std::chrono_literals;
constexpr auto live_interval = 100ms;
constexpr auto log_interval = 5s;

std::string start_of(std::int64_t restart, std::int64_t restarts) {
    return restarts > 1 ? fmt::format("start {} of {}, ", restart + 1, restarts) : "";
}

std::string describe(const gmm::progress& now, std::optional<double> previous) {
    const gmm::iteration_record& record = now.record;
    std::string text = start_of(now.restart, now.restarts) +
                       fmt::format("iteration {}  log-likelihood {:.6f}", record.iteration, record.log_likelihood);
    if (previous)
        text += fmt::format("  gain {:.1e}", record.log_likelihood - *previous);
    if (record.iteration > 0)
        text += fmt::format("  {:.3g} s/iteration", record.seconds / static_cast<double>(record.iteration));
    return text;
}

} // namespace

interrupt_guard::interrupt_guard() {
    requested.store(false, std::memory_order_relaxed);
    for (const int signal : handled)
        if (signal != SIGHUP || !is_ignored(signal))
            std::signal(signal, handle);
}

interrupt_guard::~interrupt_guard() {
    // After a signal the handlers stay: another one must not end the process before its results are written.
    if (!requested.exchange(false, std::memory_order_relaxed))
        for (const int signal : handled)
            if (!is_ignored(signal))
                std::signal(signal, SIG_DFL);
}

bool interrupt_requested() {
    return requested.load(std::memory_order_relaxed);
}

int interrupting_signal() {
    return last_signal.load(std::memory_order_relaxed);
}

void throw_if_interrupted() {
    if (interrupt_requested())
        throw interrupted("interrupted");
}

progress_line::progress_line(bool quiet)
    : quiet_(quiet), live_(isatty(STDERR_FILENO) == 1), last_shown_(live_ ? clock::time_point() : clock::now()) {}

progress_line::~progress_line() {
    if (line_open_)
        std::fputs("\r\033[K", stderr);
}

bool progress_line::due() const {
    const clock::duration interval = live_ ? clock::duration(live_interval) : clock::duration(log_interval);
    return !quiet_ && clock::now() - last_shown_ >= interval;
}

void progress_line::print(std::string_view text) {
    fmt::print(stderr, "{}{}{}", live_ ? "\r\033[K" : "elbo: ", text, live_ ? "" : "\n");
    std::fflush(stderr);
    line_open_ = live_;
    last_shown_ = clock::now();
}

void progress_line::show(const gmm::progress& now) {
    if (now.restart != restart_)
        previous_.reset();
    restart_ = now.restart;
    if (due())
        print(describe(now, previous_));
    previous_ = now.record.log_likelihood;
}

void progress_line::show(const gmm::variational_progress& now) {
    if (due())
        print(fmt::format("{}iteration {}  bound {:.6f}", start_of(now.restart, now.restarts), now.record.iteration,
                          now.record.bound));
}

void progress_line::show(const gmm::select_progress& now) {
    if (due())
        print(fmt::format("{} of {} fits done, {} K = {}{}, {}", now.finished, now.fits, to_string(now.shape),
                          now.components, now.fold >= 0 ? fmt::format(" without set {}", now.fold) : "",
                          describe(now.fit, {})));
}

void progress_line::show(const vae::train_progress& now) {
    if (now.finished)
        previous_ = now.finished->validation_elbo;
    if (due())
        print(fmt::format("epoch {} of {}  ELBO {:.4f}{}  {:.3g} samples/s  {} left", now.epoch, now.epochs, now.elbo,
                          previous_ ? fmt::format("  validation {:.4f}", *previous_) : "", now.samples_per_second,
                          duration_text(now.seconds_left)));
}

void progress_line::show(std::int64_t done, std::int64_t rows) {
    if (due())
        print(fmt::format("{} of {} rows", done, rows));
}

} // namespace elbo::cli
