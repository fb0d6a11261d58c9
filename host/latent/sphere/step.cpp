#include "host/latent/sphere/step.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

double length(const std::vector<double>& v) {
    return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
}

/// Bounds of the sums over rows of total weight W with ‖x̃‖ ≤ reach.
sum_bounds bounds_of(const sphere_values& p, double reach, double total_weight) {
    const double most = 1 + reach + length(p.centre) + p.radius; // ‖y − r u‖, ‖y‖ and r
    const double constant = std::abs(p.law().log_constant);
    return {2 * total_weight * most * most, 2 * total_weight * (constant + 2 * most * most / p.noise)};
}

/// The means of a pass, over the weights: ⟨ū⟩, ⟨v⟩ with v = E[y − r u], and those of the scalars.
struct sphere_means {
    explicit sphere_means(const std::vector<double>& sums)
        : d((static_cast<std::int64_t>(sums.size()) - sphere_scalars) / 2), sums_(sums) {}

    double direction(std::int64_t j) const { return sums_[j] / weight(); }
    double residual(std::int64_t j) const { return sums_[d + j] / weight(); }
    double of(sphere_scalar s) const { return sums_[2 * d + s] / weight(); }

    const std::int64_t d;

private:
    double weight() const { return sums_[2 * d + sphere_weight]; }
    const std::vector<double>& sums_;
};

/// Below this, 1 − ‖⟨ū⟩‖² is rounding.
constexpr double least_spread = 1e-13;

/// Noise of a probe: so small that A(κ) is 1.
constexpr double probe_noise = 1e-20;

/// SQUAREM from three successive EM iterates, in (m, r) / σ and log σ²: θ − 2αr + α²v with r the first of the two
/// steps, v the second less the first, α = −‖r‖/‖v‖. None where they do not move or the step leaves the parameters'
/// range.
std::optional<sphere_values> extrapolate(const sphere_values& first, const sphere_values& second,
                                         const sphere_values& third, double least_noise) {
    const double scale = 1 / std::sqrt(first.noise);
    double step = 0, bend = 0;
    const auto add = [&](double a, double b, double c) {
        step += (b - a) * (b - a);
        bend += (c - 2 * b + a) * (c - 2 * b + a);
    };
    for (std::size_t j = 0; j < first.centre.size(); ++j)
        add(first.centre[j] * scale, second.centre[j] * scale, third.centre[j] * scale);
    add(first.radius * scale, second.radius * scale, third.radius * scale);
    add(std::log(first.noise), std::log(second.noise), std::log(third.noise));
    const double length = std::sqrt(step / bend);
    if (!std::isfinite(length) || length <= 1) // not beyond the second EM step
        return std::nullopt;

    const auto move = [length](double a, double b, double c) {
        return a + 2 * length * (b - a) + length * length * (c - 2 * b + a);
    };
    sphere_values next = third;
    for (std::size_t j = 0; j < next.centre.size(); ++j)
        next.centre[j] = move(first.centre[j], second.centre[j], third.centre[j]);
    next.radius = move(first.radius, second.radius, third.radius);
    next.noise =
        std::max(least_noise, std::exp(move(std::log(first.noise), std::log(second.noise), std::log(third.noise))));
    // Far beyond these the EM step is better, whatever the rest of the step promises.
    const bool near = next.noise < 100 * third.noise && next.noise > 0.01 * third.noise && next.radius > 0;
    return near ? std::optional(next) : std::nullopt;
}

/// Whether a step gains more than log p is rounded by, as a mean of terms of about d or its own size. Less says nothing
/// of where further steps would lead, and whether they fall short would be the choice of rounding.
bool tells(const sphere_values& from, const sphere_step& step) {
    const double terms = static_cast<double>(from.centre.size()) + std::abs(step.log_likelihood);
    return step.elbo_after - step.log_likelihood > 0x1p-48 * terms;
}

} // namespace

sphere_rows::sphere_rows(const context& ctx, const data_source& data, const sample_weights& weights,
                         std::int64_t memory_limit)
    : latent_rows(ctx, data, weights, make_sphere_engine(ctx, data.cols())) {
    load(gmm::make_frame(gmm::family::spherical, summary().mean, summary().variance), {data.cols()}, memory_limit);
}

double sphere_rows::mean_variance() const {
    const std::vector<double>& variance = summary().variance;
    const double scale = frame().scale.front(), d = static_cast<double>(variance.size());
    return std::accumulate(variance.begin(), variance.end(), 0.0) / (d * scale * scale);
}

std::vector<double> sphere_rows::sums(const sphere_values& p) {
    const double reach = largest() * std::sqrt(static_cast<double>(summary().mean.size())); // max ‖x̃‖ or more
    return sums_of(p.pass(), bounds_of(p, reach, total_weight()));
}

sphere_values to_frame(const sphere_model& m, const frame& f) {
    const double scale = f.scale.front();
    sphere_values p{m.centre(), m.radius() / scale, m.noise() / (scale * scale)};
    for (std::size_t j = 0; j < p.centre.size(); ++j)
        p.centre[j] = (p.centre[j] - f.centre[j]) / scale;
    return p;
}

sphere_model from_frame(const sphere_values& p, const frame& f) {
    const double scale = f.scale.front();
    sphere_parameters values{p.centre, p.radius * scale, p.noise * scale * scale};
    for (std::size_t j = 0; j < values.centre.size(); ++j)
        values.centre[j] = values.centre[j] * scale + f.centre[j];
    return sphere_model(std::move(values));
}

// With y = x − m for the current m and r, the next are m + δ and r + Δ. J wants the least ⟨E‖(y − r u) − δ − Δ u‖²⟩, a
// quadratic in residuals of the order of σ, so that nothing cancels for large κ or far from the origin:
//     δ = ⟨v⟩ − Δ ⟨ū⟩,    Δ (1 − ‖⟨ū⟩‖²) = ⟨t⟩ − ⟨v⟩·⟨ū⟩,    t = E[u·(y − r u)]
sphere_step maximize(const sphere_values& current, const std::vector<double>& sums, double least_noise) {
    const sphere_means mean(sums);
    const double t = mean.of(sphere_alignment);
    double spread = 1, cross = 0;
    for (std::int64_t j = 0; j < mean.d; ++j) {
        spread -= mean.direction(j) * mean.direction(j);
        cross += mean.direction(j) * mean.residual(j);
    }
    sphere_step step{current};
    step.one_sided = spread < least_spread;
    const double change = step.one_sided ? 0 : std::max((t - cross) / spread, -current.radius);
    step.next.radius += change;

    double square = mean.of(sphere_squared_error) + change * (change - 2 * t);
    for (std::int64_t j = 0; j < mean.d; ++j) {
        const double shift = mean.residual(j) - change * mean.direction(j);
        step.next.centre[j] += shift;
        square += shift * (shift - 2 * mean.residual(j) + 2 * change * mean.direction(j));
    }
    square = std::max(square, 0.0);
    const double noise = square / static_cast<double>(mean.d);
    step.noise_floored = noise < least_noise;
    step.next.noise = std::max(noise, least_noise);

    step.log_likelihood = mean.of(sphere_log_density);
    step.entropy = mean.of(sphere_negative_kl);
    step.elbo_after = step.next.law().log_constant - square / (2 * step.next.noise) + step.entropy;
    return step;
}

sphere_values distance_probe(std::vector<double> centre, double mean_variance) {
    const double radius = std::sqrt(mean_variance * static_cast<double>(centre.size()));
    return {std::move(centre), radius, probe_noise};
}

// E ρ² = r² + D σ² and, for r or D large, Var ρ² = 4 r² σ² + 2 D σ⁴ ≈ 4 E ρ² Var ρ. At r = 0 the direction is lost and
// EM stands still: the start keeps away from it.
sphere_values start_from_distances(const sphere_values& probe, const std::vector<double>& sums, double least_noise) {
    constexpr double least_share = 0.1; // of E ρ², for r²
    const sphere_means mean(sums);
    const double step = mean.of(sphere_alignment); // ⟨ρ⟩ − r
    const double variance = std::max(0.0, mean.of(sphere_squared_error) - step * step);
    const double distance = probe.radius + step, square = distance * distance + variance,
                 d = static_cast<double>(mean.d);
    const double share =
        square > 0 ? std::max(least_share, std::sqrt(std::max(0.0, 1 - 2 * d * variance / square))) : 0;
    return {probe.centre, std::sqrt(square * share), std::max(square * (1 - share) / d, least_noise)};
}

double largest_change(const sphere_values& a, const sphere_values& b) {
    double largest = std::abs(a.radius - b.radius);
    for (std::size_t j = 0; j < a.centre.size(); ++j)
        largest = std::max(largest, std::abs(a.centre[j] - b.centre[j]));
    return largest;
}

sphere_values sphere_acceleration::next(const sphere_values& from, const sphere_step& step) {
    em_step_ = step.next;
    guaranteed_ = step.elbo_after;
    extrapolated_ = false;
    if (!enabled_)
        return em_step_;
    if (!tells(from, step)) {
        before_.reset();
        return em_step_;
    }
    if (!before_) {
        before_ = from;
        return em_step_;
    }
    const auto further = extrapolate(*before_, from, em_step_, least_noise_);
    before_.reset();
    extrapolated_ = further.has_value();
    return further.value_or(em_step_);
}

} // namespace elbo::latent
