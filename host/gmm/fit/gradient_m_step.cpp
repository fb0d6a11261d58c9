#include "host/gmm/fit/gradient_m_step.hpp"

#include "elbo/error.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "kernels/math/singular.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Share of the gain promised by the slope that a step must keep (Armijo's condition). On a parabola this accepts up to
/// 3/2 of the step to the top, so what is left shrinks at least by half.
constexpr double kept_gain = 0.25;
/// Halvings after which a step is below the rounding of the parameters.
constexpr int most_halvings = 60;
/// A variance below this share of that of the data, which is of order 1 in the frame, counts as singular.
constexpr double smallest_pivot = singular_share * singular_share;

/// Whether number `at` of a factor array lies on a diagonal.
bool is_diagonal(family f, std::int64_t d, std::int64_t at) {
    return !geometry(f).matrix() || at / d % d == at % d;
}

/// Variances of the coordinates of component k: the diagonal of U⁻ᵀ U⁻¹.
std::vector<double> variances_of(const gmm_shape& s, const std::vector<double>& factors, std::int64_t k) {
    const std::int64_t d = s.dimensions, size = geometry(s.family).size(d);
    const double* u = &factors[k * geometry(s.family).stride(d)];
    std::vector<double> variances(d, 0);
    if (size != d * d || d == 1) {
        for (std::int64_t j = 0; j < d; ++j)
            variances[j] = 1 / (u[j % size] * u[j % size]);
        return variances;
    }
    std::vector<double> inverse(u, u + size);
    const auto n = static_cast<lapack_int>(d);
    const one_blas_thread one;
    LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', n, inverse.data(), n);
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = i; j < d; ++j)
            variances[j] += inverse[i * d + j] * inverse[i * d + j];
    return variances;
}

} // namespace

gradient_m_step::gradient_m_step(gmm_engine& engine, const update_rule& rule, const gradient_steps& options)
    : engine_(engine), rule_(rule), options_(options), rate_(options.rate), reseeds_(engine.shape.components, 0) {}

update_outcome gradient_m_step::update() {
    const gmm_parameters current = engine_.parameters();
    const std::vector<double> sums = normalized_sums(engine_.sums(), engine_.shape);
    const double* scalars = &sums[sum_count(engine_.shape) - scalar_count];
    update_outcome outcome;
    outcome.log_likelihood = scalars[scalar_log_likelihood];
    outcome.entropy = scalars[scalar_entropy];
    const expected_log_joint q(engine_.shape, current, sums, rule_.scatter, rule_.lambda);
    next_ = current;
    ascend(q);
    outcome.elbo_after = q.at(next_).expected + scalars[scalar_log_factors] + outcome.entropy;
    if (!std::isfinite(outcome.log_likelihood) || !std::isfinite(outcome.elbo_after))
        throw error(fmt::format("a gradient step with the rate {} led to parameters of which the log-likelihood is not "
                                "finite: use a smaller rate, or backtracking",
                                rate_));
    std::vector<component_state> state = states(q);
    keep_factors(current, state, outcome.events);
    follow_policy(state, outcome.events);
    if (!outcome.events.empty())
        outcome.elbo_after = outcome.log_likelihood;
    for (std::size_t i = 0; i < next_.means.size(); ++i)
        outcome.parameter_change = std::max(outcome.parameter_change, std::abs(next_.means[i] - current.means[i]));
    return outcome;
}

void gradient_m_step::adopt() {
    engine_.set_parameters(next_);
    if (options_.backtracking)
        rate_ *= 2;
}

/// The steps of one iteration, from next_ on.
void gradient_m_step::ascend(const expected_log_joint& q) {
    parameter_gradient gradient;
    for (std::int64_t step = 0; step < options_.steps; ++step) {
        const double objective = q.at(next_, &gradient).objective();
        if (!options_.backtracking)
            next_ = moved(gradient, rate_);
        else if (!step_back_until_it_rises(q, objective, gradient))
            return;
    }
}

/// Moves next_ by the first of rate, rate / 2, rate / 4, ... that gains enough. False where none does: rounding is all
/// that is left to gain.
bool gradient_m_step::step_back_until_it_rises(const expected_log_joint& q, double objective,
                                               const parameter_gradient& gradient) {
    const double slope = gradient.squared_norm() / rule_.total_weight;
    for (int halvings = 0; halvings < most_halvings; ++halvings, rate_ /= 2) {
        gmm_parameters candidate = moved(gradient, rate_);
        const double reached = q.at(candidate).objective();
        if (std::isfinite(reached) && reached - objective >= kept_gain * rate_ * slope) {
            next_ = std::move(candidate);
            return true;
        }
    }
    rate_ = options_.rate;
    return false;
}

/// θ + η ∇Q / W in the unconstrained parameters.
gmm_parameters gradient_m_step::moved(const parameter_gradient& gradient, double rate) const {
    const double times = rate / rule_.total_weight;
    gmm_parameters p = next_;
    for (std::size_t k = 0; k < p.log_weights.size(); ++k)
        p.log_weights[k] += times * gradient.logits[k];
    const double norm = log_sum_exp(p.log_weights.data(), p.log_weights.size());
    for (double& a : p.log_weights)
        a -= norm;
    for (std::size_t i = 0; i < p.means.size(); ++i)
        p.means[i] += times * gradient.means[i];
    for (std::size_t i = 0; i < p.precision_cholesky.size(); ++i) {
        const bool diagonal = is_diagonal(engine_.shape.family, engine_.shape.dimensions, static_cast<std::int64_t>(i));
        const double step = times * gradient.factors[i];
        p.precision_cholesky[i] = diagonal ? p.precision_cholesky[i] * std::exp(step) : p.precision_cholesky[i] + step;
    }
    return p;
}

/// Whether a pivot of the covariance, 1 / U_ii², is next to nothing beside the others or beside the data.
bool gradient_m_step::is_singular(std::int64_t k) const {
    const gmm_shape& s = engine_.shape;
    const std::int64_t d = s.dimensions, size = geometry(s.family).size(d), begin = k * geometry(s.family).stride(d);
    double smallest = 1 / smallest_pivot, sum = 0, pivots = 0;
    for (std::int64_t at = begin; at < begin + size; ++at)
        if (is_diagonal(s.family, d, at)) {
            const double pivot = 1 / (next_.precision_cholesky[at] * next_.precision_cholesky[at]);
            smallest = std::min(smallest, pivot);
            sum += counted_variance(pivot);
            ++pivots;
        }
    return !(smallest > smallest_pivot && smallest > singular_share * sum / pivots);
}

/// What has become of each component. Weights never reach zero by softmax, but a component may lose its samples.
std::vector<component_state> gradient_m_step::states(const expected_log_joint& q) const {
    std::vector<component_state> state(next_.log_weights.size(), component_state::healthy);
    for (std::int64_t k = 0; k < std::ssize(state); ++k)
        if (std::isinf(next_.log_weights[k]))
            state[k] = component_state::dropped;
        else if (q.count(k) < empty_share * rule_.total_weight)
            state[k] = component_state::empty;
        else if (!is_tied(engine_.shape.family) && is_singular(k))
            state[k] = component_state::singular;
    return state;
}

/// Where the common covariance of a tied family is singular, or no component is healthy, there is nothing to start anew
/// from: factors stay as they were.
void gradient_m_step::keep_factors(const gmm_parameters& current, std::vector<component_state>& state,
                                   std::vector<event>& events) {
    const collapse_policy action =
        rule_.on_collapse == collapse_policy::fail ? collapse_policy::fail : collapse_policy::reseed;
    if (is_tied(engine_.shape.family)) {
        if (is_singular(0)) {
            next_.precision_cholesky = current.precision_cholesky;
            events.push_back({0, 0, event::kind::singular, action});
        }
        return;
    }
    if (std::ranges::find(state, component_state::healthy) != state.end())
        return;
    next_.precision_cholesky = current.precision_cholesky;
    for (std::int64_t k = 0; k < std::ssize(state); ++k)
        if (state[k] == component_state::singular) {
            events.push_back({0, k, event::kind::singular, action});
            state[k] = component_state::healthy;
        }
}

/// The policy for those that are empty or singular.
void gradient_m_step::follow_policy(std::vector<component_state>& state, std::vector<event>& events) {
    const auto collapsed = [](component_state s) {
        return s == component_state::empty || s == component_state::singular;
    };
    if (std::ranges::none_of(state, collapsed))
        return;
    const std::size_t components = state.size();
    std::vector<double> shares(components), widest_variance(components);
    std::vector<std::int64_t> widest_axis(components);
    for (std::size_t k = 0; k < components; ++k) {
        shares[k] = std::exp(next_.log_weights[k]);
        if (state[k] != component_state::healthy)
            continue;
        const std::vector<double> variances =
            variances_of(engine_.shape, next_.precision_cholesky, static_cast<std::int64_t>(k));
        const auto widest = std::ranges::max_element(variances);
        widest_axis[k] = widest - variances.begin();
        widest_variance[k] = *widest;
    }
    std::vector<collapse_action> actions(components);
    actions.resize(apply_collapse_policy({engine_.shape, state.data(), shares.data(), next_.means.data(),
                                          next_.precision_cholesky.data(), widest_axis.data(), widest_variance.data(),
                                          reseeds_.data()},
                                         rule_.on_collapse, rule_.reseeds_each, actions.data()));
    for (const collapse_action& a : actions)
        events.push_back(
            {0, a.component, a.found == component_state::empty ? event::kind::empty : event::kind::singular, a.action});
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (std::size_t k = 0; k < components; ++k)
        next_.log_weights[k] = std::log(shares[k] / total); // log 0 = −inf: dropped
}

} // namespace elbo::gmm
