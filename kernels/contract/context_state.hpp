// What a context owns.
#pragma once

#include "elbo/context.hpp"

#include <memory>
#include <string>
#include <vector>

namespace elbo::internal {

/// Device, stream and library handles of a CUDA context (kernels/cuda/core/cuda_state.hpp); an incomplete type
/// elsewhere.
struct cuda_state;

struct context_state {
    backend where = backend::cpu;
    int threads = 1;
    int device = -1;
    std::string name;
    std::shared_ptr<cuda_state> cuda; ///< null unless where == cuda
};

// Defined in kernels/cuda/cuda_state.cu, or in kernels/contract/no_cuda.cpp where CUDA is not built.
std::shared_ptr<cuda_state> make_cuda_state(int ordinal); ///< throws not_available, saying why
std::string cuda_device_name(int ordinal);
void wait_for(const cuda_state& state);
/// Device memory that is freed in the order of the state's stream; throws out_of_memory.
std::shared_ptr<void> allocate_device(const std::shared_ptr<cuda_state>& state, std::int64_t bytes);
/// Copies rows of row_bytes bytes between any memories, in the order of the stream; strides in bytes.
void copy_on_stream(const cuda_state& state, void* to, std::int64_t to_stride, const void* from,
                    std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows);
/// The devices, and "available" or the reason why there are none.
std::vector<device_info> list_cuda_devices(std::string& status);

} // namespace elbo::internal
