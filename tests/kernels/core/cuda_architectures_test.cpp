// For which devices a build has code, and what is said where it has none.
#include "kernels/cuda/core/architectures.hpp"

#include <gtest/gtest.h>

namespace elbo::kernels::cuda {
namespace {

TEST(CudaArchitectures, MachineCodeRunsOnItsMajorVersion) {
    EXPECT_TRUE(gives_code("80-real", 8, 0));
    EXPECT_TRUE(gives_code("80-real", 8, 9));
    EXPECT_FALSE(gives_code("86-real", 8, 0));
    EXPECT_FALSE(gives_code("80-real", 9, 0));
    EXPECT_TRUE(gives_code("100f-real", 10, 3));
    EXPECT_FALSE(gives_code("100f", 12, 0));
}

TEST(CudaArchitectures, PtxRunsOnWhatIsNotOlder) {
    EXPECT_TRUE(gives_code("90-virtual", 12, 0));
    EXPECT_TRUE(gives_code("90", 9, 0));
    EXPECT_TRUE(gives_code("90", 10, 0));
    EXPECT_FALSE(gives_code("90", 8, 9));
    EXPECT_TRUE(gives_code("90a-virtual", 9, 0));
    EXPECT_FALSE(gives_code("90a", 10, 0));
    EXPECT_TRUE(gives_code("native", 8, 6));
}

TEST(CudaArchitectures, WhatIsMissingIsNamed) {
    EXPECT_EQ(missing_code("90,86-real", 0, "A", 8, 6), "");
    EXPECT_EQ(missing_code("90", 0, "A", 9, 0), "");
    EXPECT_EQ(missing_code("90,86-real", 1, "A100", 8, 0),
              "device 1 (A100) has compute capability 8.0, for which this build has no code (it has 90,86-real): build "
              "with ELBO_CUDA_ARCHITECTURES=80, or use the cpu back end");
    EXPECT_EQ(missing_code("90", 0, "V100", 7, 0),
              "device 0 (V100) has compute capability 7.0, and the kernels need 8.0 or newer: use the cpu back end");
}

} // namespace
} // namespace elbo::kernels::cuda
