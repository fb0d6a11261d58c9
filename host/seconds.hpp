// Time spent in parts of a fit.
#pragma once

#include <chrono>

namespace elbo {

using steady_time = std::chrono::steady_clock::time_point;

inline double seconds_since(steady_time begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Does something and adds the seconds that it took.
template <class Action>
void timed(double& seconds, const Action& action) {
    const steady_time begin = std::chrono::steady_clock::now();
    action();
    seconds += seconds_since(begin);
}

} // namespace elbo
