#include "kernels/shared/host_loop.hpp"

#include "elbo/error.hpp"
#include "kernels/math/stopping.hpp"

#include <chrono>
#include <fmt/format.h>

namespace elbo::kernels {

void throw_collapsed(const gmm::event& e, std::int64_t iteration) {
    throw error(
        fmt::format("component {} became {} in iteration {} and the collapse policy is `fail`: use fewer components, "
                    "more regularization, or the policy `reseed` or `drop`",
                    e.component, gmm::to_string(e.what), iteration));
}

loop_result em_loop(const loop_options& options, const std::function<void()>& pass, const m_step_actions& step) {
    using clock = std::chrono::steady_clock;
    const auto begin = clock::now();
    stopping_state rule_state;
    loop_result result;
    for (std::int64_t t = 0;; ++t) {
        pass();                                       // q_{t+1}: J(q_{t+1}, θ_t) = log p(θ_t)
        const update_outcome outcome = step.update(); // θ_{t+1} from the sums, kept aside
        if (options.rule.on_collapse == gmm::collapse_policy::fail && !outcome.events.empty())
            throw_collapsed(outcome.events.front(), t);
        result.iterations = t + 1;
        const double seconds = std::chrono::duration<double>(clock::now() - begin).count();
        const bool go_on = !options.on_iteration || options.on_iteration(t, outcome, seconds);
        const double objective = (outcome.log_likelihood + outcome.log_prior) / options.rule.total_weight;
        const bool converged = should_stop(rule_state, objective, options.tolerance, !outcome.events.empty());
        result.stopped = converged ? gmm::stop_reason::converged
                         : !go_on  ? gmm::stop_reason::interrupted
                                   : gmm::stop_reason::max_iterations;
        // The model returned is the one whose log-likelihood is known: that of this E-step.
        if (converged || !go_on || t + 1 >= options.max_iterations)
            return result;
        step.adopt();
    }
}

loop_result em_loop(gmm_engine& engine, const loop_options& options, const std::function<void()>& pass) {
    return em_loop(options, pass, {[&] { return engine.update(options.rule); }, [&] { engine.adopt(); }});
}

loop_result host_loop(gmm_engine& engine, std::int64_t rows, const loop_options& options) {
    return em_loop(engine, options, [&] {
        engine.clear_sums(options.component_bound, options.scalar_bound);
        engine.accumulate(0, rows);
    });
}

} // namespace elbo::kernels
