#include "kernels/cuda/gmm/graph_loop.hpp"

#include "kernels/cuda/core/graph.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace elbo::kernels::cuda {

namespace {

gmm::stop_reason reason_of(loop_end end) {
    switch (end) {
    case loop_end::converged:
        return gmm::stop_reason::converged;
    case loop_end::interrupted:
        return gmm::stop_reason::interrupted;
    default:
        return gmm::stop_reason::max_iterations;
    }
}

} // namespace

update_outcome to_outcome(const update_record& record, const collapse_action* actions) {
    update_outcome outcome{record.log_likelihood, record.entropy, record.elbo_after, record.parameter_change, {}};
    for (std::int64_t i = 0; i < record.actions; ++i)
        outcome.events.push_back(
            {0, actions[i].component,
             actions[i].found == component_state::empty ? gmm::event::kind::empty : gmm::event::kind::singular,
             actions[i].action});
    return outcome;
}

bool graph_loop::supported() {
    return while_graph_supported();
}

graph_loop::graph_loop(const state_pointer& state, const gmm_shape& shape)
    : state_(state), components_(shape.components), loop_(state, "the state of the loop", 1),
      mailbox_(*state, "the mailbox of the loop", 1), records_(*state, "records of iterations", slice_iterations),
      actions_(*state, "events of iterations", slice_iterations * (shape.components + 1)) {}

unique_graph_exec graph_loop::build(const loop_options& options,
                                    const std::function<void(const loop_view&)>& iteration) const {
    return make_while_graph(*state_, [&](cudaGraphConditionalHandle condition) {
        iteration({loop_.data(), mailbox_.data(), records_.data(), actions_.data(), options.tolerance,
                   options.max_iterations, condition});
    });
}

update_outcome graph_loop::outcome_of(std::int64_t iteration) const {
    const std::int64_t slot = iteration % slice_iterations;
    return to_outcome(records_.data()[slot], actions_.data() + slot * (components_ + 1));
}

// The host waits for nothing but the end of a slice.
loop_result graph_loop::run(const loop_options& options, const std::function<void(const loop_view&)>& iteration) {
    const unique_graph_exec exec = build(options, iteration);
    const loop_mailbox& mail = *mailbox_.data();
    std::int64_t told = options.begin.iterations;
    const loop_state begin{options.begin, told, 0, {}};
    *mailbox_.data() = {told, 0, loop_end::running, {}};
    check(cudaMemcpyAsync(loop_.data(), &begin, sizeof(begin), cudaMemcpyHostToDevice, state_->stream),
          "cudaMemcpyAsync");
    const auto tell = [&] {
        const std::int64_t completed = std::atomic_ref(mailbox_.data()->completed).load(std::memory_order_acquire);
        for (; told < completed; ++told) {
            if (options.on_iteration && !options.on_iteration(told, outcome_of(told)))
                std::atomic_ref(mailbox_.data()->stop_request).store(1, std::memory_order_release);
        }
    };
    try {
        do {
            check(cudaGraphLaunch(exec.get(), state_->stream), "cudaGraphLaunch");
            cudaError_t status = cudaErrorNotReady;
            while ((status = cudaStreamQuery(state_->stream)) == cudaErrorNotReady) {
                tell();
                std::this_thread::yield();
            }
            check(status, "the EM loop");
            tell();
            // A stop that was asked for at the end of a slice takes one more iteration: the next parameters are current
            // already.
            if (mail.end == loop_end::running && options.on_pause)
                options.on_pause({told, mail.rule});
        } while (mail.end == loop_end::running);
    } catch (...) {
        // A callback threw: the graph must end before its memory goes.
        std::atomic_ref(mailbox_.data()->stop_request).store(1, std::memory_order_release);
        report(cudaStreamSynchronize(state_->stream), "cudaStreamSynchronize");
        throw;
    }
    return {reason_of(mail.end), {told, mail.rule}};
}

} // namespace elbo::kernels::cuda
