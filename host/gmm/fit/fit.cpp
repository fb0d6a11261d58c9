// The way of a fit: summarise the data, choose the frame, start, load, iterate (host/rows/em_driver.hpp), map back.
#include "elbo/gmm/fit.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/gmm/fit/fields.hpp"
#include "host/gmm/fit/fit_pass.hpp"
#include "host/gmm/fit/gradient_m_step.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/rows/em_driver.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/regularization.hpp"
#include "host/rows/restarts.hpp"

#include <chrono>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// A mixture as em_driver fits it. Parameters are in the frame until the result is made.
class mixture_em {
public:
    using record = iteration_record;
    using result = fit_result;

    /// Reads the data once.
    mixture_em(const context& ctx, const data_source& data, const fit_options& options) : setup_(ctx, data, options) {
        summarize();
    }

    const fit_options& options() const { return options_; }

    void start(std::int64_t restart, fit_seconds& spent) {
        gmm_parameters first;
        timed(spent.start,
              [&] { first = first_parameters(setup_, frame_, summary_, loop_.rule.lambda, restart, sample_); });
        // After the first start, so that the sample that it takes to the device and the rows are not there at once.
        if (options_.restarts == 1)
            sample_ = {};
        load(spent);
        engine_.set_parameters(first);
        events_ = start_events(setup_);
        if (options_.m_step == m_step_method::gradient)
            gradient_.emplace(engine_, loop_.rule, options_.gradient);
    }

    void load(fit_seconds& spent) {
        if (!loaded_)
            timed(spent.load, [&] { loop_.rule.scatter = load_rows(setup_, frame_, loop_.component_bound); });
        loaded_ = true;
    }

    void pass() { pass_over_rows(setup_, loop_.component_bound, loop_.scalar_bound); }
    em_step<record> update(std::int64_t t) {
        return step_of(t, gradient_ ? gradient_->update() : engine_.update(loop_.rule));
    }
    void adopt() { gradient_ ? gradient_->adopt() : engine_.adopt(); }

    /// The loop of the engine, where it has one for this fit.
    template <class Note, class Pause>
    std::optional<stop_reason> run(loop_position& position, const Note& note, const Pause& pause) {
        if (gradient_ || setup_.rows.streamed())
            return std::nullopt;
        loop_.begin = position;
        loop_.on_iteration = [&](std::int64_t t, const update_outcome& o) { return note(step_of(t, o)); };
        loop_.on_pause = pause;
        const std::optional<loop_result> done = engine_.run(feed_.data().rows(), loop_);
        if (!done)
            return std::nullopt;
        position = done->end;
        return done->stopped;
    }

    io::json description() const {
        const std::optional<model>& m = options_.start_model;
        return description_of("mixture", setup_.ctx, options_, summary_,
                              m ? io::digest({m->weights(), m->means(), m->precision_cholesky()}) : "");
    }

    template <class State>
    void describe(State& s) {
        gmm_parameters p;
        std::vector<std::int32_t> reseeds(static_cast<std::size_t>(shape_.components));
        if constexpr (State::reads) {
            p.log_weights.resize(reseeds.size());
            p.means.resize(reseeds.size() * static_cast<std::size_t>(shape_.dimensions));
            p.precision_cholesky.resize(
                static_cast<std::size_t>(covariance_size(shape_.family, shape_.components, shape_.dimensions)));
        } else {
            p = engine_.parameters();
            reseeds = engine_.reseeds();
        }
        s.list("log_weights", p.log_weights);
        s.list("means", p.means);
        s.list("precision_cholesky", p.precision_cholesky);
        s.list("engine_reseeds", reseeds);
        s.table("events", events_, &event::iteration, &event::component, &event::what, &event::action);
        if constexpr (State::reads) {
            engine_.set_parameters(p);
            engine_.set_reseeds(reseeds);
            if (options_.m_step == m_step_method::gradient)
                gradient_.emplace(engine_, loop_.rule, options_.gradient);
        }
        if (gradient_)
            gradient_->describe(s);
    }

    static bool is_better(const result& one, const result& best) {
        return restart_objective(one) > restart_objective(best);
    }

    result make_result(std::int64_t restart, stop_reason stopped, std::vector<record> trace) {
        const record last = trace.back();
        result r{keep_regularization(from_frame(options_.shape, engine_.parameters(), frame_), loop_.rule.lambda,
                                     summary_.regular_variance, frame_)};
        r.stopped = stopped;
        r.iterations = last.iteration + 1;
        r.trace = std::move(trace);
        r.events = summary_.far;
        r.events.insert(r.events.end(), events_.begin(), events_.end());
        r.log_likelihood = last.log_likelihood;
        r.total_weight = summary_.weight;
        r.total_log_likelihood = last.log_likelihood * summary_.weight;
        r.entropy = last.entropy;
        r.samples = summary_.rows;
        r.negligible = feed_.negligible();
        r.bic = bic(r.model, r.total_log_likelihood, r.total_weight);
        r.aic = aic(r.model, r.total_log_likelihood);
        r.icl = icl(r.model, r.total_log_likelihood, r.entropy * r.total_weight, r.total_weight);
        r.best_restart = restart;
        r.best_start = start_of(options_, restart);
        return r;
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

    em_step<record> step_of(std::int64_t t, const update_outcome& o) {
        if (options_.on_collapse == collapse_policy::fail && !o.events.empty())
            throw_collapsed(o.events.front(), t);
        const double w = loop_.rule.total_weight;
        em_step<record> step;
        step.record = {0,
                       o.log_likelihood / w - log_scale_,
                       o.elbo_after / w - log_scale_,
                       o.entropy / w,
                       o.parameter_change,
                       0,
                       o.log_prior / w,
                       o.log_prior_after / w};
        step.objective = (o.log_likelihood + o.log_prior) / w;
        step.had_event = !o.events.empty();
        for (event e : o.events) {
            e.iteration = t;
            events_.push_back(e);
        }
        return step;
    }

    fit_setup setup_;
    const fit_options& options_ = setup_.options;
    const row_feed& feed_ = setup_.feed();
    const gmm_shape& shape_ = setup_.shape();
    gmm_engine& engine_ = setup_.rows.engine();
    data_summary summary_;
    frame frame_;
    double log_scale_ = 0;
    loop_options loop_;
    start_sample sample_;
    bool loaded_ = false;
    std::optional<gradient_m_step> gradient_; ///< instead of that of the engine
    std::vector<event> events_;               ///< of this restart
};

} // namespace

fit_result fit_restarts(const context& ctx, const data_source& data, const fit_options& options, std::int64_t first,
                        std::int64_t last, io::checkpoints& store) {
    const steady_time begin = std::chrono::steady_clock::now();
    mixture_em model(ctx, data, options);
    return em_driver(model, store, begin).run(first, last);
}

fit_result fit(const context& ctx, const data_source& data, const fit_options& options) {
    io::checkpoints store(options.checkpoint, options.resume);
    return fit_restarts(ctx, data, options, 0, options.restarts, store);
}

} // namespace elbo::gmm
