#include "kernels/cpu/core/dispatch.hpp"

#include "elbo/error.hpp"
#include "kernels/cpu/core/simd_level.hpp"

#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <vector>

namespace elbo::kernels::cpu {

namespace {

#define ELBO_SET(set)                                                                                                  \
    { #set, &set::float_kernels, &set::double_kernels, &set::common_kernels, &set::kmeans_kernels, &set::vae_kernels }

/// Those of this build that this machine can run, the best first.
std::vector<instruction_set> usable_sets() {
    std::vector<instruction_set> sets;
#if defined(ELBO_WITH_X86_SIMD)
    const simd_level level = processor_level();
    if (level >= simd_level::avx512)
        sets.push_back(ELBO_SET(avx512));
    if (level >= simd_level::avx2)
        sets.push_back(ELBO_SET(avx2));
#endif
    sets.push_back(ELBO_SET(baseline));
    return sets;
}

} // namespace

instruction_set choose_instruction_set() {
    const std::vector<instruction_set> sets = usable_sets();
    const char* wanted = std::getenv("ELBO_SIMD");
    if (wanted == nullptr)
        return sets.front();
    for (const instruction_set& s : sets)
        if (std::string_view(wanted) == s.name)
            return s;
    throw invalid_argument(fmt::format("ELBO_SIMD = {}: expected an instruction set of this build and machine: {}",
                                       wanted,
                                       sets.size() == 3   ? "avx512, avx2, baseline"
                                       : sets.size() == 2 ? "avx2, baseline"
                                                          : "baseline"));
}

} // namespace elbo::kernels::cpu
