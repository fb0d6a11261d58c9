// Rules that arrays of parameters keep; what breaks them is named.
#pragma once

#include "host/check.hpp"

#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::gmm {

/// Throws invalid_argument unless there are `want` numbers; `shape` says where that number comes from.
inline void check_size(std::string_view name, std::size_t got, std::int64_t want, std::string_view shape) {
    expects(static_cast<std::int64_t>(got) == want,
            [&] { return fmt::format("{} has {} numbers: expected {} = {}", name, got, shape, want); });
}

inline void check_finite(std::string_view name, const std::vector<double>& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        expects(std::isfinite(values[i]),
                [&] { return fmt::format("{}[{}] = {}: expected a finite number", name, i, values[i]); });
}

/// Weights that are not negative and sum to one, made to do so exactly where they nearly do.
inline std::vector<double> checked_weights(std::vector<double> weights) {
    expects(!weights.empty(), "weights is empty: a mixture needs at least one component");
    check_finite("weights", weights);
    double sum = 0;
    for (std::size_t k = 0; k < weights.size(); ++k) {
        expects(weights[k] >= 0, [&] { return fmt::format("weights[{}] = {}: expected at least 0", k, weights[k]); });
        sum += weights[k];
    }
    expects(std::abs(sum - 1) <= 1e-6, [&] { return fmt::format("weights sum to {}: expected 1", sum); });
    if (std::abs(sum - 1) > 4e-16 * static_cast<double>(weights.size()))
        for (double& w : weights)
            w /= sum;
    return weights;
}

} // namespace elbo::gmm
