// What a statistics object holds.
#pragma once

#include "elbo/gmm/statistics.hpp"
#include "host/rows/row_feed.hpp"

namespace elbo::gmm::internal {

struct statistics_state {
    gmm::model under;
    kernels::frame frame;
    kernels::gmm_shape shape;
    kernels::fixed_sums sums;    ///< limbs, carried
    kernels::fixed_sums scatter; ///< tied families
    std::int64_t samples = 0;

    /// One of the scalars behind the components.
    double scalar(kernels::sum_scalar which) const;
};

} // namespace elbo::gmm::internal
