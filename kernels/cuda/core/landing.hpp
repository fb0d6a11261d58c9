// Where kernels write results on their way to memory of the caller's.
#pragma once

#include "elbo/matrix_view.hpp"
#include "kernels/cuda/core/device_buffer.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// A view in device memory is written as it is; for one in host memory there is device memory, kept from call to call,
/// from which the rows are copied in the order of the stream.
template <class T>
class landing {
public:
    /// What a kernel is to write for `to`.
    matrix_view<T> at(const state_pointer& state, const matrix_view<T>& to) {
        to_ = to;
        copied_ = to.data && to.space != memory_space::device;
        return copied_ ? kept(state, to.rows, to.cols) : to;
    }
    /// Memory for results that others are made from.
    matrix_view<T> kept(const state_pointer& state, std::int64_t rows, std::int64_t cols) {
        if (kept_.size() < rows * cols) {
            kept_ = {}; // first give back, then ask
            kept_ = device_buffer<T>(state, "results of rows", rows * cols);
        }
        return {kept_.data(), rows, cols, memory_space::device};
    }
    void deliver(const internal::cuda_state& state) const {
        constexpr auto size = static_cast<std::int64_t>(sizeof(T));
        if (copied_)
            internal::copy_on_stream(state, to_.data, to_.stride * size, kept_.data(), to_.cols * size, to_.cols * size,
                                     to_.rows);
    }

private:
    device_buffer<T> kept_;
    matrix_view<T> to_;
    bool copied_ = false;
};

} // namespace elbo::kernels::cuda
