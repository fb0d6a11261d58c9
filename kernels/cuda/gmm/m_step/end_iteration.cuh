// The end of an iteration of the loop: stopping rule, record, whether the graph goes round again.
#pragma once

#include "kernels/cuda/gmm/m_step/m_step.hpp"

namespace elbo::kernels::cuda {

/// Nanoseconds of a clock that all multiprocessors share.
__device__ inline std::uint64_t device_time() {
    std::uint64_t time = 0;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
    return time;
}

/// Records that the host has not yet seen into the ring in its memory, then their number.
__device__ inline void send_mail(const loop_view& loop, const collapse_action* actions, std::int64_t components,
                                 loop_end end) {
    loop_state& state = *loop.state;
    const std::int64_t slot = (state.done.iterations - 1) % slice_iterations;
    for (; state.told < state.done.iterations; ++state.told)
        loop.records[state.told % slice_iterations] = state.records[state.told % slice_iterations];
    for (std::int64_t i = 0; i < state.records[slot].actions; ++i)
        loop.actions[slot * (components + 1) + i] = actions[i];
    loop.mailbox->end = end;
    loop.mailbox->rule = state.done.rule;
    __threadfence_system(); // the host reads the records only after it has seen the count
    *static_cast<volatile std::int64_t*>(&loop.mailbox->completed) = state.done.iterations;
}

/// What an iteration of the loop needs to know of those before; read before there is use for it, since it is far away.
struct recalled_state {
    loop_position done;
    std::uint64_t told_at;
};
__device__ inline recalled_state recall(const loop_view& loop) {
    if (!loop.state)
        return {};
    return {loop.state->done, loop.state->told_at};
}

/// One thread; whether the loop goes on. Memory of the host is touched at the end of a slice, with an event, and when
/// mail_interval is over.
template <class T>
__device__ bool end_iteration(const update_arguments<T>& a, recalled_state before, const update_record& record) {
    const std::int64_t t = before.done.iterations;
    stopping_state& rule = before.done.rule;
    const std::uint64_t now = device_time();
    const bool due = now - before.told_at >= mail_interval;
    const bool converged =
        should_stop(rule, record.log_likelihood / a.rule.total_weight, a.loop.tolerance, record.actions > 0);
    const bool asked = due && *static_cast<volatile std::int32_t*>(&a.loop.mailbox->stop_request) != 0;
    const loop_end end = record.actions > 0 && a.rule.on_collapse == gmm::collapse_policy::fail ? loop_end::collapsed
                         : converged                                                            ? loop_end::converged
                         : asked                                                                ? loop_end::interrupted
                         : t + 1 >= a.loop.max_iterations ? loop_end::max_iterations
                                                          : loop_end::running;
    const bool goes_on = (t + 1) % slice_iterations != 0 && end == loop_end::running;
    loop_state& state = *a.loop.state;
    state.done = {t + 1, rule};
    state.records[t % slice_iterations] = record;
    if (due || !goes_on || record.actions > 0) {
        send_mail(a.loop, a.arrays.actions, a.shape.components, end);
        state.told_at = goes_on ? now : 0;
    }
    cudaGraphSetConditional(a.loop.condition, goes_on);
    return goes_on;
}

} // namespace elbo::kernels::cuda
