// EM, told once for all models: restarts, the loop, its trace, when it ends, interruption.
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
//     model                    pass, FLOPs               sums, bytes                 update, FLOPs
//     mixture, full            N (K d² + A d²)           24 K (1 + d + d (d + 1) / 2)   K d³
//     mixture, tied            N (K d² + 2 A d)          24 K (1 + d)                   d³ + 2 K d²
//     mixture, others          N (4 K d + 4 A d)         24 K (1 + 2 d) at most         10 K d
//     variational mixture      as the mixture            as the mixture                 3 K d³ at most
//     linear-Gaussian          N K (4 d L + 6 d)         24 K (1 + 2 d + d L)           K (4 d L² + L³)
//     sphere                   10 N d                    24 (2 d + 5)                   10 d
#pragma once

#include "elbo/fit.hpp"
#include "host/seconds.hpp"
#include "kernels/contract/phase.hpp"
#include "kernels/math/stopping.hpp"

#include <cmath>
#include <cstdint>
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

/// Throws elbo::error where the objective of an iteration is not finite: no rule would ever end such a fit.
void require_finite(std::int64_t iteration, double objective);

/// Fits the best of some restarts. A `Model` has the types `record` and `result`, and
///
///     options()                  restarts, max_iterations, tolerance, callback
///     start(restart, spent)      θ_0; adds what it took to the parts of `spent`
///     pass(), update(t), adopt() as above; update returns em_step<record>
///     make_result(restart, stopped, trace), is_better(result, best)
///
/// and, where it can do so: escape(t), after convergence: true where the next pass goes on from a better place; and
/// run(position, note, ...), the whole loop on a device without waiting for the host between iterations, which tells
/// note(step) of each one.
template <class Model>
class em_driver {
public:
    using record = typename Model::record;
    using result = typename Model::result;

    /// `begin` is when the fit began: the model has read its data since.
    em_driver(Model& model, steady_time begin) : model_(model), begin_(begin) { spent_.load = seconds_since(begin); }

    /// The best of the restarts first ... last − 1, the first of equals.
    result run(std::int64_t first, std::int64_t last) {
        std::optional<result> best;
        for (restart_ = first; restart_ < last && !interrupted_; ++restart_) {
            in_phase("start", [&] { model_.start(restart_, spent_); });
            position_ = {};
            trace_.clear();
            stop_reason stopped{};
            began_ = std::chrono::steady_clock::now();
            timed(spent_.iterations, [&] { stopped = loop(); });
            result one = in_phase("result", [&] { return model_.make_result(restart_, stopped, std::move(trace_)); });
            if (!best || model_.is_better(one, *best))
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
    stop_reason loop() {
        const auto note_step = [&](const em_step<record>& step) { return note(step); };
        if constexpr (requires { model_.run(position_, note_step); })
            if (const auto stopped = in_phase("iterations", [&] { return model_.run(position_, note_step); }))
                return *stopped;
        for (;;) {
            in_phase("pass", [&] { model_.pass(); });
            const em_step<record> step = in_phase("update", [&] { return model_.update(position_.iterations); });
            const bool go_on = note(step);
            const bool converged = has_converged(step);
            const bool last = ++position_.iterations >= model_.options().max_iterations;
            if (converged && go_on && !last && escapes())
                continue;
            if (converged || !go_on || last)
                return converged ? stop_reason::converged
                       : go_on   ? stop_reason::max_iterations
                                 : stop_reason::interrupted;
            in_phase("adopt", [&] { model_.adopt(); });
        }
    }

    /// Adds to the trace, and asks the callback whether to go on.
    bool note(const em_step<record>& step) {
        const auto t = static_cast<std::int64_t>(trace_.size());
        require_finite(t, step.objective);
        trace_.push_back(step.record);
        trace_.back().iteration = t;
        trace_.back().seconds = seconds_since(began_);
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

    bool escapes() {
        if constexpr (requires { model_.escape(position_.iterations); })
            if (model_.escape(position_.iterations - 1)) {
                position_.rule = {};
                return true;
            }
        return false;
    }

    Model& model_;
    const steady_time begin_;
    steady_time began_{}; ///< the iterations of this restart
    fit_seconds spent_;
    std::int64_t restart_ = 0;
    kernels::loop_position position_;
    std::vector<record> trace_;
    bool interrupted_ = false;
};

} // namespace elbo
