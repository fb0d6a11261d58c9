// Which vector instructions this processor has, of those that there are kernels for.
#pragma once

#include <string_view>

namespace elbo::kernels::cpu {

/// From narrow to wide.
enum class simd_level { baseline, avx2, avx512 };

inline simd_level processor_level() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return simd_level::avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return simd_level::avx2;
#endif
    return simd_level::baseline;
}

/// For people.
inline std::string_view to_string(simd_level level) {
    switch (level) {
    case simd_level::avx512:
        return "AVX-512";
    case simd_level::avx2:
        return "AVX2";
    case simd_level::baseline:
        return "baseline instructions";
    }
    return "?";
}

} // namespace elbo::kernels::cpu
