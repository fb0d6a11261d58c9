// An iteration of the sphere model: the pass over the rows, and from its sums the M-step, the start and the
// acceleration.
#pragma once

#include "elbo/latent/sphere.hpp"
#include "host/latent/rows.hpp"
#include "kernels/contract/radial_engine.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbo::latent {

/// Rows on their way through a sphere engine, in a frame with one scale.
class sphere_rows : public latent_rows<kernels::sphere_engine> {
public:
    /// Throws as latent_rows; memory_limit as in sphere_options.
    sphere_rows(const context& ctx, const data_source& data, const sample_weights& weights, std::int64_t memory_limit);
    /// Σ_j variance_j / d, in the frame.
    double mean_variance() const;
    std::vector<double> sums(const kernels::sphere_values& p);
};

/// Parameters in a frame, and back.
kernels::sphere_values to_frame(const sphere_model& m, const kernels::frame& f);
sphere_model from_frame(const kernels::sphere_values& p, const kernels::frame& f);

/// What one E-step and M-step came to: means per sample, in the frame.
struct sphere_step {
    kernels::sphere_values next;
    double log_likelihood = 0;
    double entropy = 0;    ///< −KL(q(u) ‖ uniform)
    double elbo_after = 0; ///< J(q, next)
    bool noise_floored = false;
    bool one_sided = false; ///< the radius was kept, since 1 − ‖⟨ū⟩‖² is 0 to rounding
};

/// The maximum of J(q, ·) with q the posterior under `current` that the sums are of; noise at least least_noise.
sphere_step maximize(const kernels::sphere_values& current, const std::vector<double>& sums, double least_noise);

/// A pass with these parameters takes each sample's own direction for u and measures its distance from `centre`.
kernels::sphere_values distance_probe(std::vector<double> centre, double mean_variance);
/// Radius and noise about the centre of the probe from its sums, by the method of moments.
kernels::sphere_values start_from_distances(const kernels::sphere_values& probe, const std::vector<double>& sums,
                                            double least_noise);

/// Largest change of the centre's coordinates and the radius.
double largest_change(const kernels::sphere_values& a, const kernels::sphere_values& b);

/// For checkpoints: values, or none.
template <class State>
void describe_values(State& s, const std::string& name, kernels::sphere_values& v, std::size_t d) {
    s.list_or_none(name, v.centre, d);
    s.numbers(name + "_scales", v.radius, v.noise);
}

/// Where EM goes from one iteration to the next: extrapolation that keeps the chain of the bound (SQUAREM, step length
/// S3: R. Varadhan and C. Roland, Scandinavian Journal of Statistics 35, 2008).
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
