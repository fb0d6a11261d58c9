#include "host/gmm/statistics_m_step.hpp"

#include "host/check.hpp"
#include "host/gmm/regularization.hpp"
#include "host/gmm/statistics_state.hpp"
#include "kernels/host_loop.hpp"
#include "kernels/math/normalize_statistics.hpp"
#include "kernels/reference/gmm_engine.hpp"

#include <algorithm>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Σ w r (x̃_j − μ̃_j)² of component k; for the spherical family its mean over the dimensions.
double second_moment(const plain_sums& s, std::int64_t k, std::int64_t j) {
    const std::int64_t d = s.shape.dimensions;
    const double* second = &s.values[k * statistics_size(s.shape.family, d) + 1 + d];
    return s.shape.family == family::full       ? second[packed_upper(j, j, d)]
           : s.shape.family == family::diagonal ? second[j]
                                                : second[0] / static_cast<double>(d);
}

/// Σ w x̃_j² of a tied family.
double scatter_of(const plain_sums& s, std::int64_t j) {
    return s.shape.family == family::tied            ? s.scatter[packed_upper(j, j, s.shape.dimensions)]
           : s.shape.family == family::tied_diagonal ? s.scatter[j]
                                                     : s.scatter[0] / static_cast<double>(s.shape.dimensions);
}

/// Σ w x_j² / W − mean²: variances of the data that the sums saw, in their units.
std::vector<double> column_variances(const plain_sums& s) {
    const std::int64_t d = s.shape.dimensions, size = statistics_size(s.shape.family, d);
    const bool tied = is_tied(s.shape.family);
    std::vector<double> variances(d);
    for (std::int64_t j = 0; j < d; ++j) {
        double sum = 0, squares = tied ? scatter_of(s, j) : 0;
        for (std::int64_t k = 0; k < s.shape.components; ++k) {
            const double n = s.values[k * size], m = s.under.means[k * d + j], first = s.values[k * size + 1 + j];
            sum += n * m + first;
            if (!tied)
                squares += second_moment(s, k, j) + 2 * m * first + n * m * m;
        }
        const double mean = sum / s.weight();
        variances[j] = std::max(0.0, squares / s.weight() - mean * mean) * s.frame.scale[j] * s.frame.scale[j];
    }
    return variances;
}

} // namespace

double plain_sums::weight() const {
    return values[values.size() - scalar_count + scalar_weight];
}

plain_sums plain(const statistics& statistics) {
    const internal::statistics_state& s = statistics.state();
    plain_sums sums{s.shape, s.frame, to_frame(s.under, s.frame), std::vector<double>(sum_count(s.shape)),
                    scatter_values(s.scatter)};
    for (std::size_t i = 0; i < sums.values.size(); ++i)
        sums.values[i] = s.value(static_cast<std::int64_t>(i));
    normalize_statistics(sums.values.data(), s.shape);
    return sums;
}

m_step_result m_step(const plain_sums& s, const fit_options& options, std::vector<std::int32_t>& reseeds,
                     std::int64_t iteration) {
    update_rule rule;
    rule.total_weight = s.weight();
    rule.lambda = normalized_lambda(options, column_variances(s), s.frame);
    rule.scatter = s.scatter;
    rule.on_collapse = options.on_collapse;
    m_step_result result;
    result.outcome = reference::m_step(s.shape, s.under, s.values, rule, reseeds, result.next);
    if (options.on_collapse == collapse_policy::fail && !result.outcome.events.empty())
        throw_collapsed(result.outcome.events.front(), iteration);
    return result;
}

model maximize(const statistics& s, const fit_options& options) {
    expects(s.samples() > 0, [] { return std::string("statistics are empty: accumulate data before maximize"); });
    check_regularization(options.regularization, options.relative_regularization);
    const plain_sums sums = plain(s);
    std::vector<std::int32_t> reseeds(sums.shape.components, 0);
    return from_frame(sums.shape.family, m_step(sums, options, reseeds, 0).next, sums.frame);
}

} // namespace elbo::gmm
