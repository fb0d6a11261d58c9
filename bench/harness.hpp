// Timing by repetition, what this machine can do at best, and records as JSON.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

namespace elbo::bench {

inline double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of repeated runs, sorted.
struct timing {
    std::vector<double> runs;
    double median() const { return runs[runs.size() / 2]; }
    double fastest() const { return runs.front(); }
    /// Half the distance between the quartiles, relative to the median.
    double spread() const { return (runs[runs.size() * 3 / 4] - runs[runs.size() / 4]) / (2 * median()); }
};

/// One warm-up, then at least 5 runs of `work`, at least 20 where one takes less than a tenth of a second, until
/// `budget` seconds are spent. `prepare` runs before each and is not timed.
inline timing measure(const std::function<void()>& prepare, const std::function<void()>& work, double budget) {
    prepare();
    work();
    timing t;
    double spent = 0;
    do {
        prepare();
        const double begin = seconds_now();
        work();
        t.runs.push_back(seconds_now() - begin);
        spent += t.runs.back();
    } while (t.runs.size() < (t.runs.front() < 0.1 ? 20u : 5u) || (spent < budget && t.runs.size() < 10000));
    std::ranges::sort(t.runs);
    return t;
}

/// The best rates of this machine with the threads given, to which times are compared.
struct machine_rates {
    double sgemm_gflops = 0; ///< of the BLAS, 1024 x 1024 x 1024
    double copy_gbs = 0;     ///< of a copy far beyond the caches, bytes read and written
};
machine_rates measure_machine(int threads);

} // namespace elbo::bench
