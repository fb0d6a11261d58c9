// Rules that arrays of parameters keep; what breaks them is named.
#pragma once

#include "host/check.hpp"

#include <cmath>
#include <cstdint>
#include <fmt/format.h>
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

} // namespace elbo::gmm
