// What a context owns.
#pragma once

#include "elbo/context.hpp"
#include "kernels/contract/backend_table.hpp"

#include <memory>
#include <string>
#include <utility>

namespace elbo::internal {

/// Device, stream and library handles of a CUDA context (kernels/cuda/core/cuda_state.hpp); an incomplete type
/// elsewhere.
struct cuda_state;

struct context_state {
    context_state(const kernels::backend_table& t, std::string n, int thread_count = 1)
        : table(t), threads(thread_count), name(std::move(n)) {}

    const kernels::backend_table& table;
    int threads;
    int device = -1;
    std::string name;
    std::shared_ptr<cuda_state> cuda = nullptr; ///< null unless table.where == cuda
};

} // namespace elbo::internal
