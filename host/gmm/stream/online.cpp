// All sums are about the means of the model of the E-step, x̃ − μ̃_k in its frame, so nothing cancels however far the
// data lie from the origin. With n = Σ w r, f = Σ w r (x̃ − μ̃), S = Σ w r (x̃ − μ̃)(x̃ − μ̃)ᵀ and the new mean μ̃' = μ̃ + δ,
// δ = f / n, the sums about μ̃' are exactly
//
//     f' = f − n δ = 0,    S' = S − δ fᵀ − f δᵀ + n δ δᵀ = S − n δ δᵀ,    C = S' / n
//
// so weights, means and C are the whole of the running statistics, in the units of the data and in no frame. The tied
// families have one matrix instead, G = Σ w x̃ x̃ᵀ = C + Σ_k n_k μ̃_k μ̃_kᵀ, for weights that sum to one.
#include "elbo/gmm/online.hpp"

#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/stream/statistics_state.hpp"
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

/// Of the components that are left: those that were dropped have weight zero.
std::vector<std::int32_t> kept(const std::vector<std::int32_t>& reseeds, const gmm_parameters& next) {
    std::vector<std::int32_t> result;
    for (std::size_t k = 0; k < reseeds.size(); ++k)
        if (!std::isinf(next.log_weights[k]))
            result.push_back(reseeds[k]);
    return result;
}

/// Calls visit(i, j, element in model::covariances(), position in the packed upper triangle) for each pair i ≤ j of a
/// matrix, each i = j of a diagonal, or once for a spherical family (i = j = 0).
template <class Visit>
void for_each_moment(family f, std::int64_t d, const Visit& visit) {
    const bool matrix = geometry(f).matrix();
    for (std::int64_t i = 0; i < (geometry(f).spherical() ? 1 : d); ++i)
        for (std::int64_t j = i; j < (matrix ? d : i + 1); ++j)
            visit(i, j, matrix ? i * d + j : i, matrix ? packed_upper(i, j, d) : i);
}

/// Σ_k n_k a_ki a_kj over the components, with i = j summed for a spherical family.
double spread_of(const plain_sums& s, const std::vector<double>& means, const std::vector<double>& counts,
                 std::int64_t i, std::int64_t j) {
    const std::int64_t d = s.shape.dimensions;
    double sum = 0;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double* m = &means[k * d];
        if (s.shape.family != family::tied_spherical)
            sum += counts[k] * m[i] * m[j];
        else
            for (std::int64_t c = 0; c < d; ++c)
                sum += counts[k] * m[c] * m[c];
    }
    return sum;
}

/// (1 − rate) times the moments of the state, plus rate times the batch per unit of weight. The batch was summed under
/// the model of the state.
plain_sums blend(const online_state& s, const plain_sums& batch, double rate) {
    const family f = batch.shape.family;
    const std::int64_t d = batch.shape.dimensions, size = statistics_size(f, d);
    const std::vector<double>&weights = s.model.weights(), &scale = batch.frame.scale;
    const double keep = 1 - rate, take = rate / batch.weight(),
                 times = static_cast<double>(
                     geometry(f).repeats(d)); // a spherical family keeps the sum over the dimensions
    plain_sums sums = batch;
    for (double& v : sums.values)
        v *= take;
    for (double& v : sums.scatter)
        v *= take;
    for (std::int64_t k = 0; k < batch.shape.components; ++k)
        sums.values[k * size] += keep * weights[k];
    sums.values[sums.values.size() - scalar_count + scalar_weight] += keep;
    for_each_moment(f, d, [&](std::int64_t i, std::int64_t j, std::int64_t element, std::int64_t packed) {
        const auto normalized = [&](std::int64_t k) { // its covariance in the frame
            const std::int64_t each = geometry(f).size(d);
            return times * s.covariances[k * each + element] / (scale[i] * scale[j]);
        };
        if (is_tied(f))
            sums.scatter[packed] += keep * (normalized(0) + spread_of(batch, batch.under.means, weights, i, j));
        else
            for (std::int64_t k = 0; k < batch.shape.components; ++k)
                sums.values[k * size + 1 + d + packed] += keep * weights[k] * normalized(k);
    });
    return sums;
}

/// Covariances (layout of model::covariances, units of the data) about the means of `next` that sums of weight 1 stand
/// for, without regularisation. Components that `next` has without weight are left out, as from_frame does.
std::vector<double> moments_about(const plain_sums& s, const gmm_parameters& next) {
    const family f = s.shape.family;
    const std::int64_t d = s.shape.dimensions, size = statistics_size(f, d), each = geometry(f).size(d);
    const double times =
        static_cast<double>(geometry(f).repeats(d)); // a spherical family keeps the sum over the dimensions
    std::vector<double> counts;
    std::vector<std::int64_t> left;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        counts.push_back(s.values[k * size]);
        if (!std::isinf(next.log_weights[k]))
            left.push_back(k);
    }
    std::vector<double> covariances(covariance_size(f, std::ssize(left), d));
    const auto put = [&](std::int64_t k, std::int64_t i, std::int64_t j, std::int64_t element, double normalized) {
        const double value = normalized * s.frame.scale[i] * s.frame.scale[j] / times;
        covariances[k * each + element] = value;
        if (i != j)
            covariances[k * each + j * d + i] = value;
    };
    for_each_moment(f, d, [&](std::int64_t i, std::int64_t j, std::int64_t element, std::int64_t packed) {
        if (is_tied(f))
            return put(0, i, j, element, s.scatter[packed] - spread_of(s, next.means, counts, i, j));
        for (std::int64_t at = 0; at < std::ssize(left); ++at) {
            const std::int64_t k = left[at];
            const double* first = &s.values[k * size + 1];
            const double n = counts[k];
            double shift = first[i] * first[j];
            if (f == family::spherical) {
                shift = 0;
                for (std::int64_t c = 0; c < d; ++c)
                    shift += first[c] * first[c];
            }
            put(at, i, j, element, first[d + packed] / n - shift / (n * n));
        }
    });
    return covariances;
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
    expects(batch.samples() > 0, "statistics are empty: accumulate data before partial_fit");
    expects(batch.under() == state_.model, "statistics were made under another model: expected online::model()");
    online_step step;
    step.step = state_.steps + 1;
    step.rate =
        options_.rate ? *options_.rate : std::pow(static_cast<double>(step.step) + options_.t0, -options_.kappa);
    step.samples = batch.samples();
    step.total_weight = batch.total_weight();
    step.log_likelihood = batch.total_log_likelihood() / step.total_weight;
    step.entropy = batch.total_entropy() / step.total_weight;

    const plain_sums sums = blend(state_, plain(batch), step.rate);
    std::vector<std::int32_t> reseeds = state_.reseeds;
    fit_options m_step_options;
    copy_fields(options_, m_step_options);
    m_step_result made = m_step(sums, m_step_options, reseeds, step.step);
    step.events = std::move(made.events);
    for (event& e : step.events)
        e.iteration = step.step;

    // Where a component was re-seeded or dropped, the model is what its statistics shall be from here on.
    std::vector<double> covariances = step.events.empty() ? moments_about(sums, made.next) : made.model.covariances();
    state_ = {std::move(made.model),         std::move(covariances),
              kept(reseeds, made.next),      step.step,
              state_.samples + step.samples, state_.total_weight + step.total_weight};
    return step;
}

} // namespace elbo::gmm
