#include "host/gmm/stream/statistics_m_step.hpp"

#include "host/check.hpp"
#include "host/gmm/fit/fields.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/gmm/stream/statistics_state.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/regularization.hpp"
#include "host/rows/restarts.hpp"
#include "kernels/shared/host_sums.hpp"
#include "kernels/shared/m_step.hpp"

#include <algorithm>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Σ w x̃_i x̃_j, as far as the family knows it: where it has only the sum over the dimensions each gets an equal share.
double second_moment(const plain_sums& s, std::int64_t i, std::int64_t j) {
    const family f = s.shape.family;
    const std::int64_t d = s.shape.dimensions, size = statistics_size(f, d);
    const std::int64_t at = geometry(f).matrix() ? packed_upper(i, j, d) : geometry(f).at(i, j, d);
    const double share = 1 / static_cast<double>(geometry(f).repeats(d));
    if (is_tied(f))
        return share * s.scatter[at];
    double sum = 0;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double *values = &s.values[k * size], *first = values + 1, *mean = &s.under.means[k * d];
        sum += share * first[d + at] + mean[i] * first[j] + mean[j] * first[i] + values[0] * mean[i] * mean[j];
    }
    return sum;
}

/// Moments of the data that the sums saw, in its units: with the covariance as a matrix for full and tied families.
prior_moments moments_of(const plain_sums& s) {
    const std::int64_t d = s.shape.dimensions, size = statistics_size(s.shape.family, d);
    const double total = s.weight();
    const std::vector<double>& scale = s.frame.scale;
    std::vector<double> mean(d, 0);
    for (std::int64_t k = 0; k < s.shape.components; ++k)
        for (std::int64_t j = 0; j < d; ++j)
            mean[j] += (s.values[k * size] * s.under.means[k * d + j] + s.values[k * size + 1 + j]) / total;
    const auto covariance = [&](std::int64_t i, std::int64_t j) {
        return (second_moment(s, i, j) / total - mean[i] * mean[j]) * scale[i] * scale[j];
    };
    const bool matrix = geometry(s.shape.family).matrix();
    prior_moments m{total, std::vector<double>(d), std::vector<double>(matrix ? d * d : d)};
    for (std::int64_t i = 0; i < d; ++i) {
        m.mean[i] = s.frame.centre[i] + scale[i] * mean[i];
        for (std::int64_t j = i + 1; matrix && j < d; ++j)
            m.covariance[i * d + j] = m.covariance[j * d + i] = covariance(i, j);
        m.covariance[matrix ? i * d + i : i] = std::max(0.0, covariance(i, i));
    }
    return m;
}

/// The variances [d] of moments.
std::vector<double> variances_of(const prior_moments& m) {
    const std::size_t d = m.mean.size(), step = m.covariance.size() > d ? d + 1 : 1;
    std::vector<double> variances(d);
    for (std::size_t j = 0; j < d; ++j)
        variances[j] = m.covariance[j * step];
    return variances;
}

} // namespace

double plain_sums::weight() const {
    return values[values.size() - scalar_count + scalar_weight];
}

plain_sums plain(const statistics& statistics) {
    const internal::statistics_state& s = statistics.state();
    return {s.shape, s.frame, to_frame(s.under, s.frame), normalized_sums(s.sums, s.shape), s.scatter.values(),
            s.under};
}

m_step_result m_step(const plain_sums& s, const fit_options& options, std::vector<std::int32_t>& reseeds,
                     std::int64_t iteration) {
    const prior_moments moments = moments_of(s);
    update_rule rule;
    rule.total_weight = s.weight();
    rule.lambda = normalized_lambda(options, s.made_under, variances_of(moments), s.frame);
    rule.scatter = s.scatter;
    rule.on_collapse = options.on_collapse;
    if (options.prior)
        rule.prior = to_frame(complete_prior(*options.prior, s.shape, moments), s.shape, s.frame, 1);
    m_step_result result;
    result.lambda = rule.lambda;
    kernels::m_step step(s.shape, 1);
    step.reseeds() = reseeds;
    result.outcome = step.run(s.under, s.values, rule, result.next);
    reseeds = step.reseeds();
    if (options.on_collapse == collapse_policy::fail && !result.outcome.events.empty())
        throw_collapsed(result.outcome.events.front(), iteration);
    return result;
}

model made_model(const plain_sums& s, const m_step_result& made) {
    const model m = from_frame(s.shape.family, made.next, s.frame);
    const model& kept = s.made_under;
    return kept.regularization().empty()
               ? m
               : keep_regularization(m, made.lambda, kept.regularization_variances(), s.frame);
}

model maximize(const statistics& s, const fit_options& options) {
    expects(s.samples() > 0, [] { return std::string("statistics are empty: accumulate data before maximize"); });
    check_field(options, &fit_options::regularization);
    check_field(options, &fit_options::relative_regularization);
    const plain_sums sums = plain(s);
    if (options.prior)
        check_prior(*options.prior, sums.shape.family, sums.shape.dimensions);
    std::vector<std::int32_t> reseeds(sums.shape.components, 0);
    return made_model(sums, m_step(sums, options, reseeds, 0));
}

} // namespace elbo::gmm
