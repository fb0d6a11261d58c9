// What the EM loop keeps on the device, and what host and device tell each other.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "kernels/math/collapse.hpp"
#include "kernels/math/stopping.hpp"

#include <cstdint>
#include <cuda_runtime_api.h>

namespace elbo::kernels::cuda {

/// What the update tells the host; the actions stand behind it in the same memory.
struct update_record {
    double log_likelihood, entropy, elbo_after, parameter_change;
    std::int64_t actions;
};

/// Iterations of one launch of the graph. The host could stop the loop through the mailbox alone, but a launch of
/// bounded length bounds the ring of records too, and lets a callback stop the loop also where a launch returns only
/// when all its work is done (CUDA_LAUNCH_BLOCKING, profilers, emulators).
inline constexpr std::int64_t slice_iterations = 32;

/// Nanoseconds between two looks of the device into memory of the host, which take about 2 µs; iterations that take
/// longer, and the end of a slice, look each time.
inline constexpr std::uint64_t mail_interval = 100'000;

enum class loop_end : std::int32_t { running, converged, interrupted, max_iterations, collapsed };

/// What the loop keeps on the device between iterations.
struct loop_state {
    loop_position done;
    std::int64_t told;                       ///< iterations that are in the mailbox
    std::uint64_t told_at;                   ///< time of the last mail; 0 before the first iteration of a slice
    update_record records[slice_iterations]; ///< of iteration t at t % slice_iterations
};

/// In mapped memory.
struct loop_mailbox {
    std::int64_t completed;    ///< iterations whose records are in the ring; written by the device
    std::int32_t stop_request; ///< written by the host
    loop_end end;              ///< written by the device at the end of a slice, as the rule
    stopping_state rule;
};

/// How an iteration of the loop ends.
struct loop_view {
    loop_state* state; ///< null where an update is not part of the loop
    loop_mailbox* mailbox;
    update_record* records;   ///< mapped, as in the state
    collapse_action* actions; ///< mapped, [slice_iterations x (K + 1)]
    double tolerance;
    std::int64_t max_iterations;
    cudaGraphConditionalHandle condition;
};

} // namespace elbo::kernels::cuda
