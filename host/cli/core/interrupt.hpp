// Ctrl-C as a flag that long work looks at.
#pragma once

namespace elbo::cli {

/// While it lives, the first SIGINT sets a flag; the second ends the process at once. The flag goes with it.
class interrupt_guard {
public:
    interrupt_guard();
    ~interrupt_guard();
    interrupt_guard(const interrupt_guard&) = delete;
    interrupt_guard& operator=(const interrupt_guard&) = delete;
};

/// Whether the signal has come.
bool interrupt_requested();
/// Throws elbo::interrupted if it has: for a command that has nothing worth keeping.
void throw_if_interrupted();

} // namespace elbo::cli
