#include "host/latent/factors/update.hpp"

#include "elbo/error.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>
#include <numbers>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

/// One component after the M-step.
struct regression {
    double count = 0;             ///< N_k
    std::vector<double> mean;     ///< [d] δ̄
    std::vector<double> loadings; ///< [d x L]
    std::vector<double> residual; ///< [d] v
    double log_factor = 0;        ///< log |T|
};

regression regress(const double* sums, const latent_parameters& p, std::int64_t k) {
    const std::int64_t d = p.shape.dimensions, L = p.shape.latent;
    const auto rows = static_cast<int>(d), size = static_cast<int>(L);
    regression r;
    r.count = sums[0];
    component_moments m = moments_of(sums, p, k);
    r.mean = std::move(m.mean);
    r.residual = std::move(m.variance);
    r.loadings = std::move(m.products);
    std::vector<double> t(L * L, 0);
    for (std::int64_t l = 0; l < L; ++l)
        t[l * L + l] = 1;
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size, size, rows, 1, &p.projections[k * d * L], size,
                r.loadings.data(), size, 1, t.data(), size);
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', size, t.data(), size) != 0)
        throw error(fmt::format("the noise of component {} is too small beside its loadings for float64", k));
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, rows, size, 1, t.data(), size,
                r.loadings.data(), size);
    for (std::int64_t l = 0; l < L; ++l)
        r.log_factor += std::log(t[l * L + l]);
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t l = 0; l < L; ++l)
            r.residual[j] -= r.loadings[j * L + l] * r.loadings[j * L + l];
    return r;
}

/// ψ [K x d] from the residuals, before floors.
std::vector<double> noise_of(const factor_values& v, const std::vector<regression>& parts, double total) {
    const std::int64_t d = v.shape.dimensions;
    std::vector<double> noise, pooled(d, 0);
    for (const regression& r : parts)
        for (std::int64_t j = 0; j < d; ++j)
            pooled[j] += r.count / total * r.residual[j];
    if (v.kind == factor_kind::ppca)
        std::ranges::fill(pooled, std::accumulate(pooled.begin(), pooled.end(), 0.0) / static_cast<double>(d));
    for (const regression& r : parts) {
        const std::vector<double>& own = v.own_noise ? r.residual : pooled;
        noise.insert(noise.end(), own.begin(), own.end());
    }
    return noise;
}

/// Raises ψ to the floors and reports each that is new.
void apply_floors(const factor_rule& rule, factor_history& history, factor_values& v, factor_outcome& outcome) {
    const std::int64_t d = v.shape.dimensions;
    const std::vector<double> floor = noise_floors(v.kind, rule);
    const std::int64_t reported = v.kind == factor_kind::ppca ? 1 : v.own_noise ? v.shape.components * d : d;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(v.noise.size()); ++i) {
        if (v.noise[i] > floor[i % d])
            continue;
        v.noise[i] = floor[i % d];
        if (i >= reported || history.floored[i])
            continue;
        history.floored[i] = true;
        outcome.events.push_back({0, v.own_noise ? history.index[i / d] : 0, v.kind == factor_kind::ppca ? -1 : i % d,
                                  factor_event::kind::noise_floor, rule.on_collapse});
    }
}

/// Of Σ (offset − ½ (Σ_j δ_j² / ψ_j − ‖c‖²)): some units of its last place, of terms that may cancel.
double rounding_of(const std::vector<double>& sums, const latent_parameters& p, double total_weight) {
    const latent_shape& s = p.shape;
    double terms = total_weight * static_cast<double>(s.dimensions);
    for (std::int64_t i = 0; i < s.components * s.dimensions; ++i)
        terms +=
            p.precisions[i] * sums[i / s.dimensions * latent_statistics_size(s) + latent_squares(s) + i % s.dimensions];
    return 0x1p-48 * terms;
}

double entropy_of(const std::vector<double>& sums, const factor_operators& under) {
    const latent_shape& s = under.pass.shape;
    const double latent_normal = 0.5 * static_cast<double>(s.latent) * (1 + std::log(2 * std::numbers::pi));
    double entropy = sums[sums.size() - scalar_count + scalar_entropy];
    for (std::int64_t k = 0; k < s.components; ++k)
        entropy += sums[k * latent_statistics_size(s)] * (latent_normal - log_posterior_factor(under, k));
    return entropy;
}

/// J after the step, by the formula in the header.
double bound_after(const std::vector<regression>& parts, const factor_values& v, double responsibility_entropy) {
    const std::int64_t d = v.shape.dimensions;
    double bound = responsibility_entropy;
    for (std::int64_t k = 0; k < v.shape.components; ++k) {
        double each = std::log(v.weights[k]) - parts[k].log_factor;
        for (std::int64_t j = 0; j < d; ++j) {
            const double noise = v.noise[k * d + j];
            each -= 0.5 * (std::log(2 * std::numbers::pi * noise) + parts[k].residual[j] / noise);
        }
        bound += parts[k].count * each;
    }
    return bound;
}

/// Component k takes half of the heaviest: its loadings and noise, and a mean one deviation away along the longest of
/// its loadings.
void reseed(factor_values& v, std::int64_t k, std::int64_t donor) {
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent;
    v.weights[donor] /= 2;
    v.weights[k] = v.weights[donor];
    std::copy_n(v.loadings.begin() + donor * d * L, d * L, v.loadings.begin() + k * d * L);
    std::copy_n(v.noise.begin() + donor * d, d, v.noise.begin() + k * d);
    std::vector<double> lengths(L, 0);
    for (std::int64_t i = 0; i < d * L; ++i)
        lengths[i % L] += v.loadings[donor * d * L + i] * v.loadings[donor * d * L + i];
    const std::int64_t longest = std::ranges::max_element(lengths) - lengths.begin();
    for (std::int64_t j = 0; j < d; ++j)
        v.means[k * d + j] = v.means[donor * d + j] + v.loadings[(donor * d + j) * L + longest];
}

template <class T>
void erase_component(std::vector<T>& values, std::int64_t k, std::int64_t each) {
    values.erase(values.begin() + k * each, values.begin() + (k + 1) * each);
}

void drop(factor_values& v, factor_history& history, std::int64_t k) {
    const std::int64_t d = v.shape.dimensions;
    erase_component(v.weights, k, 1);
    erase_component(v.means, k, d);
    erase_component(v.noise, k, d);
    erase_component(v.loadings, k, d * v.shape.latent);
    erase_component(history.index, k, 1);
    erase_component(history.reseeds, k, 1);
    erase_component(history.floored, k, d);
    v.shape.components -= 1;
}

/// The policy for the components of `empty`, ascending, which have weight 0.
void handle_empty(const std::vector<std::int64_t>& empty, const factor_rule& rule, factor_history& history,
                  factor_values& v, factor_outcome& outcome) {
    std::vector<std::int64_t> dropped;
    for (const std::int64_t k : empty) {
        const bool again = rule.on_collapse == gmm::collapse_policy::reseed && history.reseeds[k] < rule.reseeds_each;
        outcome.events.push_back({0, history.index[k], -1, factor_event::kind::empty,
                                  again ? gmm::collapse_policy::reseed : gmm::collapse_policy::drop});
        if (!again) {
            dropped.push_back(k);
            continue;
        }
        history.reseeds[k] += 1;
        reseed(v, k, std::ranges::max_element(v.weights) - v.weights.begin());
    }
    for (std::size_t i = dropped.size(); i-- > 0;)
        drop(v, history, dropped[i]);
}

std::vector<double> logarithms(std::vector<double> values) {
    for (double& v : values)
        v = std::log(v);
    return values;
}

} // namespace

component_moments moments_of(const double* sums, const latent_parameters& p, std::int64_t k) {
    const std::int64_t d = p.shape.dimensions, L = p.shape.latent;
    component_moments m{std::vector<double>(d), std::vector<double>(d), std::vector<double>(d * L)};
    std::vector<double> mean_c(L, 0);
    for (std::int64_t j = 0; j < d; ++j) {
        m.mean[j] = sums[latent_first_moments + j] / sums[0];
        m.variance[j] = sums[latent_squares(p.shape) + j] / sums[0] - m.mean[j] * m.mean[j];
        for (std::int64_t l = 0; l < L; ++l)
            mean_c[l] += p.projections[(k * d + j) * L + l] * m.mean[j];
    }
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t l = 0; l < L; ++l)
            m.products[j * L + l] = sums[latent_products(p.shape) + j * L + l] / sums[0] - m.mean[j] * mean_c[l];
    return m;
}

std::vector<double> noise_floors(factor_kind kind, const factor_rule& rule) {
    std::vector<double> floor = rule.noise_floor;
    if (kind == factor_kind::ppca)
        std::ranges::fill(floor, std::accumulate(floor.begin(), floor.end(), 0.0) / static_cast<double>(floor.size()));
    return floor;
}

factor_outcome update(const std::vector<double>& sums, const factor_operators& under, const factor_rule& rule,
                      factor_history& history, factor_values& values) {
    const one_blas_thread guard;
    const latent_shape& s = under.pass.shape;
    const std::int64_t d = s.dimensions, size = latent_statistics_size(s);
    const double* scalars = sums.data() + sums.size() - scalar_count;
    factor_outcome outcome;
    outcome.log_likelihood = scalars[scalar_log_likelihood];
    outcome.entropy = entropy_of(sums, under);
    outcome.rounding = rounding_of(sums, under.pass, rule.total_weight);

    std::vector<regression> parts(s.components);
    std::vector<std::int64_t> empty;
    double total = 0;
    for (std::int64_t k = 0; k < s.components; ++k) {
        if (sums[k * size] < empty_share * rule.total_weight) {
            empty.push_back(k);
            parts[k].residual.assign(d, 0);
            continue;
        }
        parts[k] = regress(&sums[k * size], under.pass, k);
        total += parts[k].count;
    }
    outcome.collapsed = !empty.empty();
    if (outcome.collapsed && rule.on_collapse == gmm::collapse_policy::fail) {
        outcome.events.push_back(
            {0, history.index[empty.front()], -1, factor_event::kind::empty, gmm::collapse_policy::fail});
        return outcome;
    }

    values.noise = noise_of(values, parts, total);
    for (std::int64_t k = 0; k < s.components; ++k) {
        values.weights[k] = parts[k].count / total;
        if (!(parts[k].count > 0))
            continue;
        std::ranges::copy(parts[k].loadings, values.loadings.begin() + k * d * s.latent);
        for (std::int64_t j = 0; j < d; ++j) {
            values.means[k * d + j] += parts[k].mean[j];
            outcome.parameter_change = std::max(outcome.parameter_change, std::abs(parts[k].mean[j]));
        }
    }
    apply_floors(rule, history, values, outcome);
    if (outcome.collapsed) {
        handle_empty(empty, rule, history, values, outcome);
        outcome.elbo_after = outcome.log_likelihood;
    } else
        outcome.elbo_after = bound_after(parts, values, scalars[scalar_entropy]);
    return outcome;
}

void noise_accelerator::restart(const std::vector<double>& noise) {
    before_ = logarithms(noise);
    first_.clear();
}

std::optional<std::vector<double>> noise_accelerator::propose(const std::vector<double>& noise,
                                                              const std::vector<double>& floor) {
    std::vector<double> now = logarithms(noise);
    if (first_.empty()) {
        first_ = std::move(now);
        return std::nullopt;
    }
    double step_square = 0, change_square = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
        const double step = first_[i] - before_[i], change = now[i] - first_[i] - step;
        step_square += step * step;
        change_square += change * change;
    }
    // α = −1 is where the two steps lead; beyond it the extrapolation begins.
    const double length = change_square > 0 ? std::sqrt(step_square / change_square) : longest_;
    at_bound_ = length >= longest_;
    const double alpha = std::clamp(length, 1.0, longest_);
    std::optional<std::vector<double>> proposal;
    if (alpha > 1) {
        proposal.emplace(now.size());
        for (std::size_t i = 0; i < now.size(); ++i) {
            const double step = first_[i] - before_[i], change = now[i] - first_[i] - step;
            (*proposal)[i] =
                std::max(floor[i % floor.size()], std::exp(before_[i] + 2 * alpha * step + alpha * alpha * change));
        }
    } else if (at_bound_)
        longest_ *= 4;
    before_ = std::move(now);
    first_.clear();
    return proposal;
}

void noise_accelerator::judge(bool taken) {
    if (!taken)
        longest_ = std::max(1.0, longest_ / 4);
    else if (at_bound_)
        longest_ *= 4;
}

} // namespace elbo::latent
