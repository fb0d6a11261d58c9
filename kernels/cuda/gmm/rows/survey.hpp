// Summaries of the caller's rows, piece by piece, without waiting for a piece before the next one is enqueued.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/rows/ingest.hpp"

#include <array>

namespace elbo::kernels::cuda {

/// Takes pieces of up to staging::piece_rows rows in order; the summaries of a piece come back while the next one is
/// worked on.
class survey_pipeline {
public:
    survey_pipeline(const state_pointer& state, std::int64_t columns);
    /// Of the device.
    static std::int64_t bytes(std::int64_t columns);

    /// Empties `out`, to which the summaries of all units will be appended.
    void begin(unit_summaries& out);
    /// Enqueues the work on a piece whose first row has this index.
    void add(const device_input& piece, std::int64_t first_row);
    /// Waits for what is under way. The index row * columns + column of the first NaN or infinity, else −1.
    std::int64_t end();

private:
    /// Words of 8 bytes: the position of the first NaN, then the summaries.
    struct slot {
        device_buffer<double> found;
        double* on_host = nullptr;
        unique_event done;
        std::int64_t first_row = 0, units = 0; ///< of the piece under way; no units: none
    };
    void collect(slot& s);

    state_pointer state_;
    std::int64_t columns_;
    pinned_buffer<double> on_host_; ///< of both slots
    std::array<slot, 2> slots_;
    std::size_t next_ = 0;
    unit_summaries* out_ = nullptr;
    std::int64_t bad_ = -1;
};

} // namespace elbo::kernels::cuda
