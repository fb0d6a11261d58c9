#include "kernels/shared/blas_threads.hpp"

#include <dlfcn.h>
#include <mutex>

// Which OpenBLAS is loaded is decided when the program starts, and another BLAS has none of these.
extern "C" {
[[gnu::weak]] int openblas_get_parallel();
[[gnu::weak]] int openblas_get_num_threads();
[[gnu::weak]] void openblas_set_num_threads(int threads);
[[gnu::weak]] int openblas_set_num_threads_local(int threads);
}

namespace elbo::kernels {

namespace {

/// The ways in which OpenBLAS may have been built: openblas_get_parallel().
enum class blas_kind { serial, posix, openmp };

blas_kind kind_of_blas() {
    const int parallel = openblas_get_parallel ? openblas_get_parallel() : 0;
    return parallel == 2 ? blas_kind::openmp : parallel == 1 ? blas_kind::posix : blas_kind::serial;
}

/// The functions of the OpenMP runtime that such a BLAS has brought; it takes its threads from there before each call.
struct openmp_runtime {
    int (*threads)() = nullptr;
    void (*set_threads)(int) = nullptr;
};
const openmp_runtime& openmp() {
    static const openmp_runtime runtime{
        reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads")),
        reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads")),
    };
    return runtime;
}

/// The number of the process, which all guards of all threads share.
std::mutex process_mutex;
int guards = 0, process_before = 0;

/// Sets the number of the calling thread and returns that before.
int exchange_threads(int threads) {
    switch (kind_of_blas()) {
    case blas_kind::serial:
        break;
    case blas_kind::openmp:
        if (openmp().threads && openmp().set_threads) {
            const int before = openmp().threads();
            openmp().set_threads(threads);
            return before;
        }
        break;
    case blas_kind::posix:
        if (openblas_set_num_threads_local)
            return openblas_set_num_threads_local(threads);
        break;
    }
    return threads;
}

bool shares_one_number() {
    return kind_of_blas() == blas_kind::posix && !openblas_set_num_threads_local && openblas_set_num_threads &&
           openblas_get_num_threads;
}

} // namespace

one_blas_thread::one_blas_thread() {
    if (!shares_one_number()) {
        before_ = exchange_threads(1);
        return;
    }
    const std::lock_guard lock(process_mutex);
    if (guards++ == 0) {
        process_before = openblas_get_num_threads();
        openblas_set_num_threads(1);
    }
}

one_blas_thread::~one_blas_thread() {
    if (!shares_one_number()) {
        exchange_threads(before_);
        return;
    }
    const std::lock_guard lock(process_mutex);
    if (--guards == 0)
        openblas_set_num_threads(process_before);
}

} // namespace elbo::kernels
