// Inference through the tensor variant: log p, responsibilities, assignments and log-joints against float64, with the
// bounds of the log-densities; the same bits for any grid and batches; what it reads and writes.
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/labels.hpp"
#include "tests/support/gmm/tensor_problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::expect_within;
using test::inferred;

/// Row n of an inference against the reference, and against itself.
void check_row(const test::labelled_rows& data, const reference::parameters& p, const inferred& got, std::int64_t n) {
    const gmm_shape& s = data.c.shape;
    const double* const x = &data.x64[n * s.dimensions];
    const double largest = *std::ranges::max_element(p.offsets);
    double sum = 0;
    for (std::int64_t k = 0; k < s.components; ++k) {
        const std::int64_t i = n * s.components + k;
        const double factor = data.log_factor(n, k);
        const double want = p.offsets[k] + factor - reference::mahalanobis_squared(s, p.values, k, x) / 2;
        sum += got.r[i];
        if (want == -test::infinity) {
            EXPECT_EQ(got.joint[i], -test::infinity) << i;
            EXPECT_EQ(got.r[i], 0) << i;
            continue;
        }
        // Offsets are relative to the largest one; two multiply-adds and an addition round lp.
        const double bound =
            test::product_error(s, p.values, k, x) +
            0x1p-22 * (std::abs(want) + std::abs(p.offsets[k]) + std::abs(largest) + std::abs(factor) + 1);
        expect_within(got.joint[i], want, bound, "log-joint " + std::to_string(i));
    }
    expect_within(sum, 1, static_cast<double>(s.components + 2) * 0x1p-24 + 0x1p-24, "sum of r");
    const double* const joint = &got.joint[n * s.components];
    EXPECT_EQ(got.label[n], std::max_element(joint, joint + s.components) - joint) << "row " << n;
}

void check_case(const gmm_shape& shape, std::int64_t rows, test::knowledge known) {
    const test::labelled_rows data({shape, rows, known, false, element_type::float32});
    SCOPED_TRACE(test::describe(data.c));
    const auto engine = make_gmm_engine(context::cuda(), shape, element_type::float32);
    ASSERT_TRUE(dynamic_cast<cuda::cuda_engine_base&>(*engine).has_tensor());
    test::load(*engine, data);
    engine->set_parameters(test::random_parameters(shape, 1.0, 21));
    const auto p = reference::with_offsets(shape, engine->parameters());
    const auto want = test::reference_sums(shape, p.values, data.x64, {}, 0x1p-24, data.known(), test::tensor_products);
    const inferred got(*engine, rows);
    for (std::int64_t n = 0; n < rows && !testing::Test::HasFailure(); ++n) {
        expect_within(got.density[n], want.log_density[n], want.log_density_bound[n], "lse " + std::to_string(n));
        for (std::int64_t i = n * shape.components; i < (n + 1) * shape.components; ++i)
            expect_within(got.r[i], want.responsibilities[i], want.responsibility_bound[i], "r " + std::to_string(i));
        check_row(data, p, got, n);
    }
}

// At and beside the ends of blocks of rows (32) and of components (8, 32), with one and more ranges.
TEST(CudaTensorInfer, MatchesReference) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (test::knowledge known : {test::knowledge::no_labels, test::knowledge::some_labels, test::knowledge::factors}) {
        check_case({family::full, 25, 33}, 33, known);
        check_case({family::full, 64, 5}, 65, known);
        check_case({family::full, 130, 9}, 31, known);
    }
    check_case({family::full, 33, 1}, 1, test::knowledge::no_labels);
    check_case({family::full, 40, 600}, 40, test::knowledge::no_labels);
    check_case({family::full, 200, 3}, 257, test::knowledge::no_labels);
}

// Results of a part of the rows, into memory with a stride.
TEST(CudaTensorInfer, GridAndBatchesChangeNoBit) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const test::tensor_case& c : {test::tensor_case{300, 64, 9}, {150, 130, 2}}) {
        const test::tensor_problem t(c);
        const inferred whole(*t.engine, c.rows);
        for (std::int64_t blocks : {1, 8, 1000}) {
            const test::tensor_problem other(c, blocks);
            EXPECT_EQ(inferred(*other.engine, c.rows).joint, whole.joint) << blocks;
        }
        const std::int64_t stride = c.K + 3;
        std::vector<double> r(c.rows * stride, 7), density(c.rows);
        std::vector<std::int32_t> label(c.rows);
        for (std::int64_t first = 0; first < c.rows; first += 77) {
            const std::int64_t count = std::min<std::int64_t>(77, c.rows - first);
            t.engine->infer(first, count,
                            {{&density[first], count, 1},
                             matrix_view<double>(&r[first * stride], count, c.K, stride, memory_space::host),
                             {&label[first], count, 1}});
        }
        EXPECT_EQ(density, whole.density);
        EXPECT_EQ(label, whole.label);
        for (std::int64_t n = 0; n < c.rows; ++n)
            for (std::int64_t k = 0; k < stride; ++k)
                ASSERT_EQ(r[n * stride + k], k < c.K ? whole.r[n * c.K + k] : 7) << n << " " << k;
    }
}

TEST(CudaTensorInfer, MoreRowsThanASlab) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    const std::int64_t slab = cuda::tensor_slab_rows({family::full, 130, 1}), rows = slab + 40;
    ASSERT_EQ(slab, 4 * unit_rows);
    const test::tensor_problem t({rows, 130, 1});
    std::vector<double> whole(rows), part(100);
    t.engine->infer(0, rows, {.log_density = {whole.data(), rows, 1}});
    t.engine->infer(rows - 100, 100, {.log_density = {part.data(), 100, 1}});
    EXPECT_TRUE(std::ranges::equal(part, std::vector<double>(whole.end() - 100, whole.end())));
}

constexpr const char* counted_name = "CudaTensorInfer.DISABLED_Counted";
constexpr const char* counted_variable = "ELBO_COUNTED_CASE";
const test::tensor_case counted_cases[] = {{300, 64, 9}, {300, 200, 3}};

TEST(CudaTensorInfer, DISABLED_Counted) {
    const test::tensor_case& c = counted_cases[std::stoi(std::getenv(counted_variable))];
    const inferred all(*test::tensor_problem(c).engine, c.rows);
}

TEST(CudaTensorInfer, Counters) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "counters come from the emulator";
    for (const char* number : {"0", "1"}) {
        const test::tensor_case& c = counted_cases[std::stoi(number)];
        const auto all = test::count_elsewhere(counted_name, counted_variable, number);
        const double n = static_cast<double>(c.rows), k = static_cast<double>(c.K);
        const test::counter_sums rule = test::sum_counters(all, "find_posteriors");
        EXPECT_EQ(rule.launches, 1);
        EXPECT_LE(rule.read, 1.02 * 4 * n * k + 1024);
        EXPECT_GE(rule.stored, n * (8 + 4 + 16 * k));
        EXPECT_LE(rule.written, 1.02 * n * (8 + 4 + 16 * k) + 1024);
        const test::counter_sums density =
            test::sum_counters(all, cuda::is_wide(c.d) ? "wide_density" : "tensor_density");
        EXPECT_EQ(density.launches, 1);
    }
}

} // namespace
} // namespace elbo
