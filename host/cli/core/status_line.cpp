#include "host/cli/core/status_line.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace elbo::cli {

namespace {

using namespace std::chrono_literals;
constexpr auto live_interval = 100ms;
constexpr auto log_interval = 5s;

} // namespace

status_line::status_line(bool quiet)
    : quiet_(quiet), live_(isatty(STDERR_FILENO) == 1), last_shown_(live_ ? clock::time_point() : clock::now()) {}

status_line::~status_line() {
    if (line_open_)
        std::fputs("\r\033[K", stderr);
}

bool status_line::due() const {
    const clock::duration interval = live_ ? clock::duration(live_interval) : clock::duration(log_interval);
    return !quiet_ && clock::now() - last_shown_ >= interval;
}

void status_line::show(std::string_view text) {
    fmt::print(stderr, "{}{}{}", live_ ? "\r\033[K" : "elbo: ", text, live_ ? "" : "\n");
    std::fflush(stderr);
    line_open_ = live_;
    last_shown_ = clock::now();
}

} // namespace elbo::cli
