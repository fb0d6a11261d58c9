// BLAS on one thread. The bits of a product may depend on how many threads share it; where the caller spreads work over
// threads itself, or wants the same bits for any number of them, each product must run on one.
#pragma once

#include <omp.h>

namespace elbo::kernels {

/// While it lives, calls of an OpenMP BLAS from this thread outside of parallel regions use one thread. Inside of them
/// they do so anyway.
class one_blas_thread {
public:
    one_blas_thread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
    ~one_blas_thread() { omp_set_num_threads(before_); }
    one_blas_thread(const one_blas_thread&) = delete;
    one_blas_thread& operator=(const one_blas_thread&) = delete;

private:
    int before_;
};

} // namespace elbo::kernels
