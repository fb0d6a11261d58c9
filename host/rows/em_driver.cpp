#include "host/rows/em_driver.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>

namespace elbo {

void require_finite(std::int64_t iteration, double objective) {
    if (!std::isfinite(objective))
        throw error(
            fmt::format("iteration {}: the objective is {}: expected a finite number; rows may lie too far from "
                        "every component for the arithmetic (compute in float64, or scale the columns)",
                        iteration, objective));
}

} // namespace elbo
