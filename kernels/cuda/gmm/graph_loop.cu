#include "kernels/cuda/gmm/graph_loop.hpp"

#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/core/while_graph.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace elbo::kernels::cuda {

namespace {

struct decide_arguments {
    loop_view loop;
    update_arrays arrays;
    double total_weight, tolerance;
    std::int64_t max_iterations, components;
    gmm::collapse_policy on_collapse;
    cudaGraphConditionalHandle condition;
};

// Ends an iteration: stopping rule, record into the ring, whether the graph goes round again. One thread.
__global__ void decide(const decide_arguments a) {
    loop_state& state = *a.loop.state;
    const update_record& record = *a.arrays.record;
    const std::int64_t t = state.iterations;
    const std::int64_t slot = t % graph_loop::slice_iterations;
    a.loop.records[slot] = record;
    for (std::int64_t i = 0; i < record.actions; ++i)
        a.loop.actions[slot * (a.components + 1) + i] = a.arrays.actions[i];
    const bool converged =
        should_stop(state.rule, record.log_likelihood / a.total_weight, a.tolerance, record.actions > 0);
    const auto request = *static_cast<volatile std::int32_t*>(&a.loop.mailbox->stop_request);
    state.end = record.actions > 0 && a.on_collapse == gmm::collapse_policy::fail ? loop_end::collapsed
                : converged                                                       ? loop_end::converged
                : request != 0                                                    ? loop_end::interrupted
                : t + 1 >= a.max_iterations                                       ? loop_end::max_iterations
                                                                                  : loop_end::running;
    state.iterations = t + 1;
    const bool slice_ends = (t + 1) % graph_loop::slice_iterations == 0;
    cudaGraphSetConditional(a.condition, state.end == loop_end::running && !slice_ends);
    __threadfence_system(); // the host reads the record only after it has seen the count
    *static_cast<volatile std::int64_t*>(&a.loop.mailbox->completed) = t + 1;
}

inline constexpr int adopt_threads = 256;

// The next parameters become the current ones, unless the loop ends: then those of its last E-step stay.
__global__ void __launch_bounds__(adopt_threads)
    adopt_unless_ended(const loop_state* state, graph_loop::adoption copy) {
    if (state->end != loop_end::running)
        return;
    auto* to = reinterpret_cast<uint4*>(copy.to);
    const auto* from = reinterpret_cast<const uint4*>(copy.from);
    const std::int64_t count = copy.bytes / 16; // the pieces of a parameter_set are multiples of 16 bytes
    for (std::int64_t i = blockIdx.x * std::int64_t(adopt_threads) + threadIdx.x; i < count;
         i += gridDim.x * std::int64_t(adopt_threads))
        to[i] = from[i];
}

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

loop_view graph_loop::view() const {
    return {loop_.data(), mailbox_.data(), records_.data(), actions_.data()};
}

unique_graph_exec graph_loop::build(const loop_options& options, const update_arrays& arrays, const adoption& copy,
                                    const std::function<void()>& iteration) const {
    return make_while_graph(*state_, [&](cudaGraphConditionalHandle condition) {
        iteration();
        const decide_arguments a{view(),
                                 arrays,
                                 options.rule.total_weight,
                                 options.tolerance,
                                 options.max_iterations,
                                 components_,
                                 options.rule.on_collapse,
                                 condition};
        launch(*state_, "decide", {1, 1}, decide, a);
        const std::int64_t blocks =
            std::min<std::int64_t>(blocks_for(copy.bytes / 16, adopt_threads), state_->multiprocessors);
        launch(*state_, "adopt_unless_ended", {blocks, adopt_threads}, adopt_unless_ended, loop_.data(), copy);
    });
}

update_outcome graph_loop::outcome_of(std::int64_t iteration) const {
    const std::int64_t slot = iteration % slice_iterations;
    return to_outcome(records_.data()[slot], actions_.data() + slot * (components_ + 1));
}

// Per iteration the device writes one record to mapped memory; the host waits for nothing but the end of a slice.
loop_result graph_loop::run(const loop_options& options, const update_arrays& arrays, const adoption& copy,
                            const std::function<void()>& iteration) {
    const unique_graph_exec exec = build(options, arrays, copy, iteration);
    loop_state state{options.begin.rule, options.begin.iterations, loop_end::running};
    *mailbox_.data() = {state.iterations, 0};
    check(cudaMemcpyAsync(loop_.data(), &state, sizeof(state), cudaMemcpyHostToDevice, state_->stream),
          "cudaMemcpyAsync");
    std::int64_t told = state.iterations;
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
            check(cudaMemcpyAsync(&state, loop_.data(), sizeof(state), cudaMemcpyDeviceToHost, state_->stream),
                  "cudaMemcpyAsync");
            internal::wait_for(*state_); // the slice is over: whether another one follows
            // A stop that was asked for at the end of a slice takes one more iteration: the next parameters are current
            // already.
            if (state.end == loop_end::running && options.on_pause)
                options.on_pause({state.iterations, state.rule});
        } while (state.end == loop_end::running);
    } catch (...) {
        // A callback threw: the graph must end before its memory goes.
        std::atomic_ref(mailbox_.data()->stop_request).store(1, std::memory_order_release);
        report(cudaStreamSynchronize(state_->stream), "cudaStreamSynchronize");
        throw;
    }
    return {reason_of(state.end), {state.iterations, state.rule}};
}

} // namespace elbo::kernels::cuda
