// The tensor variant: sums against float64, with the bounds of density.cuh, moments.cuh, wide_density.cuh and
// wide_moments.cuh in kernels/cuda/gmm/tensor; the same bits for any grid and batches.
#include "elbo/gmm/fit.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/labels.hpp"
#include "tests/support/gmm/tensor_problem.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

static_assert(cuda::suits_tensor({family::full, 25, 1}, 4) && cuda::suits_tensor({family::full, 784, 10000}, 4));
static_assert(cuda::suits_tensor({family::full, 17, 32}, 4) && !cuda::suits_tensor({family::full, 24, 31}, 4));
static_assert(cuda::suits_tensor({family::full, 16, 1000}, 4) && !cuda::suits_tensor({family::full, 16, 64}, 4));
static_assert(cuda::suits_tensor({family::full, 8, 10000}, 4) && !cuda::suits_tensor({family::full, 8, 600}, 4));
static_assert(!cuda::suits_tensor({family::full, 64, 9}, 8) && !cuda::suits_tensor({family::tied, 64, 9}, 4));

// The log-densities lie in the memory of the slab variant; the ranges are all panels.
TEST(CudaTensor, PlansFitTheSlab) {
    for (std::int64_t d : {8, 25, 32, 33, 48, 64, 65, 96, 100, 128, 129, 784, 4096})
        for (std::int64_t K : {1, 4, 9, 100, 256, 1000, 10000, 1000000}) {
            const gmm_shape shape{family::full, d, K};
            const cuda::tensor_plan plan = cuda::plan_tensor(shape);
            EXPECT_LE(plan.units, cuda::slab_units(shape, 4)) << d << " " << K;
            EXPECT_LT((plan.ranges - 1) * plan.range_panels, plan.panels);
            EXPECT_GE(plan.ranges * plan.range_panels, plan.panels);
        }
}

// At and beside the ends of tiles (16, 32, 128, 256), units, panels (4 and 8 components), blocks of moments (1, 4, 8)
// and of the dimensions that kernels are compiled for.
TEST(CudaTensor, SumsMatchReference) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const test::tensor_case& c : {test::tensor_case{1, 32, 1},
                                       {31, 25, 2},
                                       {129, 33, 5},
                                       {257, 64, 9},
                                       {127, 100, 3},
                                       {256, 31, 8},
                                       {4097, 64, 4},
                                       {255, 128, 1},
                                       {300, 128, 5},
                                       {129, 48, 70},
                                       {100, 49, 6},
                                       {130, 96, 4},
                                       {65, 97, 3},
                                       {129, 80, 5},
                                       {64, 113, 2},
                                       {65, 17, 33},
                                       {33, 20, 1100}})
        test::check_tensor_sums(c);
}

// The operands of the products lie one behind the other, and so do pairs of units and components in their memory.
TEST(CudaTensor, WidePlans) {
    for (std::int64_t d : {129, 192, 193, 256, 257, 784, 1024, 4096}) {
        const cuda::wide_shape w(d);
        for (std::int64_t panel = 0; panel + 1 < w.panels; ++panel)
            EXPECT_EQ(w.first_stage(panel) + w.stages(panel), w.first_stage(panel + 1)) << d;
        EXPECT_EQ(w.stages(w.panels - 1), w.halves) << d;
        for (std::int64_t pairs : {1, 4, 1000})
            for (std::int64_t some = cuda::wide_pairs(d, pairs); some != 1; some = 1) {
                EXPECT_LE(some, pairs);
                EXPECT_LE(some * cuda::wide_moment_bytes(d), std::int64_t(256) << 20) << d;
            }
    }
}

// At and beside the ends of halves (64) and panels (128) of dimensions, tiles of rows (128, 256), stages and units.
TEST(CudaTensor, WideSumsMatchReference) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const test::tensor_case& c : {test::tensor_case{1, 129, 1},
                                       {31, 160, 2},
                                       {129, 192, 3},
                                       {64, 193, 1},
                                       {65, 256, 2},
                                       {257, 257, 2},
                                       {32, 130, 70},
                                       {unit_rows + 33, 132, 1},
                                       {33, 321, 2, 1e4, 1},
                                       {40, 449, 1},
                                       {127, 140, 2, 10, 100}})
        test::check_tensor_sums(c);
}

TEST(CudaTensor, OffsetsAndConditions) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const test::tensor_case& c :
         {test::tensor_case{300, 32, 9, 1e4, 0}, {129, 64, 5, 10, 100}, {200, 64, 3, 1e6, 0}, {129, 128, 2, 1e4, 10}})
        test::check_tensor_sums(c);
}

// One row far away takes the powers of two of its own unit and component with it, those of no other.
TEST(CudaTensor, FarRows) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    test::tensor_problem t({129, 40, 3});
    for (std::int64_t j = 0; j < t.shape.dimensions; ++j)
        t.x[3 * t.shape.dimensions + j] *= 1e4f;
    t.engine->load(t.input(0, t.rows), test::identity_frame(40), 0);
    t.engine->accumulate(0, t.rows);
    const auto want = test::reference_sums(t.shape, t.engine->parameters(), std::vector<double>(t.x.begin(), t.x.end()),
                                           t.weights, 0x1p-24, {}, test::tensor_products);
    test::expect_sums(*t.engine, want);
}

TEST(CudaTensor, DroppedComponents) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    const test::tensor_problem t({257, 32, 6});
    gmm_parameters p = t.engine->parameters();
    p.log_weights[0] = p.log_weights[4] = -INFINITY;
    t.engine->set_parameters(p);
    t.engine->accumulate(0, t.rows);
    const auto want = test::reference_sums(t.shape, t.engine->parameters(), std::vector<double>(t.x.begin(), t.x.end()),
                                           t.weights, 0x1p-24, {}, test::tensor_products);
    test::expect_sums(*t.engine, want);
}

void check_labels(const gmm_shape& shape, test::knowledge known, bool dropped) {
    const test::labelled_rows data({shape, 150, known, true, element_type::float32});
    SCOPED_TRACE(test::describe(data.c) + (dropped ? " dropped" : ""));
    const auto engine = make_gmm_engine(context::cuda(), data.c.shape, element_type::float32);
    ASSERT_TRUE(dynamic_cast<cuda::cuda_engine_base&>(*engine).has_tensor());
    test::load(*engine, data);
    gmm_parameters p = test::random_parameters(data.c.shape, 1.0, 21);
    if (dropped)
        p.log_weights[0] = p.log_weights[2] = -INFINITY;
    engine->set_parameters(p);
    engine->clear_sums(0x1p40, 0x1p60);
    engine->accumulate(0, data.c.rows);
    test::expect_sums(*engine, test::reference_sums(data.c.shape, engine->parameters(), data.x64, data.weights, 0x1p-24,
                                                    data.known(), test::tensor_products));
}

TEST(CudaTensor, Labels) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (test::knowledge known : test::all_knowledge)
        for (bool dropped : {false, true})
            for (const gmm_shape& shape : {gmm_shape{family::full, 33, 70}, gmm_shape{family::full, 130, 9}})
                check_labels(shape, known, dropped);
}

void check_bits(const test::tensor_case& c) {
    const test::tensor_problem t(c);
    t.engine->accumulate(0, c.rows);
    const auto whole = test::carried(t.engine->sums());
    for (std::int64_t blocks : {1, 8, 1000}) {
        const test::tensor_problem other(c, blocks);
        other.engine->accumulate(0, c.rows);
        EXPECT_EQ(test::carried(other.engine->sums()), whole) << blocks;
    }
    t.engine->clear_sums(0x1p40, 0x1p60);
    for (std::int64_t first = 0; first < c.rows; first += unit_rows) {
        const std::int64_t count = std::min(unit_rows, c.rows - first);
        t.engine->load(t.input(first, count), test::identity_frame(c.d), 0);
        t.engine->accumulate(0, count);
    }
    EXPECT_EQ(test::carried(t.engine->sums()), whole);
}

TEST(CudaTensor, GridAndBatchesChangeNoBit) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    check_bits({unit_rows + 300, 32, 17});
    check_bits({unit_rows + 150, 130, 1});
}

void check_fit(std::int64_t rows, std::int64_t d, int iterations) {
    std::vector<float> x = test::as<float>(test::clustered(rows, d, 3, 1.5, 77));
    for (std::int64_t i = 0; i < rows * d; ++i)
        x[i] = 1e3f + x[i] * static_cast<float>(1 + i % d);
    const data_source data = matrix_view<const float>(x.data(), rows, d);
    gmm::fit_options options;
    options.components = 3;
    options.max_iterations = iterations;
    options.tolerance = 0;
    const gmm::fit_result want = fit(context::reference(), data, options), got = fit(context::cuda(), data, options);
    ASSERT_EQ(got.trace.size(), want.trace.size());
    // Σ |y_j| e_j of a row: d |y_j| of 1, e_j = 1.2e-6 (1.6e-6 beyond d = 128) (Σ |U_ij| |x̃_i| + |b_j|) with sums of 10
    // in the frame.
    const double tolerance = (cuda::is_wide(d) ? 1.6e-5 : 1.2e-5) * static_cast<double>(d);
    for (std::size_t i = 0; i < want.trace.size(); ++i)
        EXPECT_NEAR(got.trace[i].log_likelihood, want.trace[i].log_likelihood, tolerance) << "iteration " << i;
    EXPECT_NEAR(got.log_likelihood, want.log_likelihood, tolerance);
}

// From raw rows with offsets and scales to a model: some iterations, a record of each.
TEST(CudaTensor, FitsAsTheReferenceDoes) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    check_fit(700, 33, 8);
    check_fit(600, 130, 3);
}

} // namespace
} // namespace elbo
