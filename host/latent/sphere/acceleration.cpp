#include "host/latent/sphere/acceleration.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::latent {

using kernels::sphere_values;

namespace {

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
