// Elementary functions of the CPU back end against the standard library.
#define ELBO_SIMD baseline
#include "kernels/cpu/core/fused.hpp"
#include "kernels/cpu/core/simd.hpp"

#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>

namespace elbo::kernels {
namespace {

double normal(std::uint64_t index, std::uint32_t item) {
    double a, b;
    normal_pair(random_block(3, random_purpose::sample_noise, index, item), a, b);
    return a;
}

template <class T>
double ulps(T got, long double expected) {
    const T nearest = static_cast<T>(expected);
    const T next = std::nextafter(nearest, std::numeric_limits<T>::infinity());
    return static_cast<double>(std::abs(static_cast<long double>(got) - expected) / (next - nearest));
}

template <class T>
void check_exponential(T from, std::int64_t steps) {
    using namespace cpu::baseline;
    double worst = 0;
    for (std::int64_t i = 0; i <= steps; ++i) {
        const T x = from * static_cast<T>(i) / static_cast<T>(steps);
        worst = std::max(worst, ulps<T>(exponential<T>(broadcast(x))[0], std::exp(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 2);
    EXPECT_EQ(exponential<T>(broadcast(T(0)))[0], T(1));
    EXPECT_EQ(exponential<T>(broadcast(T(-1e30)))[0], T(0));
    EXPECT_EQ(exponential<T>(broadcast(-std::numeric_limits<T>::infinity()))[0], T(0));
}

TEST(CpuSimd, ExponentialIsWithinTwoUlps) {
    check_exponential<float>(-87.0f, 200000);
    check_exponential<double>(-700.0, 200000);
}

template <class T>
void check_logarithm() {
    using namespace cpu::baseline;
    double worst = 0;
    for (std::int64_t i = 0; i <= 200000; ++i) {
        const T x = static_cast<T>(1 + static_cast<double>(i) * static_cast<double>(i) * 1e-6); // 1 ... 40001
        worst = std::max(worst, ulps<T>(logarithm<T>(broadcast(x))[0], std::log(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 2);
    EXPECT_EQ(logarithm<T>(broadcast(T(1)))[0], T(0));
}

TEST(CpuSimd, LogarithmIsWithinTwoUlps) {
    check_logarithm<float>();
    check_logarithm<double>();
}

TEST(CpuSimd, FusedMultiplyAddRoundsOnce) {
    using namespace cpu::baseline;
    for (std::int64_t i = 0; i < 300000; ++i) {
        double a = normal(i, 1), c = normal(i, 3);
        const double b = normal(i, 2);
        if (i % 3 == 0)
            a = static_cast<float>(a); // shorter products, and with them ties
        if (i % 5 == 0)
            c = -a * b * (1 + static_cast<double>(i % 7) * 0x1p-52); // all leading bits cancel
        c = std::ldexp(c, static_cast<int>(i % 121) - 60);
        ASSERT_EQ(fused(broadcast(a), broadcast(b), broadcast(c))[0], std::fma(a, b, c)) << a << ' ' << b << ' ' << c;
    }
    EXPECT_EQ(fused(broadcast(1e200), broadcast(1e200), broadcast(1.0))[0], std::numeric_limits<double>::infinity());
}

} // namespace
} // namespace elbo::kernels
