// The way of a fit: summarise the data, choose the frame, start, load, iterate (host/rows/em_driver.hpp), map back.
#include "elbo/gmm/fit.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/fit/fit_setup.hpp"
#include "host/gmm/fit/gradient_m_step.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/rows/em_driver.hpp"
#include "host/rows/frame.hpp"
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

    /// Reads the data once, after a checkpoint that does not fit was refused.
    mixture_em(const context& ctx, const data_source& data, const fit_options& options, const io::checkpoints& store)
        : known_(store.of_same_fit(description_of("mixture", ctx, options, data, digest_of(options.start_model)))),
          rows_(ctx, data, options, options.prior ? options.prior->mean : std::nullopt) {
        loop_.max_iterations = options.max_iterations;
        loop_.tolerance = options.tolerance;
        loop_.component_bound = rows_.component_bound();
        loop_.scalar_bound = rows_.scalar_bound();
        loop_.rule.total_weight = rows_.total_weight();
        loop_.rule.lambda = rows_.lambda();
        loop_.rule.on_collapse = options.on_collapse;
        if (options.prior)
            loop_.rule.prior = prior();
    }

    const fit_options& options() const { return options_; }

    void start(std::int64_t restart, fit_seconds& spent) {
        const gmm_parameters first = rows_.start(restart, spent);
        loop_.rule.scatter = rows_.scatter();
        engine_.set_parameters(first);
        events_ = rows_.start_events();
        if (options_.m_step == m_step_method::gradient)
            gradient_.emplace(engine_, loop_.rule, options_.gradient);
    }

    void load(fit_seconds& spent) {
        rows_.load(spent);
        loop_.rule.scatter = rows_.scatter();
    }

    void pass() { rows_.pass(); }
    em_step<record> update(std::int64_t t) {
        return step_of(t, gradient_ ? gradient_->update() : engine_.update(loop_.rule));
    }
    void adopt() { gradient_ ? gradient_->adopt() : engine_.adopt(); }

    /// The loop of the engine, where it has one for this fit.
    template <class Note, class Pause>
    std::optional<stop_reason> run(loop_position& position, const Note& note, const Pause& pause) {
        if (gradient_ || rows_.rows.streamed())
            return std::nullopt;
        loop_.begin = position;
        loop_.on_iteration = [&](std::int64_t t, const update_outcome& o) { return note(step_of(t, o)); };
        loop_.on_pause = pause;
        const std::optional<loop_result> done = engine_.run(rows_.feed().data().rows(), loop_);
        if (!done)
            return std::nullopt;
        position = done->end;
        return done->stopped;
    }

    io::json description() const { return with_data(known_, rows_.summary()); }

    template <class State>
    void describe(State& s) {
        gmm_parameters p;
        std::vector<std::int32_t> reseeds;
        if constexpr (!State::reads)
            p = engine_.parameters(), reseeds = engine_.reseeds();
        const auto k = static_cast<std::size_t>(shape_.components), d = static_cast<std::size_t>(shape_.dimensions);
        s.list("log_weights", p.log_weights, k);
        s.list("means", p.means, k * d);
        s.list("precision_cholesky", p.precision_cholesky,
               covariance_size(shape_.family, shape_.components, shape_.dimensions));
        s.list("engine_reseeds", reseeds, k);
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

    result make_result(std::int64_t restart, const record& last) {
        const data_summary& data = rows_.summary();
        result r{keep_regularization(from_frame(options_.shape, engine_.parameters(), rows_.frame()), rows_.lambda(),
                                     data.regular_variance, rows_.frame())};
        r.events = data.far;
        r.events.insert(r.events.end(), events_.begin(), events_.end());
        set_likelihood(r, r.model, last.log_likelihood, data, rows_.feed().negligible());
        r.entropy = last.entropy;
        r.icl = icl(r.model, r.total_log_likelihood, r.entropy * r.total_weight, r.total_weight);
        r.best_start = start_of(options_, restart);
        return r;
    }

private:
    conjugate_prior prior() const {
        const data_summary& data = rows_.summary();
        prior_moments moments{data.weight, data.mean, data.variance};
        if (takes_covariance(*options_.prior, options_.shape))
            moments.covariance = data_covariance(rows_, data);
        check_weight_beside_prior(data.weight);
        return to_frame(complete_prior(*options_.prior, shape_, moments), shape_, rows_.frame(),
                        rows_.feed().weight_scale());
    }

    em_step<record> step_of(std::int64_t t, const update_outcome& o) {
        if (options_.on_collapse == collapse_policy::fail && !o.events.empty())
            throw_collapsed(o.events.front(), t);
        const double w = loop_.rule.total_weight;
        em_step<record> step;
        step.record = {0,
                       o.log_likelihood / w - rows_.log_scale(),
                       o.elbo_after / w - rows_.log_scale(),
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

    const io::json known_; ///< of the description
    mixture_rows rows_;
    const fit_options& options_ = rows_.options;
    const gmm_shape& shape_ = rows_.shape();
    gmm_engine& engine_ = rows_.engine();
    loop_options loop_;
    std::optional<gradient_m_step> gradient_; ///< instead of that of the engine
    std::vector<event> events_;               ///< of this restart
};

} // namespace

fit_result fit_restarts(const context& ctx, const data_source& data, const fit_options& options, std::int64_t first,
                        std::int64_t last, io::checkpoints& store) {
    const steady_time begin = std::chrono::steady_clock::now();
    mixture_em model(ctx, data, options, store);
    return em_driver(model, store, begin).run(first, last);
}

fit_result fit(const context& ctx, const data_source& data, const fit_options& options) {
    io::checkpoints store(options.checkpoint, options.resume);
    return fit_restarts(ctx, data, options, 0, options.restarts, store);
}

} // namespace elbo::gmm
