// The EM loop as one CUDA graph (docs/kernels.md section 6): a WHILE node whose body is one iteration. The device
// decides when to stop; the host only reads the records that come back.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/m_step/m_step.hpp"
#include "kernels/math/stopping.hpp"

#include <functional>

namespace elbo::kernels::cuda {

enum class loop_end : std::int32_t { running, converged, interrupted, max_iterations, collapsed };

/// What the loop keeps on the device between iterations.
struct loop_state {
    stopping_state rule;
    std::int64_t iterations; ///< done so far
    loop_end end;
};

/// What host and device tell each other, in mapped memory.
struct loop_mailbox {
    std::int64_t completed;    ///< iterations whose records are in the ring; written by the device
    std::int32_t stop_request; ///< written by the host
};

/// The device side of a loop.
struct loop_view {
    loop_state* state;
    loop_mailbox* mailbox;
    update_record* records;   ///< [slice_iterations], record of iteration t at t % slice_iterations
    collapse_action* actions; ///< [slice_iterations x (K + 1)]
};

class graph_loop {
public:
    /// Iterations of one launch of the graph. The host could stop the loop through the mailbox alone, but a launch of
    /// bounded length bounds the ring of records too, and lets a callback stop the loop also where a launch returns
    /// only when all its work is done (CUDA_LAUNCH_BLOCKING, profilers, emulators).
    static constexpr std::int64_t slice_iterations = 32;

    graph_loop(const state_pointer& state, const gmm_shape& shape);
    static std::int64_t device_bytes() { return sizeof(loop_state); }
    /// Whether the driver knows conditional nodes (12.4).
    static bool supported();

    /// Runs EM. `iteration` enqueues E-step, sums and update; `copy` says what adopting the next parameters copies.
    struct adoption {
        unsigned char* to;
        const unsigned char* from;
        std::int64_t bytes;
    };
    loop_result run(const loop_options& options, const update_arrays& arrays, const adoption& copy,
                    const std::function<void()>& iteration);

private:
    unique_graph_exec build(const loop_options& options, const update_arrays& arrays, const adoption& copy,
                            const std::function<void()>& iteration) const;
    update_outcome outcome_of(std::int64_t iteration) const;
    loop_view view() const;

    state_pointer state_;
    std::int64_t components_;
    device_buffer<loop_state> loop_;
    pinned_buffer<loop_mailbox> mailbox_;
    pinned_buffer<update_record> records_;
    pinned_buffer<collapse_action> actions_;
};

/// An outcome from a record and its actions.
update_outcome to_outcome(const update_record& record, const collapse_action* actions);

} // namespace elbo::kernels::cuda
