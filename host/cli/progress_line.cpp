#include "host/cli/progress_line.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace elbo::cli {

namespace {

using namespace std::chrono_literals;
constexpr auto live_interval = 100ms;
constexpr auto log_interval = 5s;

std::string describe(const gmm::progress& now, std::optional<double> previous) {
    const gmm::iteration_record& record = now.record;
    std::string text;
    if (now.restarts > 1)
        text = fmt::format("start {} of {}, ", now.restart + 1, now.restarts);
    text += fmt::format("iteration {}  log-likelihood {:.6f}", record.iteration, record.log_likelihood);
    if (previous)
        text += fmt::format("  gain {:.1e}", record.log_likelihood - *previous);
    if (record.iteration > 0)
        text += fmt::format("  {:.3g} s/iteration", record.seconds / static_cast<double>(record.iteration));
    return text;
}

} // namespace

progress_line::progress_line(bool quiet)
    : quiet_(quiet), live_(isatty(STDERR_FILENO) == 1), last_shown_(live_ ? clock::time_point() : clock::now()) {}

progress_line::~progress_line() {
    if (line_open_)
        std::fputs("\r\033[K", stderr);
}

void progress_line::show(const gmm::progress& now) {
    if (quiet_)
        return;
    if (now.restart != restart_)
        previous_.reset();
    restart_ = now.restart;
    const auto time = clock::now();
    if (time - last_shown_ >= (live_ ? clock::duration(live_interval) : clock::duration(log_interval))) {
        const std::string text = describe(now, previous_);
        fmt::print(stderr, "{}{}{}", live_ ? "\r\033[K" : "elbo: ", text, live_ ? "" : "\n");
        std::fflush(stderr);
        line_open_ = live_;
        last_shown_ = time;
    }
    previous_ = now.record.log_likelihood;
}

} // namespace elbo::cli
