// Copies in the order of the stream.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// `count` elements, host or device memory on either side.
template <class T>
void copy_async(const internal::cuda_state& state, T* to, const T* from, std::int64_t count) {
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T), cudaMemcpyDefault, state.stream),
          "cudaMemcpyAsync");
}

} // namespace elbo::kernels::cuda
