// What the kernels of the tensor variant cost, counted by the emulator as in cuda_counters_test.cpp: memory traffic and
// matrix instructions against the formulas of docs/kernels.md section 7.
#include "bench/mixture/prediction.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/counted.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::case_variable;
using test::counted_case;
using test::sums_bytes;

constexpr counted_case cases[] = {
    {"tensor", {family::full, 64, 9}, 4396, true},         {"tensor wide", {family::full, 128, 5}, 300, false},
    {"tensor narrow", {family::full, 32, 17}, 300, false}, {"tensor between", {family::full, 40, 6}, 300, false},
    {"tensor uneven", {family::full, 80, 3}, 300, false},  {"wide", {family::full, 200, 3}, 300, true},
};

constexpr const char* one_case = "CudaTensorCounters.DISABLED_OneCase";

TEST(CudaTensorCounters, DISABLED_OneCase) {
    test::run(test::named(cases, std::getenv(case_variable)));
}

/// FLOP of the kernels of D dimensions: three products of each block of the triangle, for all rows of the tiles of 256
/// and all components of the panels; two products a step of 32 rows at most (cuda_moments_test.cpp counts these).
template <int D>
void expect_tensor_work(const counted_case& c, double density, double moments) {
    using L = cuda::panel_layout<D>;
    using M = cuda::moment_layout<cuda::moment_dimensions(D)>;
    const auto in_tiles = [](std::int64_t n, std::int64_t tile) {
        return static_cast<double>(cuda::blocks_for(n, tile));
    };
    const double blocks = D / 16 * (D / 16 + 1) / 2;
    const double panels = in_tiles(c.shape.components, L::components);
    EXPECT_EQ(density, 3 * 2.0 * blocks * 16 * 16 * L::components * panels * 256 * in_tiles(c.rows, 256));
    EXPECT_EQ(L::flop, 3 * 2.0 * blocks * 16 * 16 * L::components * 64);
    double steps = in_tiles(c.rows % unit_rows, M::rows);
    steps += static_cast<double>(c.rows / unit_rows * (unit_rows / M::rows));
    EXPECT_LE(moments, steps * M::flop * in_tiles(c.shape.components, M::lists));
    // What predictions of times are made of: the work of a pair where tiles are full.
    const bench::tensor_flop pair = bench::tensor_work(c.shape);
    EXPECT_EQ(pair.densities * L::components * 64, L::flop);
    EXPECT_EQ(pair.moments * M::lists * M::rows, M::flop);
}

TEST(CudaTensorCounters, MatchesFormulas) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "counters come from the emulator";
    for (const char* name : {"tensor", "tensor wide", "tensor narrow", "tensor between", "tensor uneven"}) {
        SCOPED_TRACE(name);
        const counted_case& c = test::named(cases, name);
        ASSERT_EQ(cuda::choose_variant(c.shape, 4, false, {.tensor = true}), cuda::e_step_variant::tensor);
        const cuda::tensor_plan plan = cuda::plan_tensor(c.shape);
        const auto all = test::count_elsewhere(one_case, case_variable, c.name);
        const test::counter_sums density = test::sum_counters(all, "tensor_density");
        const test::counter_sums rule = test::sum_counters(all, "tensor_rows");
        const test::counter_sums moments = test::sum_counters(all, "tensor_moments");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double units = static_cast<double>(cuda::blocks_for(c.rows, unit_rows));
        if (d == 32)
            expect_tensor_work<32>(c, density.tensor, moments.tensor);
        else if (d == 40)
            expect_tensor_work<48>(c, density.tensor, moments.tensor);
        else if (d == 80)
            expect_tensor_work<80>(c, density.tensor, moments.tensor);
        else if (d == 64)
            expect_tensor_work<64>(c, density.tensor, moments.tensor);
        else
            expect_tensor_work<128>(c, density.tensor, moments.tensor);
        // Rows and panels once; the sums of a unit are read and written by atomics.
        const double panels = static_cast<double>(plan.panels * plan.panel_bytes);
        EXPECT_LE(density.read, 1.02 * (4 * n * d + panels) + 2048);
        EXPECT_LE(density.written, 1.02 * 4 * n * (k + 1) + 2048);
        // The counter has each byte once a launch. A partial of the scalars for every 32 rows.
        const double scalars = 24 * scalar_count * static_cast<double>(cuda::blocks_for(c.rows, cuda::rule_rows));
        EXPECT_LE(rule.read, 4 * n * (k + (c.weighted ? 2 : 1)) + scalars + 1024);
        EXPECT_LE(rule.written, 16 * n + scalars + 1024);
        EXPECT_EQ(rule.conflicts, 0);
        EXPECT_LE(moments.read, 1.02 * 4 * n * (d + k + 4) + 8 * k * d + units * sums_bytes(c) + 2048);
        EXPECT_LE(moments.written, units * sums_bytes(c) + 1024);
        // None in the loops; the exchange at the end of a unit has some.
        EXPECT_EQ(density.conflicts, 0);
        if (c.rows > unit_rows) {
            EXPECT_LE(moments.conflicts, 0.1 * moments.wavefronts);
        }
        std::printf("%s: %.0f, %.0f and %.0f instructions a pair, %.0f%% of wavefronts from conflicts\n", name,
                    density.instructions / (n * k), rule.instructions / (n * k), moments.instructions / (n * k),
                    100 * moments.conflicts / moments.wavefronts);
    }
}

// Three products of each block of 64 x 64 on and below the diagonals, for all rows of tiles of 256 and stages of 64.
TEST(CudaTensorCounters, WideMatchesFormulas) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "counters come from the emulator";
    const counted_case& c = test::named(cases, "wide");
    ASSERT_EQ(cuda::choose_variant(c.shape, 4, false, {.tensor = true}), cuda::e_step_variant::tensor);
    const cuda::wide_shape wide(c.shape.dimensions);
    const auto all = test::count_elsewhere(one_case, case_variable, c.name);
    const test::counter_sums density = test::sum_counters(all, "wide_density");
    const test::counter_sums moments = test::sum_counters(all, "::wide_moments");
    const test::counter_sums pieces = test::sum_counters(all, "wide_moment_pieces");
    const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
    const double k = static_cast<double>(c.shape.components);
    const auto up = [](double size, double tile) { return tile * std::ceil(size / tile); };
    EXPECT_EQ(density.tensor, wide.flop() * k * up(n, 256));
    EXPECT_LE(moments.tensor, wide.flop() * k * up(n, 64)); // equal in cuda_moments_test.cpp
    EXPECT_EQ(bench::tensor_work(c.shape).densities, wide.flop());
    EXPECT_EQ(bench::tensor_work(c.shape).moments, wide.flop());
    // Operands of rows and factors; shifts, and what a row has beside. The counter has each byte once a launch.
    const double rows = 4 * up(d, 64), factors = k * static_cast<double>(cuda::plan_tensor(c.shape).panel_bytes);
    EXPECT_LE(density.read, rows * up(n, 256) + factors + k * 4 * up(d, 128) + 8 * up(n, 256) + 2048);
    EXPECT_LE(density.written, 1.02 * 4 * n * k + 2048);
    EXPECT_LE(pieces.written, k * 4 * up(d, 128) * up(n, 64) + 24 * k * d + 1024);
    EXPECT_LE(moments.read, k * 4 * up(d, 128) * up(n, 64) + sums_bytes(c) + 2048);
    EXPECT_LE(moments.written, sums_bytes(c) + 1024);
    for (const test::counter_sums* kernel : {&density, &moments, &pieces})
        EXPECT_EQ(kernel->conflicts, 0);
    std::printf("wide: %.0f and %.0f instructions a pair, %.0f for pieces\n", density.instructions / (n * k),
                moments.instructions / (n * k), pieces.instructions / (n * k));
}

TEST(CudaTensorCounters, NoRacesOnGlobalMemory) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "the race check is that of the emulator";
    constexpr const char* check = "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1";
    for (const char* name : {"tensor", "wide"})
        EXPECT_EQ(test::run_elsewhere(one_case, case_variable, name, check), 0) << name;
}

} // namespace
} // namespace elbo
