// Extrapolation of EM for the sphere model that keeps the chain of the bound (SQUAREM, step length S3: R. Varadhan and
// C. Roland, Scandinavian Journal of Statistics 35, 2008).
#pragma once

#include "host/latent/sphere/step.hpp"

#include <optional>
#include <string>
#include <utility>

namespace elbo::latent {

/// For checkpoints: values, or none.
template <class State>
void describe_values(State& s, const std::string& name, kernels::sphere_values& v, std::size_t d) {
    s.list_or_none(name, v.centre, d);
    s.numbers(name + "_scales", v.radius, v.noise);
}

/// Where EM goes from one iteration to the next.
class sphere_acceleration {
public:
    sphere_acceleration(bool enabled, double least_noise) : enabled_(enabled), least_noise_(least_noise) {}

    /// What to try after the step from `from`: its end, or every second time a point further on.
    kernels::sphere_values next(const kernels::sphere_values& from, const sphere_step& step);
    /// Whether the point that was tried is worse than the bound that the EM step in its place reached.
    bool falls_short(double log_likelihood) const { return extrapolated_ && !(log_likelihood >= guaranteed_); }
    /// The end of that EM step.
    const kernels::sphere_values& em_step() const { return em_step_; }

    /// What it keeps between iterations, in `d` dimensions (host/io/model/fit_state.hpp).
    template <class State>
    void describe(State& s, std::size_t d) {
        kernels::sphere_values before = before_.value_or(kernels::sphere_values{});
        describe_values(s, "before", before, d);
        describe_values(s, "em_step", em_step_, d);
        s.numbers("path", guaranteed_, extrapolated_);
        before_ = before.centre.empty() ? std::nullopt : std::optional(std::move(before));
    }

private:
    bool enabled_;
    double least_noise_;
    std::optional<kernels::sphere_values> before_; ///< the iterate before, where nothing was tried since
    kernels::sphere_values em_step_;
    double guaranteed_ = 0;
    bool extrapolated_ = false;
};

} // namespace elbo::latent
