// Rows of the host in pieces on the device, copied while the device works.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/rows/ingest.hpp"

#include <array>
#include <functional>

namespace elbo::kernels::cuda {

/// Two device buffers through which host rows pass, piece after piece: a stream of its own copies the next piece while
/// the work on this one runs. Pageable rows go by way of two pinned buffers, pinned ones directly; rows of the device
/// pass as they are. The host waits for nothing but a pinned buffer that is still being copied from.
class staging {
public:
    /// Pageable rows go without pinned buffers until this many bytes have passed: to set these up takes longer than to
    /// copy a few rows.
    static constexpr std::int64_t unpinned_bytes = std::int64_t(32) << 20;

    staging(state_pointer state, std::int64_t columns, std::int64_t unpinned = unpinned_bytes);
    ~staging();
    staging(const staging&) = delete;
    staging& operator=(const staging&) = delete;

    /// Of the device; the pinned memory is the host's.
    static std::int64_t bytes(std::int64_t columns);
    /// Rows of a piece of float32 numbers: whole units. Pieces of float64 numbers have no more.
    static std::int64_t piece_rows(std::int64_t columns);
    /// Rows of a piece of device rows, which pass as they are: whole units, at least as many as above. Only what is
    /// kept of each unit bounds them, so that a piece has work for the whole device.
    static std::int64_t device_piece_rows(std::int64_t columns);

    /// Calls use(piece, first_row) for pieces of the rows, each in device memory; `use` enqueues work on the stream of
    /// the state. When this returns, rows of the host have been read and may change; rows of the device must stay until
    /// the stream has been waited for.
    void for_each_piece(const input_rows& in, const std::function<void(const device_input&, std::int64_t)>& use);

private:
    struct slot {
        device_buffer<unsigned char> rows, weights;
        pinned_buffer<unsigned char> pinned_rows, pinned_weights; ///< empty until pageable rows need them
        unique_event copied;                                      ///< the copy to the device is complete
        unique_event used;                                        ///< so is the work on it
    };
    void use_pinned_buffers();
    any_matrix_view copy_to_device(const any_matrix_view& from, void* space, void* pinned);
    void wait_for_copy(const slot& s) const;

    state_pointer state_;
    std::int64_t unpinned_left_;
    unique_stream copies_;
    std::array<slot, 2> slots_;
    std::size_t next_ = 0; ///< the slot whose turn it is
};

} // namespace elbo::kernels::cuda
