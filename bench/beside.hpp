// What is left of the speed beside other programs: the option --beside=N of all benchmarks.
#pragma once

#include "bench/harness.hpp"

#include <functional>
#include <string>
#include <vector>

namespace elbo::bench {

/// Processes in endless loops, free to run on every processor that this program may run on. They end with the object,
/// and with this program however it ends.
class busy_loops {
public:
    explicit busy_loops(int count);
    ~busy_loops();
    busy_loops(const busy_loops&) = delete;
    busy_loops& operator=(const busy_loops&) = delete;

private:
    std::vector<int> processes_;
};

/// A benchmark by name; `make` may throw.
struct named_operation {
    std::string name;
    std::function<operation()> make;
};

/// Times each operation in turn with nothing else running and beside `loops` busy loops: three runs of 10 seconds each
/// way, idle and loaded in turn, by the wall clock. Prints the medians in runs a second and their ratio; with `quick`
/// the runs are short. False where an operation was not timed.
bool run_beside(const std::vector<named_operation>& operations, int loops, bool quick);

} // namespace elbo::bench
