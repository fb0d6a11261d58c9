// The way of a fit of the sphere model: load, start, iterate, map back.
#include "elbo/latent/sphere.hpp"

#include "host/check.hpp"
#include "host/latent/criteria.hpp"
#include "host/latent/sphere/acceleration.hpp"
#include "host/latent/sphere/rows.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/restarts.hpp"
#include "host/seconds.hpp"
#include "kernels/math/philox.hpp"
#include "kernels/math/stopping.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

void check_options(const data_source& data, const sphere_options& o) {
    expects(o.restarts >= 1, [&] { return fmt::format("restarts = {}: expected at least 1", o.restarts); });
    expects(o.max_iterations >= 1,
            [&] { return fmt::format("max_iterations = {}: expected at least 1", o.max_iterations); });
    expects(o.tolerance >= 0 && std::isfinite(o.tolerance),
            [&] { return fmt::format("tolerance = {}: expected a finite number, at least 0", o.tolerance); });
    expects(o.noise_floor >= 1e-20 && o.noise_floor < 1,
            [&] { return fmt::format("noise_floor = {}: expected a number from 1e-20 to 1", o.noise_floor); });
    expects(o.memory_limit >= 0, [&] {
        return fmt::format("memory_limit = {}: expected 0 (what fits) or a number of bytes", o.memory_limit);
    });
    expects(!o.start_model || o.start_model->dimensions() == data.cols(), [&] {
        return fmt::format("start_model has {} dimensions: expected {}, the columns of {}", o.start_model->dimensions(),
                           data.cols(), data.description());
    });
}

const sphere_options& checked(const data_source& data, const sphere_options& o) {
    check_options(data, o);
    return o;
}

/// One fit under way.
class sphere_fitter {
public:
    sphere_fitter(const context& ctx, const data_source& data, const sphere_options& o)
        : options_(checked(data, o)), rows_(ctx, data, o.weights, o.memory_limit) {
        spent_.load = seconds_since(begin_);
        const double variance = rows_.mean_variance();
        least_noise_ = o.noise_floor * (variance > 0 ? variance : 1);
        log_scale_ = gmm::log_scale(rows_.frame());
    }

    sphere_result run() {
        std::optional<sphere_result> best;
        for (restart_ = 0; restart_ < options_.restarts && !interrupted_; ++restart_) {
            sphere_result one = iterate(first_parameters());
            if (!best || one.log_likelihood > best->log_likelihood)
                best = std::move(one);
        }
        if (interrupted_)
            best->stopped = gmm::stop_reason::interrupted;
        best->seconds = spent_;
        best->seconds.total = seconds_since(begin_);
        return std::move(*best);
    }

private:
    sphere_values first_parameters() {
        if (options_.start_model)
            return to_frame(*options_.start_model, rows_.frame());
        const auto begin = std::chrono::steady_clock::now();
        // The frame's origin is the mean of the data; a standard normal number is of the size of their spread.
        std::vector<double> centre(rows_.frame().centre.size(), 0);
        for (std::size_t j = 0; restart_ > 0 && j < centre.size(); j += 2) {
            double pair[2];
            normal_pair(random_block(options_.seed, random_purpose::centre_choice, static_cast<std::uint64_t>(restart_),
                                     static_cast<std::uint32_t>(j / 2)),
                        pair[0], pair[1]);
            std::copy_n(pair, std::min<std::size_t>(2, centre.size() - j), centre.begin() + j);
        }
        const sphere_values probe = distance_probe(std::move(centre), rows_.mean_variance());
        const sphere_values start = start_from_distances(probe, rows_.sums(probe), least_noise_);
        spent_.start += seconds_since(begin);
        return start;
    }

    sphere_result iterate(sphere_values theta) {
        const auto begin = std::chrono::steady_clock::now();
        stopping_state rule;
        std::vector<gmm::iteration_record> trace;
        std::vector<sphere_event> events;
        sphere_acceleration path(options_.accelerate, least_noise_);
        gmm::stop_reason stopped = gmm::stop_reason::max_iterations;
        for (std::int64_t t = 0;; ++t) {
            sphere_step step = maximize(theta, rows_.sums(theta), least_noise_);
            if (path.falls_short(step.log_likelihood)) {
                theta = path.em_step();
                step = maximize(theta, rows_.sums(theta), least_noise_);
            }
            gmm::require_finite(t, step.log_likelihood);
            note_events(t, step, events);
            trace.push_back({t, step.log_likelihood - log_scale_, step.elbo_after - log_scale_, step.entropy,
                             largest_change(theta, step.next), seconds_since(begin)});
            const bool converged = should_stop(rule, step.log_likelihood, options_.tolerance, false);
            if (!go_on(trace.back()) || converged)
                stopped = interrupted_ ? gmm::stop_reason::interrupted : gmm::stop_reason::converged;
            // The model returned is the one whose log-likelihood is known.
            if (interrupted_ || converged || t + 1 == options_.max_iterations)
                break;
            theta = path.next(theta, step);
        }
        spent_.iterations += seconds_since(begin);
        return make_result(theta, stopped, std::move(trace), std::move(events));
    }

    static void note_events(std::int64_t t, const sphere_step& step, std::vector<sphere_event>& events) {
        const auto note = [&](bool happened, sphere_event::kind what) {
            const auto same = [what](const sphere_event& e) { return e.what == what; };
            if (happened && std::ranges::none_of(events, same))
                events.push_back({t, what});
        };
        note(step.noise_floored, sphere_event::kind::noise_floor);
        note(step.one_sided, sphere_event::kind::one_sided);
    }

    bool go_on(const gmm::iteration_record& record) {
        if (options_.callback && !options_.callback({restart_, options_.restarts, record}))
            interrupted_ = true;
        return !interrupted_;
    }

    sphere_result make_result(const sphere_values& theta, gmm::stop_reason stopped,
                              std::vector<gmm::iteration_record> trace, std::vector<sphere_event> events) const {
        sphere_result r{from_frame(theta, rows_.frame())};
        r.stopped = stopped;
        r.iterations = static_cast<std::int64_t>(trace.size());
        r.log_likelihood = trace.back().log_likelihood;
        r.trace = std::move(trace);
        for (const gmm::event& e : rows_.summary().far)
            r.events.push_back({0, sphere_event::kind::far_value, e.far});
        r.events.insert(r.events.end(), events.begin(), events.end());
        r.total_weight = rows_.summary().weight;
        r.total_log_likelihood = r.log_likelihood * r.total_weight;
        r.samples = rows_.summary().rows;
        r.negligible = rows_.negligible();
        r.bic = bic(r.model, r.total_log_likelihood, r.total_weight);
        r.aic = aic(r.model, r.total_log_likelihood);
        r.best_restart = restart_;
        return r;
    }

    const steady_time begin_ = std::chrono::steady_clock::now();
    const sphere_options& options_;
    sphere_rows rows_;
    gmm::fit_seconds spent_;
    double least_noise_ = 0, log_scale_ = 0;
    std::int64_t restart_ = 0;
    bool interrupted_ = false;
};

} // namespace

sphere_result fit(const context& ctx, const data_source& data, const sphere_options& options) {
    return sphere_fitter(ctx, data, options).run();
}

} // namespace elbo::latent
