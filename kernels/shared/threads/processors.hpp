// How many threads and how much memory the machine has room for.
#pragma once

#include <cstdint>
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

/// Bytes of memory that they grant in the same way (memory.limit_in_bytes, memory.max).
std::int64_t granted_memory(const std::string& root = "");

/// Bytes of memory that this process may use: those of the machine, or fewer by its control groups, read once a
/// process.
std::int64_t machine_memory();

/// Threads where nobody says how many: OMP_NUM_THREADS (the first number of its list), else processors(). What is no
/// positive number is taken as not set.
int default_threads();

/// Threads beside the calling one that a limit of the address space (ulimit -v) leaves room for. Each may take 64 MiB
/// for malloc, as much again in passing, a stack, and up to 128 MiB for OpenBLAS, which waits for its memory for ever.
int helpers_with_room();

} // namespace elbo::kernels
