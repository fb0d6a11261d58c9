// How long a slice of steps should be, and when it is time for something.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace elbo::vae {

class stopwatch {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
    void restart() { start_ = std::chrono::steady_clock::now(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Steps of a slice such that it takes about slice_seconds: often enough for progress, interrupts and checkpoints,
/// seldom enough that waiting for a device costs nothing. No result depends on it.
class slice_pace {
public:
    std::int64_t steps() const { return steps_; }
    void took(std::int64_t steps, double seconds) {
        const double wanted = static_cast<double>(steps) * slice_seconds / std::max(seconds, 1e-6);
        steps_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(wanted), 1, 8 * steps_);
        steps_ = std::min(steps_, most_steps);
    }

private:
    static constexpr double slice_seconds = 0.3;
    static constexpr std::int64_t most_steps = 1 << 16;
    std::int64_t steps_ = 1;
};

} // namespace elbo::vae
