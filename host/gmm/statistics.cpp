#include "elbo/gmm/statistics.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/check.hpp"
#include "host/gmm/expected_log_joint.hpp"
#include "host/gmm/regularization.hpp"
#include "host/gmm/statistics_state.hpp"
#include "kernels/host_loop.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/reference/gmm_engine.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Scale of the sums: in the frame of the model the data are of order one, so 2⁵⁰ holds 10¹² samples a thousand
/// deviations away, and what is lost, below 2⁻⁷⁶, is nothing to a variance that float32 data can show.
constexpr double component_bound = 0x1p50;
constexpr double scalar_bound = 0x1p100;

void add(fixed_sums& to, const fixed_sums& from) {
    const std::size_t count = to.limbs.size() / limb_count;
    for (std::size_t i = 0; i < count; ++i) {
        std::int64_t limbs[limb_count];
        for (int l = 0; l < limb_count; ++l)
            limbs[l] = to.limbs[l * count + i] + from.limbs[l * count + i];
        carry_fixed(limbs);
        for (int l = 0; l < limb_count; ++l)
            to.limbs[l * count + i] = limbs[l];
    }
}

/// Σ w x̃_j² / W − mean²: variances of the data that the statistics saw, in the frame.
std::vector<double> column_variances(const internal::statistics_state& s) {
    const std::int64_t d = s.shape.dimensions, size = statistics_size(s.shape.family, d);
    const gmm_parameters p = to_frame(s.under, s.frame);
    std::vector<double> mean(d, 0), square(d, 0);
    const double total = s.scalar(scalar_weight);
    const std::vector<double> scatter = scatter_values(s.scatter);
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double n = s.value(k * size);
        for (std::int64_t j = 0; j < d; ++j) {
            const double m = p.means[k * d + j], first = s.value(k * size + 1 + j);
            mean[j] += (n * m + first) / total;
            if (is_tied(s.shape.family))
                continue;
            const double second = s.shape.family == family::full ? s.value(k * size + 1 + d + packed_upper(j, j, d))
                                  : s.shape.family == family::diagonal
                                      ? s.value(k * size + 1 + d + j)
                                      : s.value(k * size + 1 + d) / static_cast<double>(d);
            square[j] += (second + 2 * m * first + n * m * m) / total;
        }
    }
    for (std::int64_t j = 0; j < d; ++j) {
        if (s.shape.family == family::tied)
            square[j] = scatter[packed_upper(j, j, d)] / total;
        if (s.shape.family == family::tied_diagonal)
            square[j] = scatter[j] / total;
        if (s.shape.family == family::tied_spherical)
            square[j] = scatter[0] / total / static_cast<double>(d);
        square[j] = std::max(0.0, square[j] - mean[j] * mean[j]) * s.frame.scale[j] * s.frame.scale[j];
    }
    return square;
}

} // namespace

namespace internal {

double statistics_state::value(std::int64_t i) const {
    const std::int64_t count = sum_count(shape);
    const std::int64_t limbs[limb_count] = {sums.limbs[i], sums.limbs[count + i], sums.limbs[2 * count + i]};
    return join_fixed(limbs, i < count - scalar_count ? sums.component_exponent : sums.scalar_exponent);
}

double statistics_state::scalar(sum_scalar which) const {
    return value(sum_count(shape) - scalar_count + which);
}

} // namespace internal

statistics::statistics(const model& m) {
    const gmm_shape shape{m.shape(), m.dimensions(), m.components()};
    state_ = std::make_unique<internal::statistics_state>(internal::statistics_state{m, frame_of(m), shape, {}, {}, 0});
    state_->sums = {std::vector<std::int64_t>(limb_count * sum_count(shape), 0), fixed_exponent(component_bound),
                    fixed_exponent(scalar_bound)};
    state_->scatter = empty_scatter(shape, component_bound);
}

statistics::statistics(const statistics& other) : state_(std::make_unique<internal::statistics_state>(*other.state_)) {}
statistics::statistics(statistics&&) noexcept = default;
statistics& statistics::operator=(const statistics& other) {
    *state_ = *other.state_;
    return *this;
}
statistics& statistics::operator=(statistics&&) noexcept = default;
statistics::~statistics() = default;

void statistics::accumulate(const context& ctx, const data_source& data, const sample_weights& weights,
                            const sample_labels& labels) {
    const internal::statistics_state& s = *state_;
    expects(data.cols() == s.shape.dimensions, [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), s.shape.dimensions);
    });
    row_feed feed(ctx, data, weights, labels, s.shape.components);
    const auto engine = make_engine(ctx, s.shape, compute_precision::automatic, data.type());
    const data_summary summary = feed.summarize(*engine);
    const double bound = component_sum_bound(summary.weight, largest_normalized(summary, s.frame), s.shape.dimensions);
    expects(bound < component_bound * 0x1p20, [&] {
        return fmt::format(
            "the rows of {} lie up to {:.3g} standard deviations of the model away and their weights sum to "
            "{:.3g}: too much for the sums; scale the weights down",
            data.description(), largest_normalized(summary, s.frame), summary.weight);
    });
    fixed_sums scatter = empty_scatter(s.shape, component_bound);
    engine->reserve(
        std::min(feed.batch_rows(), (data.rows() + kernels::unit_rows - 1) / kernels::unit_rows * kernels::unit_rows),
        feed.weighted(), feed.known());
    engine->set_parameters(to_frame(s.under, s.frame));
    engine->clear_sums(component_bound, scalar_bound);
    feed.for_each([&](input_rows batch, std::int64_t) {
        batch.weight_scale = 1; // objects with different weights must merge
        engine->load(batch, s.frame, 0);
        engine->accumulate(0, batch.x.rows);
        if (is_tied(s.shape.family))
            engine->accumulate_scatter(0, batch.x.rows, scatter);
    });
    add(state_->sums, engine->sums());
    add(state_->scatter, scatter);
    state_->samples += summary.rows;
}

void statistics::merge(const statistics& other) {
    expects(state_->under == other.state_->under,
            [] { return std::string("statistics to merge were made under another model: expected the same model"); });
    add(state_->sums, other.state_->sums);
    add(state_->scatter, other.state_->scatter);
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
        counts[k] = state_->value(static_cast<std::int64_t>(k) * size);
    return counts;
}
std::int64_t statistics::unit_rows() {
    return kernels::unit_rows;
}

model maximize(const statistics& statistics, const fit_options& options) {
    const internal::statistics_state& s = statistics.state();
    expects(s.samples > 0, [] { return std::string("statistics are empty: accumulate data before maximize"); });
    update_rule rule;
    rule.total_weight = statistics.total_weight();
    rule.lambda = normalized_lambda(options, column_variances(s), s.frame);
    rule.scatter = scatter_values(s.scatter);
    rule.on_collapse = options.on_collapse;
    const std::vector<double> sums = normalized_sums(s.sums, s.shape);
    std::vector<std::int32_t> reseeds(s.shape.components, 0);
    gmm_parameters next;
    const update_outcome outcome = reference::m_step(s.shape, to_frame(s.under, s.frame), sums, rule, reseeds, next);
    if (options.on_collapse == collapse_policy::fail && !outcome.events.empty())
        throw_collapsed(outcome.events.front(), 0);
    return from_frame(s.shape.family, next, s.frame);
}

score_result score(const context& ctx, const model& m, const data_source& data, const sample_weights& weights,
                   const sample_labels& labels) {
    statistics s(m);
    s.accumulate(ctx, data, weights, labels);
    score_result r;
    r.total_weight = s.total_weight();
    r.total_log_likelihood = s.total_log_likelihood();
    r.log_likelihood = r.total_log_likelihood / r.total_weight;
    r.entropy = s.total_entropy() / r.total_weight;
    r.samples = s.samples();
    r.bic = bic(m, r.total_log_likelihood, r.total_weight);
    r.aic = aic(m, r.total_log_likelihood);
    r.icl = icl(m, r.total_log_likelihood, s.total_entropy(), r.total_weight);
    return r;
}

} // namespace elbo::gmm
