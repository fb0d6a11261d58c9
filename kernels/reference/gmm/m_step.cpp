// M-step of docs/theory.md section 1 with the component policy, float64, plain loops. With a prior it is that of the
// samples and of those that the prior stands for.
#include "kernels/math/collapse.hpp"
#include "kernels/math/singular.hpp"
#include "kernels/reference/gmm/engine.hpp"
#include "kernels/shared/gmm_prior.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace elbo::kernels::reference {

namespace {

using gmm::family;

/// Mean of the counted variances of the first `count` entries `step` apart.
double mean_variance(const std::vector<double>& c, std::int64_t count, std::int64_t step) {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i)
        sum += counted_variance(c[i * step]);
    return sum / static_cast<double>(count);
}

/// Cholesky factor of the precision: for C = L Lᵀ, u = L^-T, upper triangular, row-major. False if a pivot is
/// singular (or NaN); then u is unspecified.
bool precision_factor(const std::vector<double>& c, std::int64_t d, double* u) {
    const double mean = mean_variance(c, d, d + 1);
    std::vector<double> l(d * d, 0);
    for (std::int64_t j = 0; j < d; ++j) {
        double pivot = c[j * d + j];
        for (std::int64_t t = 0; t < j; ++t)
            pivot -= l[j * d + t] * l[j * d + t];
        if (!(pivot > largest_singular_pivot(c[j * d + j], mean)))
            return false;
        l[j * d + j] = std::sqrt(pivot);
        for (std::int64_t i = j + 1; i < d; ++i) {
            double sum = c[i * d + j];
            for (std::int64_t t = 0; t < j; ++t)
                sum -= l[i * d + t] * l[j * d + t];
            l[i * d + j] = sum / l[j * d + j];
        }
    }
    // Column i of L^-1 by forward substitution is row i of u = L^-T.
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j) {
            if (j < i) {
                u[i * d + j] = 0;
                continue;
            }
            double sum = i == j ? 1 : 0;
            for (std::int64_t t = i; t < j; ++t)
                sum -= l[j * d + t] * u[i * d + t];
            u[i * d + j] = sum / l[j * d + j];
        }
    return true;
}

/// Variances of a diagonal or spherical covariance to 1/σ; the same rule for small ones as precision_factor.
bool inverse_deviations(const std::vector<double>& variances, double* u) {
    const double mean = mean_variance(variances, std::ssize(variances), 1);
    for (std::size_t i = 0; i < variances.size(); ++i) {
        if (!(variances[i] > largest_singular_pivot(variances[i], mean)))
            return false;
        u[i] = 1 / std::sqrt(variances[i]);
    }
    return true;
}

/// One M-step under way.
struct m_step_work {
    const gmm_shape& s;
    const gmm_parameters& current;
    std::span<const double> sums;       ///< those of the prior included
    const std::vector<double>& scatter; ///< the same
    const update_rule& rule;
    const conjugate_prior& prior; ///< without one its counts are 0
    gmm_parameters& next;
    const std::int64_t d = s.dimensions, K = s.components, size = statistics_size(s.family, d);
    double mean_lambda = 0;
    std::vector<component_state> state = std::vector<component_state>(K, component_state::healthy);
    std::vector<double> counts = {}, widest_variance = std::vector<double>(K, 0);
    std::vector<std::int64_t> widest_axis = std::vector<std::int64_t>(K, 0);
    /// Σ_k (N_k + samples of the prior) tr(Λ_k (C_k − λ)): the quadratic terms of the bound and of log p(θ).
    double quadratic = 0;

    const double* stats(std::int64_t k) const { return &sums[k * size]; }
    gmm::collapse_policy rescue_action() const {
        return rule.on_collapse == gmm::collapse_policy::fail ? rule.on_collapse : gmm::collapse_policy::reseed;
    }

    void note_widest(std::int64_t k, const auto& variance_at) {
        widest_axis[k] = 0;
        for (std::int64_t j = 1; j < d; ++j)
            if (variance_at(j) > variance_at(widest_axis[k]))
                widest_axis[k] = j;
        widest_variance[k] = variance_at(widest_axis[k]);
    }

    /// Covariance (full) or variances of component k about its new mean, λ included.
    std::vector<double> covariance(std::int64_t k) const {
        const double* second = stats(k) + 1 + d;
        const double n = counts[k] + prior.covariance_count, share = (counts[k] + prior.mean_count) / n;
        std::vector<double> delta(d);
        double norm = 0;
        for (std::int64_t j = 0; j < d; ++j)
            delta[j] = stats(k)[1 + j] / (counts[k] + prior.mean_count), norm += delta[j] * delta[j];
        if (s.family == family::spherical)
            return {(second[0] / n - share * norm) / static_cast<double>(d) + mean_lambda};
        if (s.family == family::diagonal) {
            std::vector<double> v(d);
            for (std::int64_t j = 0; j < d; ++j)
                v[j] = second[j] / n - share * delta[j] * delta[j] + rule.lambda[j];
            return v;
        }
        std::vector<double> c(d * d);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < d; ++j)
                c[i * d + j] = c[j * d + i] =
                    second[packed_upper(i, j, d)] / n - share * delta[i] * delta[j] + (i == j ? rule.lambda[i] : 0);
        return c;
    }

    /// The common covariance of a tied family: (G − Σ (N + κ₀) m mᵀ) / (Σ N + samples of the prior) + λ.
    std::vector<double> common_covariance() const {
        double total = prior.covariance_count;
        for (std::int64_t k = 0; k < K; ++k)
            total += state[k] == component_state::healthy ? counts[k] : 0;
        const auto between = [&](std::int64_t i, std::int64_t j) {
            double sum = 0;
            for (std::int64_t k = 0; k < K; ++k)
                if (state[k] == component_state::healthy)
                    sum += (counts[k] + prior.mean_count) * next.means[k * d + i] * next.means[k * d + j];
            return sum;
        };
        if (s.family == family::tied_spherical) {
            double sum = scatter[0];
            for (std::int64_t j = 0; j < d; ++j)
                sum -= between(j, j);
            return {sum / total / static_cast<double>(d) + mean_lambda};
        }
        if (s.family == family::tied_diagonal) {
            std::vector<double> v(d);
            for (std::int64_t j = 0; j < d; ++j)
                v[j] = (scatter[j] - between(j, j)) / total + rule.lambda[j];
            return v;
        }
        std::vector<double> c(d * d);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < d; ++j)
                c[i * d + j] = c[j * d + i] =
                    (scatter[packed_upper(i, j, d)] - between(i, j)) / total + (i == j ? rule.lambda[i] : 0);
        return c;
    }

    bool has_matrix() const { return geometry(s.family).matrix(); }

    bool factor(const std::vector<double>& c, double* u) const {
        return has_matrix() ? precision_factor(c, d, u) : inverse_deviations(c, u);
    }

    /// Raises the diagonal until it can be factored: where nothing healthy is left to start anew from.
    void factor_with_floor(std::vector<double> c, double* u) const {
        const std::int64_t n = has_matrix() ? d : static_cast<std::int64_t>(c.size());
        const std::int64_t step = has_matrix() ? d + 1 : 1;
        const double floor = floor_of_diagonal(mean_variance(c, n, step));
        for (std::int64_t i = 0; i < n; ++i)
            c[i * step] = raised_variance(c[i * step], floor);
        if (factor(c, u))
            return;
        // Rounding has left a matrix that is not even close to positive: keep its diagonal alone.
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = 0; has_matrix() && j < n; ++j)
                if (i != j)
                    c[i * d + j] = 0;
        factor(c, u);
    }

    /// tr(Λ (C − λ)) for a covariance C with factor u.
    double quadratic_trace(const std::vector<double>& c, const double* u) const {
        if (!has_matrix()) {
            double sum = 0;
            const double times = c.size() == 1 ? static_cast<double>(d) : 1;
            for (std::size_t j = 0; j < c.size(); ++j)
                sum += times * (c[j] - (c.size() == 1 ? mean_lambda : rule.lambda[j])) / c[j];
            return sum;
        }
        double sum = static_cast<double>(d); // tr(Λ C) = d; Λ_ii = Σ_j u_ij²
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < d; ++j)
                sum -= rule.lambda[i] * u[i * d + j] * u[i * d + j];
        return sum;
    }

    double variance_at(const std::vector<double>& c, std::int64_t j) const { return c[geometry(s.family).at(j, j, d)]; }
};

void find_empty_and_move_means(m_step_work& w, update_outcome& outcome) {
    for (std::int64_t k = 0; k < w.K; ++k) {
        if (!w.rule.prior && std::isinf(w.current.log_weights[k])) {
            w.state[k] = component_state::dropped;
            w.counts[k] = 0;
        } else if (!w.rule.prior && !(w.counts[k] >= empty_share * w.rule.total_weight)) {
            w.state[k] = component_state::empty;
        } else {
            for (std::int64_t j = 0; j < w.d; ++j) {
                const double step = w.stats(k)[1 + j] / (w.counts[k] + w.prior.mean_count);
                w.next.means[k * w.d + j] += step;
                outcome.parameter_change = std::max(outcome.parameter_change, std::abs(step));
            }
        }
    }
}

/// Covariances of the families with one for each component.
void update_own_covariances(m_step_work& w) {
    const std::int64_t size = geometry(w.s.family).stride(w.d);
    for (std::int64_t k = 0; k < w.K; ++k) {
        if (w.state[k] != component_state::healthy)
            continue;
        const std::vector<double> c = w.covariance(k);
        double* u = &w.next.precision_cholesky[k * size];
        if (!w.factor(c, u)) {
            w.state[k] = component_state::singular;
            continue;
        }
        w.note_widest(k, [&](std::int64_t j) { return w.variance_at(c, j); });
        w.quadratic += (w.counts[k] + w.prior.covariance_count) * w.quadratic_trace(c, u);
    }
}

/// The one covariance of a tied family; true if it needed a floor.
bool update_common_covariance(m_step_work& w) {
    const std::vector<double> c = w.common_covariance();
    double* u = w.next.precision_cholesky.data();
    const bool floored = !w.factor(c, u);
    if (floored)
        w.factor_with_floor(c, u);
    double total = w.prior.covariance_count;
    for (std::int64_t k = 0; k < w.K; ++k) {
        w.note_widest(k, [&](std::int64_t j) { return std::max(w.variance_at(c, j), 0.0); });
        if (w.state[k] == component_state::healthy)
            total += w.counts[k];
    }
    if (!floored)
        w.quadratic = total * w.quadratic_trace(c, u);
    return floored;
}

/// Where no component is healthy, and under a prior: those that are singular get a floor, so that the fit can go on.
void rescue_singular(m_step_work& w, update_outcome& outcome) {
    const std::int64_t size = geometry(w.s.family).stride(w.d);
    for (std::int64_t k = 0; k < w.K; ++k) {
        if (w.state[k] != component_state::singular)
            continue;
        const std::vector<double> c = w.covariance(k);
        w.factor_with_floor(c, &w.next.precision_cholesky[k * size]);
        w.note_widest(k, [&](std::int64_t j) { return std::max(w.variance_at(c, j), 0.0); });
        w.state[k] = component_state::healthy;
        outcome.events.push_back({0, k, gmm::event::kind::singular, w.rescue_action()});
    }
}

/// Σ_k N_k [log α_k + Σ_i log U_ii − d/2 log 2π] − ½ (quadratic less that of log p(θ)), with the unrounded factors.
double expected_complete_log_likelihood(const m_step_work& w, double prior_quadratic) {
    const parameters p = with_offsets(w.s, w.next);
    double sum = -0.5 * (w.quadratic - prior_quadratic);
    for (std::int64_t k = 0; k < w.K; ++k)
        if (w.counts[k] > 0)
            sum += w.counts[k] * p.offsets[k];
    return sum;
}

} // namespace

update_outcome m_step(const gmm_shape& s, const gmm_parameters& current, std::span<const double> sums,
                      const update_rule& rule, std::vector<std::int32_t>& reseeds, gmm_parameters& next) {
    const std::int64_t K = s.components;
    next = current;
    update_outcome outcome;
    const conjugate_prior prior = rule.prior.value_or(conjugate_prior{});
    std::vector<double> all_sums(sums.begin(), sums.end()), scatter = rule.scatter;
    if (rule.prior)
        add_prior_samples(s, prior, current, all_sums, scatter);
    m_step_work w{s, current, all_sums, scatter, rule, prior, next};
    for (double lambda : rule.lambda)
        w.mean_lambda += lambda / static_cast<double>(w.d);
    for (std::int64_t k = 0; k < K; ++k)
        w.counts.push_back(sums[k * w.size]);
    const double* const scalars = &sums[K * w.size];
    outcome.log_likelihood = scalars[scalar_log_likelihood];
    outcome.entropy = scalars[scalar_entropy];

    find_empty_and_move_means(w, outcome);
    if (gmm::is_tied(s.family)) {
        if (update_common_covariance(w))
            outcome.events.push_back({0, 0, gmm::event::kind::singular, w.rescue_action()});
    } else {
        update_own_covariances(w);
        if (rule.prior || std::ranges::find(w.state, component_state::healthy) == w.state.end())
            rescue_singular(w, outcome);
    }

    const collapse_view view{s,
                             w.state.data(),
                             w.counts.data(),
                             next.means.data(),
                             next.precision_cholesky.data(),
                             w.widest_axis.data(),
                             w.widest_variance.data(),
                             reseeds.data()};
    std::vector<collapse_action> actions(K);
    actions.resize(apply_collapse_policy(view, rule.on_collapse, rule.reseeds_each, actions.data()));
    for (const collapse_action& a : actions)
        outcome.events.push_back(
            {0, a.component, a.found == component_state::empty ? gmm::event::kind::empty : gmm::event::kind::singular,
             a.action});

    double total = 0;
    for (double n : w.counts)
        total += n + prior.weight_count;
    for (std::int64_t k = 0; k < K; ++k)
        next.log_weights[k] = std::log((w.counts[k] + prior.weight_count) / total); // log 0 = −inf: dropped
    log_prior_value after;
    if (rule.prior) {
        outcome.log_prior = log_prior(s, prior, current).total;
        after = log_prior(s, prior, next);
    }
    const bool whole = outcome.events.empty();
    outcome.elbo_after =
        whole ? expected_complete_log_likelihood(w, after.quadratic) + scalars[scalar_log_factors] + outcome.entropy
              : outcome.log_likelihood;
    outcome.log_prior_after = whole ? after.total : outcome.log_prior;
    return outcome;
}

} // namespace elbo::kernels::reference
