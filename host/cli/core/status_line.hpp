// Progress of long work on standard error.
#pragma once

#include <chrono>
#include <string_view>

namespace elbo::cli {

/// On a terminal one line that is rewritten; elsewhere a line every few seconds; nothing when quiet.
class status_line {
public:
    explicit status_line(bool quiet);
    ~status_line();
    status_line(const status_line&) = delete;
    status_line& operator=(const status_line&) = delete;

    /// Whether enough time has passed that show() should be called.
    bool due() const;
    void show(std::string_view text);

private:
    using clock = std::chrono::steady_clock;
    const bool quiet_, live_;
    bool line_open_ = false;
    clock::time_point last_shown_;
};

} // namespace elbo::cli
