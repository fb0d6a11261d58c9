#include "kernels/shared/m_step.hpp"

#include "kernels/math/singular.hpp"
#include "kernels/shared/precision_factor.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace elbo::kernels {

namespace {

/// Mean of the counted variances of the first `count` entries `step` apart.
double mean_variance(const double* c, std::int64_t count, std::int64_t step) {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i)
        sum += counted_variance(c[i * step]);
    return sum / static_cast<double>(count);
}

/// Covariances that are worked on at a time.
std::int64_t covariances_at_once(const gmm_shape& s, int threads) {
    return std::min<std::int64_t>(threads, geometry(s.family).count(s.components));
}

/// Below this many float64 operations several threads cost more than they save.
constexpr std::int64_t worth_a_team = 200000;

gmm::collapse_policy rescue_action(const update_rule& rule) {
    return rule.on_collapse == gmm::collapse_policy::fail ? gmm::collapse_policy::fail : gmm::collapse_policy::reseed;
}

} // namespace

m_step::m_step(const gmm_shape& shape, int threads)
    : shape_(shape), threads_(threads), d_(shape.dimensions), K_(shape.components),
      size_(statistics_size(shape.family, shape.dimensions)), geometry_(geometry(shape.family)),
      numbers_(geometry_.size(shape.dimensions)), state_(K_), results_(K_), actions_(K_), counts_(K_),
      widest_variance_(K_), scratch_(covariances_at_once(shape, threads) * numbers_), widest_axis_(K_), reseeds_(K_) {}

std::int64_t m_step::bytes(const gmm_shape& s, int threads) {
    const std::int64_t parameters =
        s.components * (s.dimensions + 1) + gmm::covariance_size(s.family, s.components, s.dimensions);
    return 8 * (covariances_at_once(s, threads) * geometry(s.family).size(s.dimensions) + 2 * parameters) +
           s.components * static_cast<std::int64_t>(sizeof(component_result) + sizeof(collapse_action) + 32);
}

/// The sums that the step works on: those of the samples, and with a prior its own beside them.
void m_step::take_sums(const gmm_parameters& current, std::span<const double> sums) {
    sums_ = sums;
    scatter_ = rule_->scatter;
    weight_count_ = mean_count_ = covariance_count_ = 0;
    if (!rule_->prior)
        return;
    weight_count_ = rule_->prior->weight_count;
    mean_count_ = rule_->prior->mean_count;
    covariance_count_ = rule_->prior->covariance_count;
    sums_with_prior_.assign(sums.begin(), sums.end());
    scatter_with_prior_ = rule_->scatter;
    add_prior_samples(shape_, *rule_->prior, current, sums_with_prior_, scatter_with_prior_);
    sums_ = sums_with_prior_;
    scatter_ = scatter_with_prior_;
}

update_outcome m_step::run(const gmm_parameters& current, std::span<const double> sums, const update_rule& rule,
                           gmm_parameters& next) {
    rule_ = &rule;
    take_sums(current, sums);
    next = current;
    mean_lambda_ = 0;
    for (double lambda : rule.lambda)
        mean_lambda_ += lambda / static_cast<double>(d_);
    const bool tied = geometry_.tied; // whose components have no covariance of their own to work on
    const std::int64_t each = geometry_.matrix() && !tied ? d_ * d_ * d_ : d_;
    parallel_for(K_ * each > worth_a_team ? threads_ : 1, K_,
                 [&](std::int64_t k, int member) { update_component(k, current, next, scratch(tied ? 0 : member)); });

    update_outcome outcome;
    outcome.log_likelihood = sums[K_ * size_ + scalar_log_likelihood];
    outcome.entropy = sums[K_ * size_ + scalar_entropy];
    quadratic_ = 0;
    for (const component_result& r : results_) {
        outcome.parameter_change = std::max(outcome.parameter_change, r.change);
        quadratic_ += r.quadratic;
    }
    if (geometry_.tied)
        update_common(next, outcome);
    else if (rule.prior || std::ranges::find(state_, component_state::healthy) == state_.end())
        rescue_singular(next, outcome);
    apply_policy(next, outcome);
    double total = 0;
    for (double n : counts_)
        total += n + weight_count_;
    for (std::int64_t k = 0; k < K_; ++k)
        next.log_weights[k] = std::log((counts_[k] + weight_count_) / total); // log 0: dropped
    finish(current, next, outcome);
    return outcome;
}

/// The bound and the prior's share of it; after an event, which is no ascent, those of the parameters before.
void m_step::finish(const gmm_parameters& current, const gmm_parameters& next, update_outcome& outcome) const {
    log_prior_value after;
    if (rule_->prior) {
        outcome.log_prior = log_prior(shape_, *rule_->prior, current).total;
        after = log_prior(shape_, *rule_->prior, next);
    }
    const bool whole = outcome.events.empty();
    outcome.elbo_after = whole ? expected_log_likelihood(next, after.quadratic) +
                                     sums_[K_ * size_ + scalar_log_factors] + outcome.entropy
                               : outcome.log_likelihood;
    outcome.log_prior_after = whole ? after.total : outcome.log_prior;
}

/// Mean of component k and, unless it shares one, its covariance; c is scratch memory.
void m_step::update_component(std::int64_t k, const gmm_parameters& current, gmm_parameters& next, double* c) {
    const double* stats = statistics(k);
    results_[k] = {};
    state_[k] = component_state::healthy;
    counts_[k] = stats[0];
    if (!rule_->prior && std::isinf(current.log_weights[k])) {
        state_[k] = component_state::dropped;
        counts_[k] = 0;
        return;
    }
    if (!rule_->prior && !(counts_[k] >= empty_share * rule_->total_weight)) {
        state_[k] = component_state::empty;
        return;
    }
    for (std::int64_t j = 0; j < d_; ++j) {
        const double step = stats[1 + j] / (counts_[k] + mean_count_);
        next.means[k * d_ + j] += step;
        results_[k].change = std::max(results_[k].change, std::abs(step));
    }
    if (geometry_.tied)
        return;
    covariance(k, c);
    note_widest(k, c);
    double* u = next.precision_cholesky.data() + k * geometry_.stride(d_);
    if (factor(c, u))
        results_[k].quadratic = (counts_[k] + covariance_count_) * quadratic_trace(c, u);
    else
        state_[k] = component_state::singular;
}

/// Covariance of component k about its new mean, λ included: [d x d], [d] variances or [1].
void m_step::covariance(std::int64_t k, double* c) const {
    const double *first = statistics(k) + 1, *second = first + d_;
    const double inverse = 1 / (counts_[k] + covariance_count_), mean_inverse = 1 / (counts_[k] + mean_count_);
    const double share = (counts_[k] + mean_count_) * inverse; // 1 without a prior
    const auto delta = [&](std::int64_t j) { return first[j] * mean_inverse; };
    if (geometry_.spherical()) {
        double norm = 0;
        for (std::int64_t j = 0; j < d_; ++j)
            norm += delta(j) * delta(j);
        c[0] = (second[0] * inverse - share * norm) / static_cast<double>(d_) + mean_lambda_;
        return;
    }
    if (!geometry_.matrix()) {
        for (std::int64_t j = 0; j < d_; ++j)
            c[j] = second[j] * inverse - share * delta(j) * delta(j) + rule_->lambda[j];
        return;
    }
    for (std::int64_t i = 0; i < d_; ++i) {
        for (std::int64_t j = i; j < d_; ++j)
            c[i * d_ + j] = c[j * d_ + i] = second[packed_upper(i, j, d_)] * inverse - share * delta(i) * delta(j);
        c[i * d_ + i] += rule_->lambda[i];
    }
}

/// The one covariance of a tied family: (G − Σ (N + κ₀) m mᵀ) / (Σ N + samples of the prior) + λ over the healthy
/// components.
void m_step::common_covariance(const gmm_parameters& next, double* c) const {
    double total = covariance_count_;
    for (std::int64_t k = 0; k < K_; ++k)
        total += healthy(k) ? counts_[k] : 0;
    for (std::int64_t i = 0; i < numbers_; ++i)
        c[i] = 0;
    for (std::int64_t k = 0; k < K_; ++k) {
        if (!healthy(k))
            continue;
        const double* mean = &next.means[k * d_];
        for (std::int64_t i = 0; i < d_; ++i) {
            const double left = (counts_[k] + mean_count_) * mean[i];
            if (!geometry_.matrix())
                c[geometry_.at(i, i, d_)] += left * mean[i];
            else
                for (std::int64_t j = i; j < d_; ++j)
                    c[i * d_ + j] += left * mean[j];
        }
    }
    if (!geometry_.matrix()) {
        const auto times = static_cast<double>(geometry_.repeats(d_));
        for (std::int64_t j = 0; j < numbers_; ++j)
            c[j] = (scatter_[j] - c[j]) / total / times + (geometry_.spherical() ? mean_lambda_ : rule_->lambda[j]);
        return;
    }
    for (std::int64_t i = 0; i < d_; ++i) {
        for (std::int64_t j = i; j < d_; ++j)
            c[i * d_ + j] = c[j * d_ + i] = (scatter_[packed_upper(i, j, d_)] - c[i * d_ + j]) / total;
        c[i * d_ + i] += rule_->lambda[i];
    }
}

/// Precision Cholesky factor of c, which is destroyed if it is a matrix; false where c is singular.
bool m_step::factor(double* c, double* u) const {
    if (geometry_.matrix())
        return precision_factor(c, d_, u);
    const double mean = mean_variance(c, numbers_, 1);
    for (std::int64_t i = 0; i < numbers_; ++i) {
        if (!(c[i] > largest_singular_pivot(c[i], mean)))
            return false;
        u[i] = 1 / std::sqrt(c[i]);
    }
    return true;
}

/// Raises the diagonal until c can be factored: where nothing healthy is left to start anew from.
void m_step::factor_with_floor(const double* c, double* work, double* u) const {
    const std::int64_t count = geometry_.matrix() ? d_ : numbers_, step = geometry_.matrix() ? d_ + 1 : 1;
    const double floor = floor_of_diagonal(mean_variance(c, count, step));
    const auto raised = [&](std::int64_t i) { return raised_variance(c[i * step], floor); };
    std::copy_n(c, numbers_, work);
    for (std::int64_t i = 0; i < count; ++i)
        work[i * step] = raised(i);
    if (factor(work, u))
        return;
    // Rounding has left a matrix that is not even close to positive: keep its diagonal alone.
    std::fill_n(work, numbers_, 0.0);
    for (std::int64_t i = 0; i < count; ++i)
        work[i * step] = raised(i);
    factor(work, u);
}

void m_step::note_widest(std::int64_t k, const double* c) {
    const std::int64_t count = geometry_.matrix() ? d_ : numbers_, step = geometry_.matrix() ? d_ + 1 : 1;
    widest_axis_[k] = 0;
    for (std::int64_t j = 1; j < count; ++j)
        if (c[j * step] > c[widest_axis_[k] * step])
            widest_axis_[k] = j;
    widest_variance_[k] = std::max(c[widest_axis_[k] * step], 0.0);
}

/// tr(Λ (C − λ)); for a matrix from the factor alone, as c is destroyed: tr(Λ C) = d, Λ_ii = Σ_j u_ij².
double m_step::quadratic_trace(const double* c, const double* u) const {
    if (!geometry_.matrix()) {
        const auto times = static_cast<double>(geometry_.repeats(d_));
        double sum = 0;
        for (std::int64_t j = 0; j < numbers_; ++j)
            sum += times * (c[j] - (geometry_.spherical() ? mean_lambda_ : rule_->lambda[j])) / c[j];
        return sum;
    }
    double sum = static_cast<double>(d_);
    for (std::int64_t i = 0; i < d_; ++i) {
        if (rule_->lambda[i] == 0)
            continue;
        double precision = 0;
        for (std::int64_t j = i; j < d_; ++j)
            precision += u[i * d_ + j] * u[i * d_ + j];
        sum -= rule_->lambda[i] * precision;
    }
    return sum;
}

void m_step::update_common(gmm_parameters& next, update_outcome& outcome) {
    double *c = scratch(0), *u = next.precision_cholesky.data();
    common_covariance(next, c);
    double total = covariance_count_;
    for (std::int64_t k = 0; k < K_; ++k) {
        note_widest(k, c);
        total += healthy(k) ? counts_[k] : 0;
    }
    if (factor(c, u)) {
        quadratic_ = total * quadratic_trace(c, u);
        return;
    }
    std::vector<double> fresh(static_cast<std::size_t>(numbers_)); // factor() has destroyed the first
    common_covariance(next, fresh.data());
    factor_with_floor(fresh.data(), c, u);
    outcome.events.push_back({0, 0, gmm::event::kind::singular, rescue_action(*rule_)});
}

/// Where no component is healthy, and under a prior: those that are singular get a floor, so that the fit can go on.
void m_step::rescue_singular(gmm_parameters& next, update_outcome& outcome) {
    std::vector<double> c(static_cast<std::size_t>(numbers_));
    for (std::int64_t k = 0; k < K_; ++k) {
        if (state_[k] != component_state::singular)
            continue;
        covariance(k, c.data());
        factor_with_floor(c.data(), scratch(0), next.precision_cholesky.data() + k * geometry_.stride(d_));
        state_[k] = component_state::healthy;
        outcome.events.push_back({0, k, gmm::event::kind::singular, rescue_action(*rule_)});
    }
}

void m_step::apply_policy(gmm_parameters& next, update_outcome& outcome) {
    const collapse_view view{shape_,
                             state_.data(),
                             counts_.data(),
                             next.means.data(),
                             next.precision_cholesky.data(),
                             widest_axis_.data(),
                             widest_variance_.data(),
                             reseeds_.data()};
    const std::int64_t taken = apply_collapse_policy(view, rule_->on_collapse, rule_->reseeds_each, actions_.data());
    for (std::int64_t i = 0; i < taken; ++i) {
        const bool empty = actions_[i].found == component_state::empty;
        outcome.events.push_back({0, actions_[i].component,
                                  empty ? gmm::event::kind::empty : gmm::event::kind::singular, actions_[i].action});
    }
}

/// Σ_k N_k [log α_k + Σ_i log U_ii − d/2 log 2π] − ½ (Σ_k N_k tr(Λ_k (C_k − λ)) less the part of log p(θ)).
double m_step::expected_log_likelihood(const gmm_parameters& next, double prior_quadratic) const {
    const double constant = 0.5 * static_cast<double>(d_) * std::log(2 * std::numbers::pi);
    const double* u = next.precision_cholesky.data();
    const double common = geometry_.tied ? log_determinant(geometry_, d_, u) : 0;
    double sum = -0.5 * (quadratic_ - prior_quadratic);
    for (std::int64_t k = 0; k < K_; ++k) {
        if (!(counts_[k] > 0))
            continue;
        const double own = geometry_.tied ? common : log_determinant(geometry_, d_, u + k * geometry_.stride(d_));
        sum += counts_[k] * (next.log_weights[k] + own - constant);
    }
    return sum;
}

} // namespace elbo::kernels
