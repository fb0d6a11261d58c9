// The kernel tables of every instruction set in this build, and the choice among them.
#pragma once

#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/kmeans/kernel_table.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

namespace elbo::kernels::cpu {

/// What the files *_kernels.cpp define, each once for every instruction set.
#define ELBO_DECLARE_KERNELS(set)                                                                                      \
    namespace set {                                                                                                    \
    extern const kernel_table<float> float_kernels;                                                                    \
    extern const kernel_table<double> double_kernels;                                                                  \
    extern const common_table common_kernels;                                                                          \
    extern const kmeans_table kmeans_kernels;                                                                          \
    extern const vae_table vae_kernels;                                                                                \
    template <class T>                                                                                                 \
    void normalize_unit(const input_view&, const double* centre, const double* inverse_scale, T* x, T* weights);       \
    }
ELBO_DECLARE_KERNELS(baseline)
ELBO_DECLARE_KERNELS(avx2)
ELBO_DECLARE_KERNELS(avx512)
#undef ELBO_DECLARE_KERNELS

/// The kernels of one instruction set.
struct instruction_set {
    const char* name;
    const kernel_table<float>* float_kernels;
    const kernel_table<double>* double_kernels;
    const common_table* common;
    const kmeans_table* kmeans;
    const vae_table* vae;

    template <class T>
    const kernel_table<T>& kernels() const {
        if constexpr (sizeof(T) == sizeof(float))
            return *float_kernels;
        else
            return *double_kernels;
    }
};

/// The best set that this machine has, or the one that the environment variable ELBO_SIMD names (avx512, avx2,
/// baseline). Throws invalid_argument if it names one that is not built or not on this machine.
instruction_set choose_instruction_set();

} // namespace elbo::kernels::cpu
