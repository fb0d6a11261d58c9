#include "bench/beside.hpp"

#include "bench/machine.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <iostream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace elbo::bench {

namespace {

constexpr int repetitions = 3;

/// In the child: until the parent ends.
[[noreturn]] void loop_for(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    for (;;)
        asm volatile("");
}

/// Runs a second in about so many seconds.
double speed_of(const operation& o, double seconds) {
    std::int64_t runs = 0;
    double spent = 0;
    do {
        o.prepare();
        const double begin = seconds_now(clock_kind::wall);
        o.run();
        spent += seconds_now(clock_kind::wall) - begin;
        ++runs;
    } while (spent < seconds);
    return static_cast<double>(runs) / spent;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

} // namespace

busy_loops::busy_loops(int count) {
    const pid_t parent = getpid();
    for (int i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0)
            loop_for(parent);
        if (child < 0)
            throw std::runtime_error("a busy loop could not be started");
        processes_.push_back(child);
    }
}

busy_loops::~busy_loops() {
    for (const int process : processes_) {
        kill(process, SIGKILL);
        waitpid(process, nullptr, 0);
    }
}

bool run_beside(const std::vector<named_operation>& operations, int loops, bool quick) {
    const double seconds = quick ? 0.01 : 10, warm_up = quick ? 0 : 1;
    bool fine = true;
    std::cout << fmt::format("{:<48} {:>12} {:>12} {:>7}\n", fmt::format("runs a second beside {} busy loops", loops),
                             "idle", "loaded", "ratio");
    for (const named_operation& named : operations) {
        try {
            const operation o = named.make();
            if (!(o.error_share <= 1))
                throw std::runtime_error(fmt::format("results are off by {:.3g} times their bound", o.error_share));
            std::vector<double> idle, loaded;
            for (int r = 0; r < repetitions; ++r) {
                speed_of(o, warm_up);
                idle.push_back(speed_of(o, seconds));
                const busy_loops others(loops);
                speed_of(o, warm_up);
                loaded.push_back(speed_of(o, seconds));
            }
            const double alone = median(idle), beside = median(loaded);
            std::cout << fmt::format("{:<48} {:>12.5g} {:>12.5g} {:>7.3f}\n", named.name, alone, beside, beside / alone)
                      << std::flush;
        } catch (const std::exception& e) {
            std::cout << fmt::format("{:<48} not timed: {}\n", named.name, e.what());
            fine = false;
        }
    }
    return fine;
}

} // namespace elbo::bench
