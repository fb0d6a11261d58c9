// BLAS on one thread. The bits of a product may depend on how many threads share it; where the caller spreads work over
// threads itself, or wants the same bits for any number of them, each product must run on one.
#pragma once

namespace elbo::kernels {

/// While it lives, calls of BLAS from this thread use one thread, whatever OpenBLAS is loaded: the serial one does so
/// anyway; of the one on OpenMP and of those with openblas_set_num_threads_local the number of this thread alone is
/// changed; of the one on POSIX threads that of the process, until the last guard of any thread is gone. What the host
/// program had set holds again afterwards.
class one_blas_thread {
public:
    one_blas_thread();
    ~one_blas_thread();
    one_blas_thread(const one_blas_thread&) = delete;
    one_blas_thread& operator=(const one_blas_thread&) = delete;

private:
    int before_ = 0;
};

} // namespace elbo::kernels
