// Memory for parameters and for the arrays of the update.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/m_step/m_step.hpp"

namespace elbo::kernels::cuda {

/// One set of parameters in one allocation.
template <class T>
class parameter_set {
public:
    parameter_set(const state_pointer& state, const gmm_shape& shape)
        : memory_(state, "parameters", bytes(shape)), view_(carve(shape, memory_.data())) {}
    static std::int64_t bytes(const gmm_shape& shape);
    const device_model<T>& view() const { return view_; }

private:
    static device_model<T> carve(const gmm_shape& shape, unsigned char* memory);

    device_buffer<unsigned char> memory_;
    device_model<T> view_;
};

/// The working arrays of the update in one allocation.
class update_memory {
public:
    update_memory(const state_pointer& state, const gmm_shape& shape)
        : memory_(state, "the arrays of the M-step", bytes(shape)), view_(carve(shape, memory_.data())) {
        check(cudaMemsetAsync(view_.arrived, 0, sizeof(*view_.arrived), state->stream), "cudaMemsetAsync");
    }
    static std::int64_t bytes(const gmm_shape& shape);
    const update_arrays& view() const { return view_; }

private:
    static update_arrays carve(const gmm_shape& shape, unsigned char* memory);

    device_buffer<unsigned char> memory_;
    update_arrays view_;
};

} // namespace elbo::kernels::cuda
