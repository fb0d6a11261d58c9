#include "host/latent/sphere/step.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::latent {

using kernels::sphere_values;

namespace {

/// The means of a pass, over the weights: ⟨ū⟩, ⟨v⟩ with v = E[y − r u], and those of the scalars.
struct sphere_means {
    explicit sphere_means(const std::vector<double>& sums)
        : d((static_cast<std::int64_t>(sums.size()) - kernels::sphere_scalars) / 2), sums_(sums) {}

    double direction(std::int64_t j) const { return sums_[j] / weight(); }
    double residual(std::int64_t j) const { return sums_[d + j] / weight(); }
    double of(kernels::sphere_scalar s) const { return sums_[2 * d + s] / weight(); }

    const std::int64_t d;

private:
    double weight() const { return sums_[2 * d + kernels::sphere_weight]; }
    const std::vector<double>& sums_;
};

/// Below this, 1 − ‖⟨ū⟩‖² is rounding.
constexpr double least_spread = 1e-13;

/// Noise of a probe: so small that A(κ) is 1.
constexpr double probe_noise = 1e-20;

} // namespace

// With y = x − m for the current m and r, the next are m + δ and r + Δ. J wants the least ⟨E‖(y − r u) − δ − Δ u‖²⟩, a
// quadratic in residuals of the order of σ, so that nothing cancels for large κ or far from the origin:
//     δ = ⟨v⟩ − Δ ⟨ū⟩,    Δ (1 − ‖⟨ū⟩‖²) = ⟨t⟩ − ⟨v⟩·⟨ū⟩,    t = E[u·(y − r u)]
sphere_step maximize(const sphere_values& current, const std::vector<double>& sums, double least_noise) {
    const sphere_means mean(sums);
    const double t = mean.of(kernels::sphere_alignment);
    double spread = 1, cross = 0;
    for (std::int64_t j = 0; j < mean.d; ++j) {
        spread -= mean.direction(j) * mean.direction(j);
        cross += mean.direction(j) * mean.residual(j);
    }
    sphere_step step{current};
    step.one_sided = spread < least_spread;
    const double change = step.one_sided ? 0 : std::max((t - cross) / spread, -current.radius);
    step.next.radius += change;

    double square = mean.of(kernels::sphere_squared_error) + change * (change - 2 * t);
    for (std::int64_t j = 0; j < mean.d; ++j) {
        const double shift = mean.residual(j) - change * mean.direction(j);
        step.next.centre[j] += shift;
        square += shift * (shift - 2 * mean.residual(j) + 2 * change * mean.direction(j));
    }
    square = std::max(square, 0.0);
    const double noise = square / static_cast<double>(mean.d);
    step.noise_floored = noise < least_noise;
    step.next.noise = std::max(noise, least_noise);

    step.log_likelihood = mean.of(kernels::sphere_log_density);
    step.entropy = mean.of(kernels::sphere_negative_kl);
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
    const double step = mean.of(kernels::sphere_alignment); // ⟨ρ⟩ − r
    const double variance = std::max(0.0, mean.of(kernels::sphere_squared_error) - step * step);
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

} // namespace elbo::latent
