#include "host/gmm/select/plan.hpp"

#include "host/gmm/start/start.hpp"
#include "kernels/contract/gmm_layout.hpp"

#include <algorithm>

namespace elbo::gmm {

bool fills_machine(const fit_shape& s, std::int64_t threads) {
    const std::int64_t units = (s.rows + kernels::unit_rows - 1) / kernels::unit_rows;
    const double numbers = cost(s, false);
    return threads == 1 || (units >= 2 * threads && numbers >= 0x1p22);
}

bool has_separate_restarts(const fit_shape& s) {
    return s.rows <= start_row_limit(s.components, s.dimensions);
}

double cost(const fit_shape& s, bool matrices) {
    const auto rows = static_cast<double>(s.rows), d = static_cast<double>(s.dimensions);
    return rows * static_cast<double>(s.components) * d * (matrices ? d : 1);
}

std::int64_t side_by_side(std::int64_t wanted, std::int64_t fits, std::int64_t bytes_each, std::int64_t available) {
    const std::int64_t affordable = available / std::max<std::int64_t>(1, bytes_each);
    return std::max<std::int64_t>(1, std::min({wanted, fits, affordable}));
}

} // namespace elbo::gmm
