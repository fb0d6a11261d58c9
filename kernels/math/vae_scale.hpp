// The σ² of gaussian_scale::optimal while parameters move.
//
// For a given network the σ² that maximises the ELBO of a data set is its mean squared error (Rybkin, Daniilidis and
// Levine, arXiv 2006.13202). That of each batch would be another thing: −½ D ln σ² is convex in σ², so the mean over
// batches of bounds with a σ of each lies above the bound of every model, with batches of B rows by about 1/(2 B) nats
// a sample. A step therefore goes by the errors of the last `window` rows, its own among them, so that one error that
// happens to be nearly 0 cannot make the gradient of the next row explode; a batch of the whole window goes by itself.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

/// Squared errors of the rows before, older ones less and less.
struct running_scale {
    double squared_error = 0; ///< Σ mean_s Σ_d (x − mean)², faded
    double rows = 0;          ///< that they are of, faded in the same way; 0: none yet
};

/// Rows that a running scale looks back on where the data has as many: its mean over D columns of 1,024 independent
/// rows is known to √(2 / 1024 D), 4 % for D = 1.
inline constexpr std::int64_t scale_window = 1024;

/// The sums with a batch more: what came before counts as window − rows rows at the most.
ELBO_HD inline running_scale with_batch(const running_scale& before, double squared_error, double rows, double window) {
    const double kept = rows < window ? 1 - rows / window : 0;
    return {kept * before.squared_error + squared_error, kept * before.rows + rows};
}

/// ln of the mean squared error.
ELBO_HD inline double optimal_log_variance(const running_scale& s, std::int64_t dimensions) {
    return std::log(s.squared_error / (s.rows * static_cast<double>(dimensions)));
}

} // namespace elbo::kernels
