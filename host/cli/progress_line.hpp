// Progress of a fit on standard error.
#pragma once

#include "elbo/gmm/fit.hpp"

#include <chrono>
#include <optional>

namespace elbo::cli {

/// On a terminal one line that is rewritten; elsewhere a line every few seconds; nothing when quiet.
class progress_line {
public:
    explicit progress_line(bool quiet);
    ~progress_line();
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;

    void show(const gmm::progress& now);

private:
    using clock = std::chrono::steady_clock;
    const bool quiet_, live_;
    bool line_open_ = false;
    clock::time_point last_shown_;
    std::int64_t restart_ = -1;
    std::optional<double> previous_; ///< log-likelihood one iteration before
};

} // namespace elbo::cli
