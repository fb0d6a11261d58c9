// Timing by repetition, what this machine can do at best, and records as JSON.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

namespace elbo::bench {

/// What is counted: time that passes, or processor time of this process, which other programs on the machine do not
/// change (for one thread; waiting threads count too).
enum class clock_kind { wall, cpu };

inline double seconds_now(clock_kind clock) {
    timespec t{};
    clock_gettime(clock == clock_kind::wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
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
inline timing measure(clock_kind clock, const std::function<void()>& prepare, const std::function<void()>& work,
                      double budget) {
    prepare();
    work();
    timing t;
    double spent = 0;
    do {
        prepare();
        const double begin = seconds_now(clock);
        work();
        t.runs.push_back(seconds_now(clock) - begin);
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
machine_rates measure_machine(clock_kind clock, int threads);

} // namespace elbo::bench
