// The float64 arithmetic of a start on the host: moments, coordinates, factors.
#pragma once

#include "host/gmm/start/start.hpp"
#include "host/gmm/start/start_labels.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/start_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Weighted moments of a set of rows about their mean.
struct moments {
    double weight = 0;
    std::vector<double> mean;       ///< [d]
    std::vector<double> covariance; ///< [d x d], or variances [d] where a diagonal is all that is needed
};

/// Moments of these rows, each counted w·r times. The rows are gathered, so that a matrix product does the work.
moments weighted_moments(const start_sample& s, const std::vector<row_share>& rows, bool matrix);

/// Moments of all usual rows.
moments total_moments(const start_sample& s, bool matrix);

/// Moments of the rows that are known to come from component k; of weight 0 where there are none.
moments labelled_moments(const start_sample& s, std::int64_t k);

/// The rows in such coordinates, in `own` unless they are plain.
const std::vector<double>& rows_in(kernels::start_coordinates c, const start_sample& s, const moments& total,
                                   std::vector<double>& own);

/// Gathers covariances into the factors of the family.
class factor_builder {
public:
    factor_builder(family f, std::int64_t d, const std::vector<double>& lambda);
    /// Appends the factor of a covariance ([d x d] or [d], without λ).
    void append(std::vector<double> c, std::vector<double>& factors) const;

private:
    family f_;
    std::int64_t d_;
    const std::vector<double>& lambda_;
    double mean_lambda_ = 0;
};

/// M-step from first responsibilities. A component with few rows borrows from the pooled covariance, as if d + 1 rows
/// of the sample came from there: without it a cluster of a few rows would begin singular.
kernels::gmm_parameters parameters_from(const start_sample& s, const kernels::gmm_shape& shape,
                                        const first_responsibilities& r, const std::vector<double>& lambda);

} // namespace elbo::gmm
