// What this machine can do at best, to which times are compared.
#pragma once

#include "bench/harness.hpp"

namespace elbo::bench {

double seconds_now(clock_kind clock);

/// With the threads of the settings, or on the device.
struct machine_rates {
    double sgemm_gflops = 0; ///< of the BLAS: 1024 x 1024 x 1024, on a device 4096 x 4096 x 4096
    double copy_gbs = 0;     ///< of a copy far beyond the caches, bytes read and written
};
/// Medians of repeated runs; less exact with settings::quick.
machine_rates measure_machine(const settings& s);

} // namespace elbo::bench
