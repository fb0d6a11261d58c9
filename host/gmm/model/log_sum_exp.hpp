// log Σ exp on the host.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

namespace elbo::gmm {

/// log Σ exp of `count` numbers, `stride` apart; −infinity for none but −infinity.
inline double log_sum_exp(const double* x, std::size_t count, std::size_t stride = 1) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < count; ++i)
        largest = std::fmax(largest, x[i * stride]);
    if (std::isinf(largest))
        return largest;
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i)
        sum += std::exp(x[i * stride] - largest);
    return largest + std::log(sum);
}

} // namespace elbo::gmm
