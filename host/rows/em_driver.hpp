// EM, told once for all models: restarts, the loop, its trace, when it ends, interruption, checkpoints.
//
//     θ_0 from the data or a model                                                start
//     repeat   q_{t+1} = argmax_q J(q, θ_t),  where J = log p(x | θ_t)            pass
//              θ_{t+1} = argmax_θ J(q_{t+1}, θ), kept aside                       update
//              until kernels/math/stopping.hpp says so, else θ_{t+1} counts       adopt
//
// What is returned is the model whose log-likelihood is known: that of the last pass.
//
// An iteration over N rows of d numbers of s bytes reads N s d bytes (and N s of weights) once; nothing of N x K is
// written. Rows that are streamed are read from their source and written once beside that. With K components, of which
// A are in the active set of a row on average, L latent variables, and FLOPs of two for a multiplication and addition:
//
//     model                  pass, FLOPs          sums, bytes                       update, FLOPs
//     mixture, full          N (K d² + A d²)      24 K (1 + d + d (d + 1) / 2)      K d³
//     mixture, tied          N (K d² + 2 A d)     24 K (1 + d)                      d³ + 2 K d²
//     mixture, others        N (4 K d + 4 A d)    24 K (1 + 2 d) at most            10 K d
//     variational mixture    as the mixture       as the mixture                    3 K d³ at most
//     linear-Gaussian        N K (4 d L + 6 d)    24 K (1 + 2 d + d L)              K (4 d L² + L³)
//     sphere                 10 N d               24 (2 d + 5)                      10 d
#pragma once

#include "elbo/data_source.hpp"
#include "elbo/error.hpp"
#include "elbo/fit.hpp"
#include "host/fit_fields.hpp"
#include "host/io/model/fit_checkpoint.hpp"
#include "host/seconds.hpp"
#include "kernels/contract/phase.hpp"
#include "kernels/math/stopping.hpp"

#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <optional>
#include <utility>
#include <vector>

namespace elbo {

/// What an iteration came to.
template <class Record>
struct em_step {
    Record record;          ///< without its number and time
    double objective = 0;   ///< mean per sample: what the rule that ends a loop looks at
    double rounding = 0;    ///< of the objective: what differs by no more is equal
    bool had_event = false; ///< so that the objective may fall
};

/// What decides the bits of a fit and is known before the data are read: a kind of model, the arithmetic, options, the
/// model that it starts with, sizes.
template <class Options>
io::json description_of(const char* kind, const context& ctx, const Options& options, const data_source& data,
                        const std::string& start) {
    return {{"model", kind},
            {"device", io::arithmetic_of(ctx)},
            {"options", io::json_of_fields(options, true)},
            {"start_model", start},
            {"data", {{"rows", data.rows()}, {"columns", data.cols()}}}};
}
/// The same with what the data say.
template <class Summary>
io::json with_data(io::json description, const Summary& s) {
    const io::json found = {{"weight", s.weight}, {"labelled", s.labelled}, {"mean", s.mean}, {"variance", s.variance}};
    description["data"].update(found);
    return description;
}

/// Fits the best of some restarts. A `Model` has the types `record` and `result`, and
///
///     options()                   restarts, max_iterations, tolerance, callback
///     start(restart, spent)       θ_0; adds what it took to the parts of `spent`
///     pass(), update(t), adopt()  as above; update returns em_step<record>
///     make_result(restart, last)  what the result has beside trace, stopped, iterations, best_restart and seconds
///     is_better(result, best)
///     description()               what decides the bits, by name
///     describe(state)             what it keeps between iterations (host/io/model/fit_state.hpp)
///
/// and, where it can do so: load(spent), the rows without a start; escape(t), after convergence: true where the next
/// pass goes on from a better place; run(position, note, pause), the whole loop on a device without waiting for the
/// host between iterations, which tells note(step) of each one and pause(position) where the parameters are those of
/// the next.
template <class Model>
class em_driver {
public:
    using record = typename Model::record;
    using result = typename Model::result;

    /// `begin` is when the fit began: the model has read its data since.
    em_driver(Model& model, io::checkpoints& store, steady_time begin) : model_(model), store_(store), begin_(begin) {
        spent_.load = seconds_since(begin);
    }

    /// The best of the restarts first ... last − 1, the first of equals; those before a checkpoint are not made again.
    result run(std::int64_t first, std::int64_t last) {
        std::optional<result> best;
        restart_ = first;
        bool under_way = store_.from() && resume(best, first, last);
        for (; restart_ < last && !interrupted_; ++restart_) {
            if (!std::exchange(under_way, false))
                start();
            began_ = std::chrono::steady_clock::now();
            timed(spent_.iterations, [&] { stopped_ = loop(); });
            if (position_.iterations >= model_.options().max_iterations && stopped_ == stop_reason::interrupted)
                stopped_ = stop_reason::max_iterations; // a device may do more after it was asked to stop
            result one = in_phase("result", [&] { return make_result(); });
            const bool better = !best || model_.is_better(one, *best);
            keep(better, restart_ + 1 == last || interrupted_);
            if (better)
                best = std::move(one);
        }
        if (interrupted_)
            best->stopped = stop_reason::interrupted;
        best->seconds = spent_;
        best->seconds.total = seconds_since(begin_);
        return std::move(*best);
    }

    /// A result that was found without a loop, with the times.
    template <class Solve>
    result instead(const Solve& solve) {
        std::optional<result> solved;
        timed(spent_.iterations, [&] { solved = solve(); });
        solved->seconds = spent_;
        solved->seconds.total = seconds_since(begin_);
        return std::move(*solved);
    }

private:
    void start() {
        in_phase("start", [&] { model_.start(restart_, spent_); });
        position_ = {};
        trace_.clear();
        seconds_before_ = 0;
    }

    stop_reason loop() {
        const auto note_step = [&](const em_step<record>& step) { return note(step); };
        const auto pause = [&](const kernels::loop_position& done) { save_if_due(done); };
        if constexpr (requires { model_.run(position_, note_step, pause); })
            if (const auto stopped = in_phase("iterations", [&] { return model_.run(position_, note_step, pause); }))
                return *stopped;
        if (std::exchange(escaping_, false) && !escapes())
            return stop_reason::converged;
        for (;;) {
            in_phase("pass", [&] { model_.pass(); });
            const em_step<record> step = in_phase("update", [&] { return model_.update(position_.iterations); });
            const bool go_on = note(step);
            const bool converged = has_converged(step);
            const bool last = ++position_.iterations >= model_.options().max_iterations;
            if (converged && go_on && !last && escapes())
                continue;
            escaping_ = can_escape && converged && !go_on && !last; // interrupted before it could be tried
            if (converged || !go_on || last)
                return converged && !escaping_ ? stop_reason::converged
                       : last                  ? stop_reason::max_iterations
                                               : stop_reason::interrupted;
            in_phase("adopt", [&] { model_.adopt(); });
            save_if_due(position_);
        }
    }

    result make_result() {
        result r = model_.make_result(restart_, std::as_const(trace_.back()));
        r.trace = trace_;
        r.stopped = stopped_;
        r.iterations = std::ssize(trace_);
        r.best_restart = restart_;
        return r;
    }

    /// Adds to the trace, and asks the callback whether to go on.
    bool note(const em_step<record>& step) {
        const auto t = static_cast<std::int64_t>(trace_.size());
        if (!std::isfinite(step.objective)) // no rule would ever end such a fit
            throw error(
                fmt::format("iteration {}: the objective is {}: expected a finite number; rows may lie too far "
                            "from every component for the arithmetic (compute in float64, or scale the columns)",
                            t, step.objective));
        trace_.push_back(step.record);
        trace_.back().iteration = t;
        trace_.back().seconds = elapsed();
        const auto& options = model_.options();
        if (options.callback && !options.callback({restart_, options.restarts, trace_.back()}))
            interrupted_ = true;
        return !interrupted_;
    }

    bool has_converged(const em_step<record>& step) {
        const bool same = std::abs(step.objective - position_.rule.last) <= step.rounding;
        return kernels::should_stop(position_.rule, same ? position_.rule.last : step.objective,
                                    model_.options().tolerance, step.had_event);
    }

    static constexpr bool can_escape = requires(Model m) { m.escape(std::int64_t(0)); };
    bool escapes() {
        if constexpr (can_escape)
            if (model_.escape(position_.iterations - 1)) {
                position_.rule = {};
                return true;
            }
        return false;
    }

    double elapsed() const { return seconds_before_ + seconds_since(began_); }

    // Checkpoints ---------------------------------------------------------------------------------------------------

    /// This restart. Its parameters are those of the next pass, or of the last one where it is over.
    template <class State>
    void describe(State& s) {
        double seconds = elapsed();
        kernels::stopping_state& rule = position_.rule;
        s.numbers("position", restart_, stopped_, position_.iterations, seconds, rule.last, rule.last_gain, rule.seen,
                  rule.small, rule.falls, rule.best, escaping_);
        s.records("trace", trace_);
        if constexpr (State::reads) {
            seconds_before_ = seconds;
            s.require("trace", !trace_.empty() && std::ssize(trace_) == position_.iterations, 1);
        }
        model_.describe(s);
    }

    void save_if_due(const kernels::loop_position& done) {
        const bool due = store_.due();
        position_ = done;
        if (due)
            save(true);
    }

    /// After a restart: whether it is the best so far, and nothing comes after it in this call.
    void keep(bool better, bool last) {
        if (!store_.wanted())
            return;
        const bool under_way = stopped_ == stop_reason::interrupted;
        if (better && !under_way) {
            best_.clear();
            io::state_writer state(best_, "best.");
            describe(state);
        }
        if (under_way && !escaping_)
            model_.adopt(); // the result is made
        if (last || store_.due())
            save(under_way);
    }

    void save(bool under_way) {
        io::fit_checkpoint c{model_.description(), best_};
        io::state_writer all(c.arrays, "");
        all.numbers("progress", under_way ? restart_ : restart_ + 1, under_way, spent_.load, spent_.start,
                    spent_.iterations);
        if (under_way) {
            io::state_writer state(c.arrays, "now.");
            describe(state);
        }
        store_.keep(std::move(c));
    }

    /// Whether a restart is under way, and the best one before it.
    bool resume(std::optional<result>& best, std::int64_t first, std::int64_t last) {
        const io::fit_checkpoint& from = *store_.from();
        static_cast<void>(store_.of_same_fit(model_.description()));
        began_ = std::chrono::steady_clock::now();
        for (const auto& [name, values] : from.arrays)
            if (name.starts_with("best."))
                best_.emplace(name, values);
        if (!best_.empty()) {
            const io::state_reader state(best_, "best.", store_.path());
            describe(state);
            best = make_result();
        }
        bool under_way = false;
        fit_seconds before;
        const io::state_reader all(from.arrays, "", store_.path());
        all.numbers("progress", restart_, under_way, before.load, before.start, before.iterations);
        all.require("progress", restart_ >= first && restart_ <= last && (best || under_way), 1);
        spent_.load += before.load, spent_.start += before.start, spent_.iterations += before.iterations;
        if (!under_way)
            return false;
        if constexpr (requires { model_.load(spent_); })
            model_.load(spent_);
        const std::int64_t restart = restart_;
        const io::state_reader state(from.arrays, "now.", store_.path());
        describe(state);
        state.require("position",
                      restart_ == restart && restart < last && position_.iterations < model_.options().max_iterations,
                      1);
        return true;
    }

    Model& model_;
    io::checkpoints& store_;
    const steady_time begin_;
    steady_time began_{};       ///< the iterations of this restart
    double seconds_before_ = 0; ///< a checkpoint, in this restart
    fit_seconds spent_;
    std::int64_t restart_ = 0;
    stop_reason stopped_{}; ///< the last restart
    io::fit_arrays best_;   ///< state of the best restart that is over
    kernels::loop_position position_;
    std::vector<record> trace_;
    bool interrupted_ = false;
    bool escaping_ = false; ///< converged, with an escape to be tried
};

} // namespace elbo
