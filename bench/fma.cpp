// The rate of float32 multiply-adds in registers: the floor of everything that is bound by arithmetic, whatever the
// BLAS does. Chains of their own keep the units busy: two units with four to five cycles need ten; there are twelve.
#include "bench/machine.hpp"

#include "kernels/cpu/core/simd_level.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace elbo::bench {

namespace {

constexpr int chains = 12;
constexpr float factor = 0.9999f, step = 1e-4f; // towards 1 from anywhere: no overflow, nothing subnormal

using kernels::cpu::processor_level;
using kernels::cpu::simd_level;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) fma_run run_avx512(std::int64_t rounds, float from) {
    __m512 x[chains];
    for (int c = 0; c < chains; ++c)
        x[c] = _mm512_set1_ps(from + static_cast<float>(c));
    const __m512 a = _mm512_set1_ps(factor), b = _mm512_set1_ps(step);
    for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 12
        for (int c = 0; c < chains; ++c)
            x[c] = _mm512_fmadd_ps(x[c], a, b);
    for (int c = 1; c < chains; ++c)
        x[0] += x[c];
    return {2.0 * 16 * chains * static_cast<double>(rounds), x[0][0]};
}

__attribute__((target("avx2,fma"))) fma_run run_avx2(std::int64_t rounds, float from) {
    __m256 x[chains];
    for (int c = 0; c < chains; ++c)
        x[c] = _mm256_set1_ps(from + static_cast<float>(c));
    const __m256 a = _mm256_set1_ps(factor), b = _mm256_set1_ps(step);
    for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 12
        for (int c = 0; c < chains; ++c)
            x[c] = _mm256_fmadd_ps(x[c], a, b);
    for (int c = 1; c < chains; ++c)
        x[0] += x[c];
    return {2.0 * 8 * chains * static_cast<double>(rounds), x[0][0]};
}
#endif

/// Four lanes a chain, as SSE2 and NEON have them; the compiler fuses where the processor can.
fma_run run_baseline(std::int64_t rounds, float from) {
    using lanes = float __attribute__((vector_size(16)));
    lanes x[chains];
    for (int c = 0; c < chains; ++c)
        x[c] = lanes{} + (from + static_cast<float>(c));
    for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 12
        for (int c = 0; c < chains; ++c)
            x[c] = x[c] * factor + step;
    for (int c = 1; c < chains; ++c)
        x[0] += x[c];
    return {2.0 * 4 * chains * static_cast<double>(rounds), x[0][0]};
}

} // namespace

fma_run multiply_in_registers(std::int64_t rounds, float from) {
#if defined(__x86_64__)
    if (processor_level() == simd_level::avx512)
        return run_avx512(rounds, from);
    if (processor_level() == simd_level::avx2)
        return run_avx2(rounds, from);
#endif
    return run_baseline(rounds, from);
}

std::string fma_instructions() {
    return std::string(to_string(processor_level()));
}

} // namespace elbo::bench
