// Long work: signals as a flag that it looks at, and its progress on standard error.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/variational.hpp"
#include "elbo/vae/train.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace elbo::cli {

/// While it lives, SIGINT, SIGTERM and SIGHUP set a flag, which goes with it; a second SIGINT ends the process at once.
/// Further SIGTERM and SIGHUP change nothing until the process ends: batch systems send them more than once. A SIGHUP
/// that was ignored when the program was started (nohup) stays ignored.
class interrupt_guard {
public:
    interrupt_guard();
    ~interrupt_guard();
    interrupt_guard(const interrupt_guard&) = delete;
    interrupt_guard& operator=(const interrupt_guard&) = delete;
};

/// Whether one has come.
bool interrupt_requested();
/// The last that came, also after its guard is gone; SIGINT before any.
int interrupting_signal();
/// Throws elbo::interrupted if it has: for a command that has nothing worth keeping.
void throw_if_interrupted();

/// On a terminal one line that is rewritten; elsewhere a line every few seconds; nothing when quiet.
class progress_line {
public:
    explicit progress_line(bool quiet);
    ~progress_line();
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;

    /// Shows how far the work has come, if enough time has passed: the iterations of a fit, the fits of a sweep, the
    /// epochs of a training, the rows of a pass.
    void show(const gmm::progress& now);
    void show(const gmm::variational_progress& now);
    void show(const gmm::select_progress& now);
    void show(const vae::train_progress& now);
    void show(std::int64_t done, std::int64_t rows);

private:
    using clock = std::chrono::steady_clock;
    bool due() const;
    void print(std::string_view text);

    const bool quiet_, live_;
    bool line_open_ = false;
    clock::time_point last_shown_;
    std::int64_t restart_ = -1;
    std::optional<double>
        previous_; ///< log-likelihood one iteration before; ELBO on validation data after the last epoch
};

} // namespace elbo::cli
