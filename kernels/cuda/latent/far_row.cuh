// Rows too far from a model for its log-density to be a number.
#pragma once

#include <cstdint>

namespace elbo::kernels::cuda {

/// The first of them, in device memory, among rows of which a slab begins with row `begin`.
struct far_row {
    unsigned long long* first;
    std::int64_t begin;

    __device__ void note(std::int64_t n, double log_density) const {
        if (!::isfinite(log_density))
            atomicMin(first, static_cast<unsigned long long>(begin + n));
    }
};

} // namespace elbo::kernels::cuda
