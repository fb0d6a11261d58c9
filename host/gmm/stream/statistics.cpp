#include "elbo/gmm/statistics.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/gmm/stream/statistics_state.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/restarts.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/normalize_statistics.hpp"
#include "kernels/shared/m_step.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Scale of the sums: in the frame of the model the data are of order one, so 2⁵⁰ holds 10¹² samples a thousand
/// deviations away, and what is lost, below 2⁻⁷⁶, is nothing to a variance that float32 data can show.
constexpr double component_bound = 0x1p50;
/// Log-densities reach further than squares in that frame: 2³⁴ times as far, for components 2⁻¹⁷ as wide as all of them
/// together. The scalars of a unit are rounded to 2⁻⁴¹, Σ w among them: that must be little of the weights.
constexpr double scalar_bound = 0x1p84, least_of_unit = 0x1p-26;
/// By how much the partial of a unit and the sum may exceed that bound: a partial enters the topmost limb with 42 bits
/// for the bound, and up to 51 are rounded rightly (kernels/cpu/gmm/ingest_kernels.cpp); the limb has 63.
constexpr double most_of_unit = 0x1p9, most_of_all = 0x1p20;

/// What the weights of rows are multiplied by, and the power of two in units of which the sums are taken then: both are
/// 1 where objects are to merge.
struct weight_range {
    double scale = 1, unit = 1;
};

/// Throws invalid_argument that names the value which is farthest from the model, relative to its scale.
[[noreturn]] void throw_too_far(const frame& f, const row_feed& feed, const data_summary& summary) {
    std::int64_t column = 0;
    double value = 0, farthest = -1;
    for (std::size_t j = 0; j < f.centre.size(); ++j)
        for (double end : {summary.min[j], summary.max[j]})
            if (const double away = std::abs(end - f.centre[j]) / f.scale[j]; away > farthest)
                column = static_cast<std::int64_t>(j), value = end, farthest = away;
    throw invalid_argument(fmt::format("{}: row {}, column {} is {:.6g}: {:.3g} standard deviations of the model away, "
                                       "too far for the sums; leave the row out or give it the weight 0",
                                       feed.data().description(), feed.find_row(column, value),
                                       column_label(feed.data(), column), value, farthest));
}

/// Throws invalid_argument where the sums of rows leave their range.
void check_range(const internal::statistics_state& s, const row_feed& feed, const data_summary& summary,
                 const weight_range& range) {
    const data_source& data = feed.data();
    const auto in_units = [&](double weight) { return range.scale * weight / range.unit; };
    const double reach = largest_normalized(summary, s.frame), of_all = in_units(summary.weight),
                 of_unit = std::min(of_all, in_units(summary.largest_weight) * static_cast<double>(kernels::unit_rows));
    const auto fits = [&](double away) {
        return component_sum_bound(of_unit, away, s.shape.dimensions) < component_bound * most_of_unit &&
               component_sum_bound(of_all, away, s.shape.dimensions) < component_bound * most_of_all;
    };
    if (!fits(reach) && fits(1))
        throw_too_far(s.frame, feed, summary);
    expects(fits(reach), [&] {
        return fmt::format("the weights of the rows of {} sum to {:.3g}: too much for the sums; scale the weights down",
                           data.description(), summary.weight);
    });
    const std::int64_t units = (summary.rows + kernels::unit_rows - 1) / kernels::unit_rows;
    expects(of_all >= least_of_unit * static_cast<double>(units), [&] {
        return fmt::format("the weights of the {} rows of {} sum to {:.3g}: too little for the sums; scale the weights "
                           "up",
                           summary.rows, data.description(), summary.weight);
    });
}

/// Adds E-step and sums over the rows; all or nothing.
void add_rows(internal::statistics_state& s, const context& ctx, row_feed& feed, const weight_range& range) {
    const data_source& data = feed.data();
    check_width(data, s.shape.dimensions);
    const auto engine = make_engine(ctx, s.shape, compute_precision::automatic, data.type());
    const data_summary summary = feed.summarize(*engine);
    check_range(s, feed, summary, range);
    fixed_sums scatter(scatter_size(s.shape), component_bound);
    engine->reserve(std::min(data.rows(), feed.batch_rows()), feed.weighted(), feed.known());
    engine->set_parameters(to_frame(s.under, s.frame));
    engine->clear_sums(component_bound * range.unit, scalar_bound * range.unit);
    feed.for_each([&](input_rows batch, std::int64_t) {
        batch.weight_scale = range.scale;
        engine->load(batch, s.frame, 0);
        engine->accumulate(0, batch.x.rows);
        if (is_tied(s.shape.family))
            engine->accumulate_scatter(0, batch.x.rows, scatter);
    });
    s.sums.add(engine->sums());
    s.scatter.add(scatter);
    s.samples += summary.rows;
}

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

statistics::statistics(const model& m) {
    const gmm_shape shape{m.shape(), m.dimensions(), m.components()};
    state_ = std::make_unique<internal::statistics_state>(internal::statistics_state{m, frame_of(m), shape, {}, {}, 0});
    state_->sums = {sum_count(shape), scalar_count, component_bound, scalar_bound};
    state_->scatter = {scatter_size(shape), component_bound};
}

statistics::statistics(const statistics& other) : state_(std::make_unique<internal::statistics_state>(*other.state_)) {}
statistics::statistics(statistics&&) noexcept = default;
statistics& statistics::operator=(const statistics& other) {
    state_ = std::make_unique<internal::statistics_state>(*other.state_); // also where state_ was moved from
    return *this;
}
statistics& statistics::operator=(statistics&&) noexcept = default;
statistics::~statistics() = default;

void statistics::accumulate(const context& ctx, const data_source& data, const sample_weights& weights,
                            const sample_labels& labels) {
    // Objects with different weights must merge.
    row_feed feed(ctx, data, weights, labels, state_->shape.components, weight_units::as_given);
    add_rows(*state_, ctx, feed, {});
}

void statistics::merge(const statistics& other) {
    const frame &here = state_->frame, &there = other.state_->frame;
    expects(state_->under == other.state_->under && here.centre == there.centre && here.scale == there.scale,
            "statistics to merge were made under another model: expected the same model");
    state_->sums.add(other.state_->sums);
    state_->scatter.add(other.state_->scatter);
    state_->samples += other.state_->samples;
}

const model& statistics::under() const {
    return state_->under;
}
std::int64_t statistics::samples() const {
    return state_->samples;
}
double statistics::total_weight() const {
    return state_->scalar(scalar_weight);
}
double statistics::total_log_likelihood() const {
    return state_->scalar(scalar_log_likelihood) - total_weight() * log_scale(state_->frame);
}
double statistics::total_entropy() const {
    return state_->scalar(scalar_entropy);
}
std::vector<double> statistics::component_weights() const {
    std::vector<double> counts(state_->shape.components);
    const std::int64_t size = statistics_size(state_->shape.family, state_->shape.dimensions);
    for (std::size_t k = 0; k < counts.size(); ++k)
        counts[k] = state_->sums.value(static_cast<std::int64_t>(k) * size);
    return counts;
}
std::int64_t statistics::unit_rows() {
    return kernels::unit_rows;
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
    kernels::m_step step(s.shape, 1);
    step.reseeds() = reseeds;
    gmm_parameters next;
    const update_outcome outcome = step.run(s.under, s.values, rule, next);
    reseeds = step.reseeds();
    if (options.on_collapse == collapse_policy::fail && !outcome.events.empty())
        throw_collapsed(outcome.events.front(), iteration);
    model made = from_frame(s.shape.family, next, s.frame);
    if (!s.made_under.regularization().empty())
        made = keep_regularization(made, rule.lambda, s.made_under.regularization_variances(), s.frame);
    return {std::move(made), std::move(next), outcome.events};
}

model maximize(const statistics& s, const fit_options& options) {
    expects(s.samples() > 0, "statistics are empty: accumulate data before maximize");
    check_field(options, &fit_options::regularization);
    check_field(options, &fit_options::relative_regularization);
    const plain_sums sums = plain(s);
    if (options.prior)
        check_prior(*options.prior, sums.shape.family, sums.shape.dimensions);
    std::vector<std::int32_t> reseeds(sums.shape.components, 0);
    return m_step(sums, options, reseeds, 0).model;
}

score_result score(const context& ctx, const model& m, const data_source& data, const sample_weights& weights,
                   const sample_labels& labels) {
    statistics s(m);
    row_feed feed(ctx, data, weights, labels, m.components());
    const double scale = feed.weight_scale(), unit = feed.weight_unit();
    s.state().sums.component_exponent = fixed_exponent(component_bound * unit);
    s.state().sums.scalar_exponent = fixed_exponent(scalar_bound * unit);
    add_rows(s.state(), ctx, feed, {scale, unit});
    score_result r;
    // Means in the units of the sums: the totals of tiny weights have few digits.
    r.log_likelihood = s.total_log_likelihood() / s.total_weight();
    r.entropy = s.total_entropy() / s.total_weight();
    r.total_weight = s.total_weight() / scale;
    r.total_log_likelihood = s.total_log_likelihood() / scale;
    const double total_entropy = s.total_entropy() / scale;
    r.samples = s.samples();
    r.negligible = feed.negligible();
    r.bic = bic(m, r.total_log_likelihood, r.total_weight);
    r.aic = aic(m, r.total_log_likelihood);
    r.icl = icl(m, r.total_log_likelihood, total_entropy, r.total_weight);
    return r;
}

} // namespace elbo::gmm
