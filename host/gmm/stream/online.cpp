#include "elbo/gmm/online.hpp"

#include "host/check.hpp"
#include "host/gmm/stream/fields.hpp"
#include "host/gmm/stream/online_moments.hpp"
#include "host/rows/regularization.hpp"
#include "host/rows/row_feed.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

namespace {

void check_state(const online_state& s) {
    const std::int64_t k = s.model.components();
    const std::int64_t wanted = covariance_size(s.model.shape(), k, s.model.dimensions());
    expects(static_cast<std::int64_t>(s.covariances.size()) == wanted, [&] {
        return fmt::format("covariances has {} numbers: expected {}, as the model", s.covariances.size(), wanted);
    });
    expects(static_cast<std::int64_t>(s.reseeds.size()) == k,
            [&] { return fmt::format("reseeds has {} numbers: expected {}, the components", s.reseeds.size(), k); });
    check_fields(s);
}

double rate_of(const online_options& o, std::int64_t step) {
    return o.rate ? *o.rate : std::pow(static_cast<double>(step) + o.t0, -o.kappa);
}

fit_options m_step_options(const online_options& o) {
    fit_options options;
    options.regularization = o.regularization;
    options.relative_regularization = o.relative_regularization;
    options.on_collapse = o.on_collapse;
    return options;
}

/// Of the components that are left: those that were dropped have weight zero.
std::vector<std::int32_t> kept(const std::vector<std::int32_t>& reseeds, const gmm_parameters& next) {
    std::vector<std::int32_t> result;
    for (std::size_t k = 0; k < reseeds.size(); ++k)
        if (!std::isinf(next.log_weights[k]))
            result.push_back(reseeds[k]);
    return result;
}

} // namespace

online::online(const gmm::model& start, const online_options& options)
    : online({start, start.covariances(), std::vector<std::int32_t>(start.components(), 0)}, options) {}

online::online(online_state state, const online_options& options) : state_(std::move(state)), options_(options) {
    check_fields(options_);
    check_state(state_);
}

online_step online::partial_fit(const context& ctx, const data_source& batch, const sample_weights& weights) {
    statistics s(state_.model);
    s.accumulate(ctx, batch, weights);
    return partial_fit(s);
}

online_step online::partial_fit(const statistics& batch) {
    expects(batch.samples() > 0,
            [] { return std::string("statistics are empty: accumulate data before partial_fit"); });
    expects(batch.under() == state_.model,
            [] { return std::string("statistics were made under another model: expected online::model()"); });
    online_step step;
    step.step = state_.steps + 1;
    step.rate = rate_of(options_, step.step);
    step.samples = batch.samples();
    step.total_weight = batch.total_weight();
    step.log_likelihood = batch.total_log_likelihood() / step.total_weight;
    step.entropy = batch.total_entropy() / step.total_weight;

    const plain_sums sums = blend(state_, plain(batch), step.rate);
    std::vector<std::int32_t> reseeds = state_.reseeds;
    m_step_result made = m_step(sums, m_step_options(options_), reseeds, step.step);
    step.events = std::move(made.outcome.events);
    for (event& e : step.events)
        e.iteration = step.step;

    gmm::model next = made_model(sums, made);
    // Where a component was re-seeded or dropped, the model is what its statistics shall be from here on.
    std::vector<double> covariances = step.events.empty() ? moments_about(sums, made.next) : next.covariances();
    state_ = {std::move(next), std::move(covariances),        kept(reseeds, made.next),
              step.step,       state_.samples + step.samples, state_.total_weight + step.total_weight};
    return step;
}

} // namespace elbo::gmm
