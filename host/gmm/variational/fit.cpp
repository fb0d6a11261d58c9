// Coordinate ascent on the bound: E-steps in an engine, q(θ) on the host.
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/fit/fit_pass.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/gmm/variational/distribution.hpp"
#include "host/gmm/variational/prior.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/regularization.hpp"
#include "host/rows/restarts.hpp"
#include "host/seconds.hpp"
#include "kernels/math/stopping.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

using clock = std::chrono::steady_clock;

/// What the ways to the data and to a start read.
fit_options shared_options(const variational_options& o) {
    fit_options f;
    f.components = o.components;
    f.shape = o.shape;
    f.start = o.start;
    f.start_model = o.start_model;
    f.greedy = o.greedy;
    f.restarts = o.restarts;
    f.max_iterations = o.max_iterations;
    f.tolerance = o.tolerance;
    f.weights = o.weights;
    f.labels = o.labels;
    f.seed = o.seed;
    f.precision = o.precision;
    f.memory_limit = o.memory_limit;
    return f;
}

/// One fit under way. Posteriors and priors are in the frame until the result is made.
class variational_fitter {
public:
    variational_fitter(const context& ctx, const data_source& data, const variational_options& options)
        : options_(options), shared_(shared_options(options)), setup_(ctx, data, shared_) {
        variational::check_prior(options.prior, options.shape, data.cols(), "prior");
    }

    variational_result run() {
        const auto begin = clock::now();
        timed(spent_.load, [&] { summarize(); });
        std::optional<variational_result> best;
        for (restart_ = 0; restart_ < options_.restarts && !interrupted_; ++restart_) {
            variational::moments first;
            timed(spent_.start, [&] { first = first_moments(); });
            variational_result one = iterate(first);
            if (!best || one.bound > best->bound)
                best = std::move(one);
        }
        if (interrupted_)
            best->stopped = stop_reason::interrupted;
        best->seconds = spent_;
        best->seconds.total = seconds_since(begin);
        return std::move(*best);
    }

private:
    using parameters = variational::parameters;

    void summarize() {
        summary_ = summarize_rows(setup_);
        frame_ = make_frame(options_.shape, summary_.mean, summary_.variance);
        log_scale_ = log_scale(frame_);
        check_weight_beside_prior(summary_.weight);
        lambda_ = normalized_lambda(shared_, summary_.regular_variance, frame_);
        const double total = summary_.weight * feed_.weight_scale();
        component_bound_ =
            component_sum_bound(total, setup_.reach(summary_, frame_, options_.prior.mean), shape_.dimensions);
        scalar_bound_ = scalar_sum_bound(total, summary_);
        const std::vector<double> covariance = options_.prior.scale ? std::vector<double>() : covariance_in_frame();
        prior_ = variational::complete_prior(variational::to_frame(options_.prior, options_.shape, frame_), shape_,
                                             covariance, lambda_);
    }

    /// Of the data about their mean, by structure. Not from the sums of the first E-step, which lose it where a fit
    /// starts far from the data.
    std::vector<double> covariance_in_frame() const {
        variational_prior p;
        const structure s = structure_of(options_.shape);
        if (s == structure::full)
            p.scale = data_covariance(setup_.ctx, feed_, summary_, options_.precision, setup_.rows.at_a_time());
        else
            p.scale = summary_.variance;
        if (s == structure::spherical)
            p.scale = std::vector{std::accumulate(p.scale->begin(), p.scale->end(), 0.0) /
                                  static_cast<double>(shape_.dimensions)};
        return *variational::to_frame(std::move(p), options_.shape, frame_).scale;
    }

    /// Of the E-step of a mixture, which is where a fit begins.
    variational::moments first_moments() {
        const gmm_parameters start = first_parameters(setup_, frame_, summary_, lambda_, restart_, sample_);
        // After the first start, so that the sample that it takes to the device and the rows are not there at once.
        if (options_.restarts == 1)
            sample_ = {};
        if (restart_ == 0)
            timed(spent_.load, [&] { scatter_ = load_rows(setup_, frame_, component_bound_); });
        return e_step(start);
    }

    variational::moments e_step(const gmm_parameters& p) {
        engine_.set_parameters(p);
        pass_over_rows(setup_, component_bound_, scalar_bound_);
        variational::moments m = variational::read_moments(shape_, engine_.sums(), scatter_, engine_.parameters().means,
                                                           feed_.weight_scale());
        // Components change places where their order matters to the prior and nobody has named them.
        const bool ordered = options_.weights_prior == weights_model::stick_breaking && options_.labels.empty();
        return ordered ? variational::in_stick_order(std::move(m), shape_, concentration()) : m;
    }

    variational_result iterate(const variational::moments& first) {
        const auto begin = clock::now();
        parameters q = m_step(first);
        std::vector<variational_record> trace;
        stopping_state rule;
        stop_reason stopped = stop_reason::max_iterations;
        for (std::int64_t t = 0;; ++t) {
            const variational::moments m = e_step(variational::e_step_parameters(q));
            parameters next = m_step(m);
            trace.push_back(record_of(t, q, m, next, seconds_since(begin)));
            require_finite(t, trace.back().bound);
            if (options_.callback && !options_.callback({restart_, options_.restarts, trace.back()}))
                interrupted_ = true;
            const bool converged = should_stop(rule, trace.back().bound, options_.tolerance, false);
            if (converged)
                stopped = stop_reason::converged;
            // The posterior returned is the one whose bound is known: that of this E-step.
            if (converged || interrupted_ || t + 1 >= options_.max_iterations)
                break;
            q = std::move(next);
        }
        spent_.iterations += seconds_since(begin);
        return make_result(std::move(q), std::move(trace), stopped);
    }

    double concentration() const {
        return options_.prior.concentration.value_or(1 / static_cast<double>(shape_.components));
    }

    parameters m_step(const variational::moments& m) const {
        return variational::update(shape_, options_.weights_prior, prior_, m);
    }

    variational_record record_of(std::int64_t t, const parameters& q, const variational::moments& m,
                                 const parameters& next, double seconds) const {
        const double w = m.weight, d = static_cast<double>(shape_.dimensions);
        const variational::divergences kl = variational::divergences_from_prior(q);
        variational_record r;
        r.iteration = t;
        r.expected_log_likelihood = m.expected_log_likelihood / w - log_scale_;
        r.weights_divergence = kl.weights / w;
        r.components_divergence = kl.components / w;
        r.bound = r.expected_log_likelihood - r.weights_divergence - r.components_divergence;
        r.bound_after_m_step = (m.entropy + m.log_factors + variational::log_normalizer_gain(next)) / w -
                               0.5 * d * std::log(2 * std::numbers::pi) - log_scale_;
        r.entropy = m.entropy / w;
        for (std::size_t i = 0; i < m.centres.size(); ++i)
            r.parameter_change = std::max(r.parameter_change, std::abs(next.means[i] - m.centres[i]));
        r.seconds = seconds;
        return r;
    }

    variational_result make_result(parameters q, std::vector<variational_record> trace, stop_reason stopped) const {
        variational_posterior posterior(variational::from_frame(std::move(q), frame_, options_.prior));
        gmm::model plug_in = keep_regularization(posterior.model(), lambda_, summary_.regular_variance, frame_);
        variational_result r{std::move(posterior), std::move(plug_in)};
        const variational_record& last = trace.back();
        r.stopped = stopped;
        r.iterations = last.iteration + 1;
        r.bound = last.bound;
        r.total_bound = last.bound * summary_.weight;
        r.entropy = last.entropy;
        r.total_weight = summary_.weight;
        r.samples = summary_.rows;
        r.negligible = feed_.negligible();
        r.events = start_events(setup_);
        r.events.insert(r.events.end(), summary_.far.begin(), summary_.far.end());
        r.best_restart = restart_;
        r.best_start = start_of(options_, restart_);
        r.trace = std::move(trace);
        return r;
    }

    const variational_options& options_;
    const fit_options shared_;
    fit_setup setup_;
    const row_feed& feed_ = setup_.feed();
    const gmm_shape& shape_ = setup_.shape();
    gmm_engine& engine_ = setup_.rows.engine();
    data_summary summary_;
    frame frame_;
    double log_scale_ = 0, component_bound_ = 0, scalar_bound_ = 0;
    std::vector<double> lambda_, scatter_;
    start_sample sample_;
    variational_prior prior_;
    fit_seconds spent_;
    std::int64_t restart_ = 0;
    bool interrupted_ = false;
};

} // namespace

variational_result fit_variational(const context& ctx, const data_source& data, const variational_options& options) {
    return variational_fitter(ctx, data, options).run();
}

} // namespace elbo::gmm
