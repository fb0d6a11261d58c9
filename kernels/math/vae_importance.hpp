// Log-sum-exp over the draws of a row, one draw or one part of them at a time, so that no weights are kept.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

namespace elbo::kernels {

/// Σ w and Σ w² of weights given by their logarithms, relative to the largest so far.
struct importance_sum {
    double largest = -std::numeric_limits<double>::infinity();
    double sum = 0;     ///< Σ e^(ln w − largest)
    double squares = 0; ///< Σ e^2(ln w − largest)

    /// Adds the sums of other draws; NaN stays NaN. Weights of 0 (ln w = −∞) change nothing.
    ELBO_HD void add(const importance_sum& other) {
        if (other.sum == 0)
            return;
        if (other.largest > largest) {
            const double factor = std::exp(largest - other.largest);
            sum *= factor;
            squares *= factor * factor;
            largest = other.largest;
        }
        const double factor = std::exp(other.largest - largest);
        sum += other.sum * factor;
        squares += other.squares * factor * factor;
    }
    ELBO_HD void add(double log_weight) {
        const bool zero = log_weight == -std::numeric_limits<double>::infinity();
        add(importance_sum{log_weight, zero ? 0.0 : 1.0, zero ? 0.0 : 1.0});
    }

    /// ln 1/S Σ w; −∞ where all weights are 0.
    ELBO_HD double log_mean(std::int64_t draws) const {
        return largest + (std::log(sum) - std::log(static_cast<double>(draws)));
    }
    /// (Σ w)² / Σ w², from 1 to the number of draws; 0 where all weights are 0.
    ELBO_HD double effective_samples() const { return squares == 0 ? 0 : sum * sum / squares; }
};

} // namespace elbo::kernels
