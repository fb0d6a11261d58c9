// Ranges around the phases of a fit and of a training step, which profilers show (NVTX); nothing without CUDA.
#pragma once

#ifdef ELBO_WITH_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace elbo {

/// Does something inside of a range with this name. On a device it is the host's work, which enqueues the device's.
template <class Action>
decltype(auto) in_phase([[maybe_unused]] const char* name, const Action& action) {
#ifdef ELBO_WITH_CUDA
    const struct range {
        explicit range(const char* what) { nvtxRangePushA(what); }
        ~range() { nvtxRangePop(); }
    } here(name);
#endif
    return action();
}

} // namespace elbo
