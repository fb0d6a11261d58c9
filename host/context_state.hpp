// What a context owns.
#pragma once

#include "elbo/context.hpp"

#include <memory>
#include <string>
#include <vector>

namespace elbo::internal {

/// Device, stream and library handles of a CUDA context (kernels/cuda/cuda_state.hpp); an incomplete type elsewhere.
struct cuda_state;

struct context_state {
    backend where = backend::cpu;
    int threads = 1;
    int device = -1;
    std::string name;
    std::shared_ptr<cuda_state> cuda; ///< null unless where == cuda
};

// Defined in kernels/cuda/cuda_state.cu, or in kernels/no_cuda.cpp where CUDA is not built.
std::shared_ptr<cuda_state> make_cuda_state(int ordinal); ///< throws not_available, saying why
std::string cuda_device_name(int ordinal);
void wait_for(const cuda_state& state);
/// The devices, and "available" or the reason why there are none.
std::vector<device_info> list_cuda_devices(std::string& status);

} // namespace elbo::internal
