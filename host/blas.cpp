#include "elbo/blas.hpp"

#include "kernels/cpu/core/simd_level.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <string_view>
#include <utility>

// Weak: another BLAS, or a static one whose other parts nobody needs, lacks them.
extern "C" {
[[gnu::weak]] char* openblas_get_config();
[[gnu::weak]] char* openblas_get_corename();
[[gnu::weak]] int bli_arch_query_id();
[[gnu::weak]] const char* bli_arch_string(int);
[[gnu::weak]] const char* bli_info_get_version_str();
}

namespace elbo {

namespace {

using kernels::cpu::simd_level;

/// The widest instructions of OpenBLAS's kernels for x86-64, by the names that it gives them. Older ones have SSE.
simd_level instructions_of(std::string_view core) {
    constexpr std::array<std::pair<std::string_view, simd_level>, 7> wide{{
        {"Haswell", simd_level::avx2},
        {"Zen", simd_level::avx2},
        {"Excavator", simd_level::avx2},
        {"Steamroller", simd_level::avx2}, // with the other fused multiply-add
        {"SkylakeX", simd_level::avx512},
        {"Cooperlake", simd_level::avx512},
        {"SapphireRapids", simd_level::avx512},
    }};
    const auto* const found = std::ranges::find(wide, core, [](const auto& entry) { return entry.first; });
    return found == wide.end() ? simd_level::baseline : found->second;
}

/// "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": its name and version.
std::string first_two_words(std::string_view config) {
    const std::size_t space = config.find(' ');
    return std::string(config.substr(0, space == config.npos ? space : config.find(' ', space + 1)));
}

blas_info openblas() {
    const std::string_view config = openblas_get_config();
    blas_info info{first_two_words(config), openblas_get_corename ? openblas_get_corename() : "", ""};
    const simd_level has = kernels::cpu::processor_level();
    if (info.core.empty() || instructions_of(info.core) >= has)
        return info;
    info.advice =
        fmt::format("{} runs kernels for {}, and this processor has {}: ", info.name, info.core, to_string(has));
    info.advice += config.find("DYNAMIC_ARCH") == config.npos
                       ? "install an OpenBLAS that chooses its kernels by the processor (DYNAMIC_ARCH)"
                       : fmt::format("set OPENBLAS_CORETYPE={} in the environment before the start, or install a newer "
                                     "OpenBLAS",
                                     has == simd_level::avx512 ? "SkylakeX" : "Haswell");
    return info;
}

} // namespace

blas_info blas() {
    if (openblas_get_config)
        return openblas();
    if (bli_info_get_version_str && bli_arch_query_id && bli_arch_string)
        return {fmt::format("BLIS {}", bli_info_get_version_str()), bli_arch_string(bli_arch_query_id()), ""};
    return {"unknown", "", ""};
}

} // namespace elbo
