// The way of a fit: summarise the data, choose the frame, start, load, iterate, map back.
#include "elbo/gmm/fit.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/gmm/fit/fit_pass.hpp"
#include "host/gmm/fit/gradient_m_step.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/regularization.hpp"
#include "host/rows/restarts.hpp"
#include "host/seconds.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/shared/host_loop.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace elbo::gmm {

using namespace kernels;

namespace {

using clock = std::chrono::steady_clock;

/// One fit under way.
class fitter {
public:
    explicit fitter(fit_setup setup) : setup_(std::move(setup)) {}

    /// The best of the restarts first ... last − 1.
    fit_result run(std::int64_t first_restart, std::int64_t last_restart) {
        const auto begin = clock::now();
        fit_seconds spent;
        timed(spent.load, [&] { summarize(); });
        std::optional<fit_result> best;
        for (restart_ = first_restart; restart_ < last_restart && !interrupted_; ++restart_) {
            gmm_parameters first;
            timed(spent.start,
                  [&] { first = first_parameters(setup_, frame_, summary_, loop_.rule.lambda, restart_, sample_); });
            // After the first start, so that the sample that it takes to the device and the rows are not there at once.
            if (options_.restarts == 1)
                sample_ = {};
            if (restart_ == first_restart)
                timed(spent.load, [&] { loop_.rule.scatter = load_rows(setup_, frame_, loop_.component_bound); });
            engine_.set_parameters(first);
            fit_result one = iterate(spent.iterations);
            if (!best || restart_objective(one) > restart_objective(*best))
                best = std::move(one);
        }
        if (interrupted_)
            best->stopped = stop_reason::interrupted;
        best->seconds = spent;
        best->seconds.total = seconds_since(begin);
        return std::move(*best);
    }

private:
    /// What the data is like, and the options of the loop that follow from it.
    void summarize() {
        summary_ = summarize_rows(setup_);
        frame_ = make_frame(options_.shape, summary_.mean, summary_.variance);
        log_scale_ = log_scale(frame_);

        const double largest = setup_.reach(summary_, frame_, options_.prior ? options_.prior->mean : std::nullopt);
        loop_.max_iterations = options_.max_iterations;
        loop_.tolerance = options_.tolerance;
        loop_.rule.total_weight = summary_.weight * feed_.weight_scale();
        loop_.rule.lambda = normalized_lambda(options_, summary_.regular_variance, frame_);
        loop_.rule.on_collapse = options_.on_collapse;
        loop_.component_bound = component_sum_bound(loop_.rule.total_weight, largest, shape_.dimensions);
        loop_.scalar_bound = scalar_sum_bound(loop_.rule.total_weight, summary_);
        if (options_.prior)
            loop_.rule.prior = prior();
    }

    conjugate_prior prior() {
        prior_moments data{summary_.weight, summary_.mean, summary_.variance};
        if (takes_covariance(*options_.prior, options_.shape))
            data.covariance = data_covariance(setup_.ctx, feed_, summary_, options_.precision, setup_.rows.at_a_time());
        check_weight_beside_prior(summary_.weight);
        return to_frame(complete_prior(*options_.prior, shape_, data), shape_, frame_, feed_.weight_scale());
    }

    fit_result iterate(double& spent) {
        const auto begin = clock::now();
        std::vector<iteration_record> trace;
        std::vector<event> events = start_events(setup_);
        loop_.on_iteration = [&](std::int64_t t, const update_outcome& o, double seconds) {
            return note_iteration(t, o, seconds, trace, events);
        };
        const loop_result loop = run_loop();
        spent += seconds_since(begin);
        return make_result(loop, std::move(trace), std::move(events));
    }

    loop_result run_loop() {
        if (options_.m_step == m_step_method::gradient) {
            gradient_m_step step(engine_, loop_.rule, options_.gradient);
            return em_loop(loop_, [&] { pass(); }, {[&] { return step.update(); }, [&] { step.adopt(); }});
        }
        return streamed_ ? em_loop(engine_, loop_, [&] { pass(); }) : engine_.run(feed_.data().rows(), loop_);
    }

    void pass() { pass_over_rows(setup_, loop_.component_bound, loop_.scalar_bound); }

    bool note_iteration(std::int64_t t, const update_outcome& o, double seconds, std::vector<iteration_record>& trace,
                        std::vector<event>& events) {
        const double w = loop_.rule.total_weight;
        require_finite(t, o.log_likelihood / w);
        trace.push_back({t, o.log_likelihood / w - log_scale_, o.elbo_after / w - log_scale_, o.entropy / w,
                         o.parameter_change, seconds, o.log_prior / w, o.log_prior_after / w});
        for (event e : o.events) {
            e.iteration = t;
            events.push_back(e);
        }
        if (options_.callback && !options_.callback({restart_, options_.restarts, trace.back()}))
            interrupted_ = true;
        return !interrupted_;
    }

    fit_result make_result(const loop_result& loop, std::vector<iteration_record> trace, std::vector<event> events) {
        const iteration_record last = trace.back();
        fit_result r{keep_regularization(from_frame(options_.shape, engine_.parameters(), frame_), loop_.rule.lambda,
                                         summary_.regular_variance, frame_)};
        r.stopped = loop.stopped;
        r.iterations = loop.iterations;
        r.trace = std::move(trace);
        r.events = summary_.far;
        r.events.insert(r.events.end(), events.begin(), events.end());
        r.log_likelihood = last.log_likelihood;
        r.total_weight = summary_.weight;
        r.total_log_likelihood = last.log_likelihood * summary_.weight;
        r.entropy = last.entropy;
        r.samples = summary_.rows;
        r.negligible = feed_.negligible();
        r.bic = bic(r.model, r.total_log_likelihood, r.total_weight);
        r.aic = aic(r.model, r.total_log_likelihood);
        r.icl = icl(r.model, r.total_log_likelihood, r.entropy * r.total_weight, r.total_weight);
        r.best_restart = restart_;
        r.best_start = start_of(options_, restart_);
        return r;
    }

    fit_setup setup_;
    const fit_options& options_ = setup_.options;
    const row_feed& feed_ = setup_.feed();
    const gmm_shape& shape_ = setup_.shape();
    gmm_engine& engine_ = setup_.rows.engine();
    const bool streamed_ = setup_.rows.streamed();
    data_summary summary_;
    frame frame_;
    double log_scale_ = 0;
    loop_options loop_;
    start_sample sample_;
    std::int64_t restart_ = 0;
    bool interrupted_ = false;
};

} // namespace

fit_result fit(const context& ctx, const data_source& data, const fit_options& options) {
    return fitter(fit_setup(ctx, data, options)).run(0, options.restarts);
}

fit_result fit_restart(const context& ctx, const data_source& data, const fit_options& options, std::int64_t restart) {
    return fitter(fit_setup(ctx, data, options)).run(restart, restart + 1);
}

} // namespace elbo::gmm
