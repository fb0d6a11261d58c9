// Rows of the host in pieces on the device.
#pragma once

#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/input.hpp"

#include <functional>

namespace elbo::kernels::cuda {

/// A device buffer through which host rows pass, piece by piece in stream order; rows of the device pass as they are.
class staging {
public:
    staging(state_pointer state, std::int64_t columns);
    static std::int64_t bytes(std::int64_t columns);
    /// Rows of a piece: whole units.
    static std::int64_t piece_rows(std::int64_t columns);

    /// Calls use(piece, first_row) for pieces of the rows, each in device memory. Enqueues only; the caller's rows must
    /// stay until the stream has been waited for.
    void for_each_piece(const input_rows& in, const std::function<void(const device_input&, std::int64_t)>& use);

private:
    any_matrix_view on_device(const any_matrix_view& from, void* space) const;

    state_pointer state_;
    device_buffer<unsigned char> rows_, weights_;
};

} // namespace elbo::kernels::cuda
