// What this machine can do at best, to which times are compared.
#pragma once

#include "bench/harness.hpp"

#include <string>

namespace elbo::bench {

double seconds_now(clock_kind clock);

/// With the threads of the settings, or on the device.
struct machine_rates {
    double fma_gflops = 0;   ///< float32 fused multiply-adds in registers, two operations each; on a device as sgemm
    double sgemm_gflops = 0; ///< of the BLAS: 1024 x 1024 x 1024, on a device 4096 x 4096 x 4096
    double copy_gbs = 0;     ///< of a copy far beyond the caches, bytes read and written
};
/// Medians of repeated runs; less exact with settings::quick.
machine_rates measure_machine(const settings& s);

/// Float32 operations a second of one thread in registers, by the widest instructions of the processor. The value
/// depends on `from`, so that no compiler leaves the work out.
struct fma_run {
    double operations;
    float value;
};
fma_run multiply_in_registers(std::int64_t rounds, float from);
/// "AVX-512", "AVX2" or "baseline instructions": what multiply_in_registers uses.
std::string fma_instructions();

} // namespace elbo::bench
