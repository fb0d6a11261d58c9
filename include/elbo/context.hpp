// Where work runs.
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace elbo {

/// The implementations of every operation.
enum class backend {
    reference, ///< float64, one thread, plain loops: what the others are tested against
    cpu,       ///< blocked, vectorised, all cores
    cuda       ///< NVIDIA GPUs
};

std::string_view to_string(backend b);

namespace internal {
struct context_state; // kernels/contract/context_state.hpp
}

/// A place where work runs: a back end, its threads or its device and stream. Cheap to copy (copies share the same
/// stream); several contexts may be used at once from several threads, one context by one thread at a time.
class context {
public:
    /// All operations in plain float64 loops on one thread.
    static context reference();
    /// The CPU back end on at most `threads` threads. 0 takes what OMP_NUM_THREADS says, and where that is not set as
    /// many as the affinity mask and the control groups of this process grant. Results do not depend on the number.
    /// Throws invalid_argument if negative. See docs/threads.md.
    static context cpu(int threads = 0);
    /// CUDA device `ordinal` with a stream of its own. Throws not_available (not built, no driver, driver too old, no
    /// such device), saying why.
    static context cuda(int ordinal = 0);
    /// cuda(0) where there is a usable device, else cpu().
    static context best();

    backend where() const noexcept;
    int threads() const noexcept; ///< threads of a cpu context, else 1
    int device() const noexcept;  ///< ordinal of a cuda context, else -1
    /// That of the device for cuda, else the host's: where operations find their rows without a copy.
    memory_space memory() const noexcept;
    std::string name() const; ///< for people: "CPU, 2 threads, AVX-512", "NVIDIA H200 (cuda:0)"
    /// Waits until all work given to this context is done. Throws cuda_error if some of it failed.
    void wait() const;

    explicit context(std::shared_ptr<internal::context_state> state) : state_(std::move(state)) {}
    internal::context_state& state() const noexcept { return *state_; }

private:
    std::shared_ptr<internal::context_state> state_;
};

/// What one could compute on here.
struct device_info {
    backend where = backend::cpu;
    int ordinal = -1;             ///< CUDA ordinal, else -1
    std::string name;             ///< product name
    std::int64_t total_bytes = 0; ///< memory of a CUDA device
    std::int64_t free_bytes = 0;
    int multiprocessors = 0;
    std::string compute_capability; ///< "9.0"
};

/// The CPU and every CUDA device, and, where CUDA cannot be used, the reason in `cuda_status`.
struct device_list {
    std::vector<device_info> devices;
    std::string cuda_status; ///< "available", or why not and what to do
};
device_list devices();

} // namespace elbo
