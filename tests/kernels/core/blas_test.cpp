// What is said of the BLAS. These definitions take the place of OpenBLAS's own.
#include "elbo/blas.hpp"
#include "kernels/cpu/core/simd_level.hpp"

#include <gtest/gtest.h>
#include <string>

namespace {
std::string config, core;
}

extern "C" {
char* openblas_get_config() {
    return config.data();
}
char* openblas_get_corename() {
    return core.data();
}
}

namespace elbo {
namespace {

using kernels::cpu::processor_level;
using kernels::cpu::simd_level;

blas_info told(const std::string& configuration, const std::string& kernels) {
    config = configuration;
    core = kernels;
    return blas();
}

TEST(Blas, NamesItselfAndItsKernels) {
    const blas_info info =
        told("OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64", "SkylakeX");
    EXPECT_EQ(info.name, "OpenBLAS 0.3.21");
    EXPECT_EQ(info.core, "SkylakeX");
    EXPECT_EQ(info.advice, "");
    EXPECT_EQ(told("OpenBLAS", "").name, "OpenBLAS");
}

TEST(Blas, KnowsTheCureWhereTheProcessorHasMore) {
    if (processor_level() == simd_level::baseline)
        GTEST_SKIP() << "the processor has neither AVX2 nor AVX-512";
    const bool wide = processor_level() == simd_level::avx512;
    const std::string dynamic = "OpenBLAS 0.3.21 DYNAMIC_ARCH Prescott";
    for (const char* old : {"Prescott", "Nehalem", "Sandybridge", "Bulldozer"}) {
        const std::string advice = told(dynamic, old).advice;
        EXPECT_NE(advice.find(old), std::string::npos) << advice;
        EXPECT_NE(advice.find(wide ? "AVX-512" : "AVX2"), std::string::npos) << advice;
        EXPECT_NE(advice.find(wide ? "OPENBLAS_CORETYPE=SkylakeX" : "OPENBLAS_CORETYPE=Haswell"), std::string::npos)
            << advice;
    }
    EXPECT_EQ(told(dynamic, "Haswell").advice.empty(), !wide);
    EXPECT_EQ(told(dynamic, "Zen").advice.empty(), !wide);
    EXPECT_EQ(told(dynamic, "Cooperlake").advice, "");
    EXPECT_EQ(told(dynamic, "SapphireRapids").advice, "");
    // Built for one kind of processor: the variable would change nothing.
    const std::string fixed = told("OpenBLAS 0.3.21 NO_LAPACKE Prescott", "Prescott").advice;
    EXPECT_EQ(fixed.find("OPENBLAS_CORETYPE"), std::string::npos) << fixed;
    EXPECT_NE(fixed.find("DYNAMIC_ARCH"), std::string::npos) << fixed;
}

} // namespace
} // namespace elbo
