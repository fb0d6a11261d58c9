// How many threads the machine has room for.
#pragma once

#include <string>

namespace elbo::kernels {

/// Processors that this thread may run on: its affinity mask.
int affinity_processors();

/// Processors' worth of time that the control groups of this process grant, rounded up: the least that its own group or
/// one above it allows, of version 1 (cpu.cfs_quota_us / cpu.cfs_period_us) and 2 (cpu.max). 0 where there is no limit,
/// or none that can be read. `root` stands before all paths: for tests.
int quota_processors(const std::string& root = "");

/// The smaller of the two; the quota is read once a process.
int processors();

/// Threads where nobody says how many: OMP_NUM_THREADS (the first number of its list), else processors(). What is no
/// positive number is taken as not set.
int default_threads();

} // namespace elbo::kernels
