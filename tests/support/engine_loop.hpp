// The EM loop over a mixture's engine, plainly: for tests of engines without the fit around them.
#pragma once

#include "kernels/contract/gmm_engine.hpp"

namespace elbo::test {

inline kernels::loop_result host_loop(kernels::gmm_engine& engine, std::int64_t rows,
                                      const kernels::loop_options& options) {
    kernels::loop_result result{stop_reason::max_iterations, options.begin};
    for (std::int64_t& t = result.end.iterations;;) {
        engine.clear_sums(options.component_bound, options.scalar_bound);
        engine.accumulate(0, rows);
        const kernels::update_outcome o = engine.update(options.rule);
        const bool go_on = !options.on_iteration || options.on_iteration(t, o);
        const double objective = (o.log_likelihood + o.log_prior) / options.rule.total_weight;
        const bool converged = kernels::should_stop(result.end.rule, objective, options.tolerance, !o.events.empty());
        result.stopped = converged ? stop_reason::converged
                         : !go_on  ? stop_reason::interrupted
                                   : stop_reason::max_iterations;
        if (++t >= options.max_iterations || converged || !go_on)
            return result;
        engine.adopt();
    }
}

/// The loop of the engine itself where it has one.
inline kernels::loop_result run_loop(kernels::gmm_engine& engine, std::int64_t rows,
                                     const kernels::loop_options& options) {
    const auto own = engine.run(rows, options);
    return own ? *own : host_loop(engine, rows, options);
}

} // namespace elbo::test
