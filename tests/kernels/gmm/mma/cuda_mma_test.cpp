// The variant by mma.sync: sums and log-likelihoods against float64, with the bounds of mma_densities.cuh and
// mma_moments.cuh in kernels/cuda/gmm/mma; the same bits for any batches.
#include "bench/mixture/prediction.hpp"
#include "elbo/gmm/fit.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/tensor_problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using enum cuda::e_step_variant;

static_assert(cuda::choose_variant({family::full, 16, 64}, 4) == mma);
static_assert(cuda::choose_variant({family::full, 9, 8}, 4, false, {.tensor = true}) == mma);
static_assert(cuda::choose_variant({family::full, 9, 8}, 4, false, cuda::least_abilities) == mma);
static_assert(cuda::choose_variant({family::full, 16, 64}, 4, true) == fused); // labelled
static_assert(cuda::choose_variant({family::full, 16, 64}, 8) == fused);
static_assert(cuda::choose_variant({family::full, 8, 64}, 4) == fused);
static_assert(cuda::choose_variant({family::full, 17, 16}, 4) == fused);
static_assert(cuda::choose_variant({family::full, 16, 512}, 4, false, {.tensor = true}) == mma); // a cluster
static_assert(cuda::choose_variant({family::full, 16, 65}, 4, false, cuda::least_abilities) != mma);
static_assert(cuda::choose_variant({family::full, 16, 513}, 4, false, {.tensor = true}) == tensor);
static_assert(cuda::choose_variant({family::tied, 16, 64}, 4) == fused);

/// Bound of the density: the dimensions that the kernel fills rows up to.
double density_error(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* row) {
    return test::product_error_of(s, p, k, row, cuda::mma_dimensions, 0x1p-21 + 0x1p-22);
}

// Roundings of a sum in units of 2⁻²⁴: 4 truncated steps of two products, 2 each; 4 for their sum and its place in the
// chain of 64 tiles, one each; 16 for the weights of the exponential, 8 for the pieces of z.
constexpr test::arithmetic_form by_mma{108, density_error};

void check_sums(const test::tensor_case& c) {
    SCOPED_TRACE(test::describe(c));
    const test::tensor_problem t(c);
    ASSERT_EQ(cuda::choose_variant(t.shape, 4), mma);
    test::check_tensor_sums(t, by_mma);
}

// At and beside the ends of groups (16), tiles (64) and units of rows, of fours of components and of dimensions.
TEST(CudaMma, SumsMatchReference) {
    for (const test::tensor_case& c : {test::tensor_case{1, 16, 64},
                                       {1, 9, 8},
                                       {31, 16, 16},
                                       {32, 16, 15},
                                       {33, 13, 17},
                                       {63, 10, 33},
                                       {64, 12, 8},
                                       {65, 15, 60},
                                       {129, 11, 63},
                                       {192, 14, 9},
                                       {1025, 9, 12},
                                       {4095, 16, 33},
                                       {4097, 16, 64},
                                       {65, 16, 65}, // from here on a cluster of 2, 4 or 8 blocks
                                       {33, 12, 100},
                                       {1, 16, 130},
                                       {40, 9, 200},
                                       {17, 16, 512},
                                       {4097, 10, 70}})
        check_sums(c);
}

// Clusters far apart leave most groups of rows without a share.
TEST(CudaMma, OffsetsConditionsAndClustersApart) {
    for (const test::tensor_case& c : {test::tensor_case{300, 16, 17, 1e4, 0},
                                       {300, 16, 64, 1e6, 0},
                                       {129, 12, 9, 10, 100},
                                       {200, 15, 16, 1e4, 10},
                                       {500, 16, 40, 10, 0, 8},
                                       {300, 16, 100, 1e4, 1, 3}})
        check_sums(c);
}

// log p of each row alone.
TEST(CudaMma, LogDensitiesWithinTheBound) {
    for (const test::tensor_case& c :
         {test::tensor_case{40, 16, 9, 10, 0}, {40, 11, 8, 1e4, 1}, {40, 16, 8, 1e6, 10}, {40, 13, 10, 10, 100}}) {
        SCOPED_TRACE(test::describe(c));
        const test::tensor_problem t(c);
        const std::int64_t at = t.shape.components * statistics_size(family::full, c.d) + scalar_log_likelihood;
        for (std::int64_t n = 0; n < c.rows; ++n) {
            if (t.weights[n] == 0)
                continue;
            const std::vector<double> x(&t.x[n * c.d], &t.x[n * c.d] + c.d);
            t.engine->clear_sums(0x1p40, 0x1p60);
            t.engine->accumulate(n, 1);
            const test::bounded_sums want =
                test::reference_sums(t.shape, t.engine->parameters(), x, {}, 0x1p-24, {}, by_mma);
            double bound = 0;
            for (std::int64_t k = 0; k < c.K; ++k)
                if (want.responsibilities[k] > 1e-12)
                    bound = std::max(bound, density_error(t.shape, t.engine->parameters(), k, x.data()));
            // exp, its sum and log: 2⁻²¹; log p is rounded to float32 in units of ln 2.
            const double lse = want.log_density[0];
            EXPECT_NEAR(t.engine->sums().values()[at] / t.weights[n], lse,
                        bound + 0x1p-21 + 0x1p-22 * (1 + std::abs(lse)))
                << "row " << n;
        }
    }
}

// One row far away takes the power of two of its own tile and component with it, that of no other.
TEST(CudaMma, FarRows) {
    test::tensor_problem t({129, 16, 9});
    for (std::int64_t j = 0; j < t.shape.dimensions; ++j)
        t.x[3 * t.shape.dimensions + j] *= 1e4f;
    t.engine->load(t.input(0, t.rows), test::identity_frame(16), 0);
    test::check_tensor_sums(t, by_mma);
}

TEST(CudaMma, DroppedComponents) {
    for (std::int64_t K : {14, 70}) {
        const test::tensor_problem t({129, 16, K});
        gmm_parameters p = t.engine->parameters();
        p.log_weights[0] = p.log_weights[4] = -INFINITY;
        t.engine->set_parameters(p);
        test::check_tensor_sums(t, by_mma);
    }
}

TEST(CudaMma, BatchesChangeNoBit) {
    for (const test::tensor_case& c :
         {test::tensor_case{2 * unit_rows + 300, 16, 17}, {unit_rows + 1100, 9, 8}, {unit_rows + 70, 16, 66}}) {
        const test::tensor_problem t(c);
        t.engine->accumulate(0, c.rows);
        const auto whole = test::carried(t.engine->sums());
        t.engine->clear_sums(0x1p40, 0x1p60);
        for (std::int64_t first = 0; first < c.rows; first += unit_rows) {
            const std::int64_t count = std::min(unit_rows, c.rows - first);
            t.engine->load(t.input(first, count), test::identity_frame(c.d), 0);
            t.engine->accumulate(0, count);
        }
        EXPECT_EQ(test::carried(t.engine->sums()), whole);
    }
}

// From raw rows with offsets and scales to a model: some iterations, a record of each.
TEST(CudaMma, FitsAsTheReferenceDoes) {
    const std::int64_t rows = 900, d = 11;
    std::vector<float> x = test::as<float>(test::clustered(rows, d, 8, 1.5, 77));
    for (std::int64_t i = 0; i < rows * d; ++i)
        x[i] = 1e3f + x[i] * static_cast<float>(1 + i % d);
    const data_source data = matrix_view<const float>(x.data(), rows, d);
    gmm::fit_options options;
    options.components = 8;
    options.max_iterations = 6;
    options.tolerance = 0;
    const gmm::fit_result want = fit(context::reference(), data, options), got = fit(context::cuda(), data, options);
    ASSERT_EQ(got.trace.size(), want.trace.size());
    // Σ |y_j| e_j of a row: d |y_j| of 1, e_j = 0.72e-6 (Σ |U_ij| |x̃_i| + |b_j|) with sums of 15 in the frame.
    const double tolerance = 1.1e-5 * static_cast<double>(d);
    for (std::size_t i = 0; i < want.trace.size(); ++i)
        EXPECT_NEAR(got.trace[i].log_likelihood, want.trace[i].log_likelihood, tolerance) << "iteration " << i;
}

constexpr const char* one_case = "CudaMma.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

struct counted_case {
    const char* name;
    test::tensor_case c;
};
// With means so near that all components have a share in every group of rows.
constexpr counted_case counted[] = {{"mma", {4160, 16, 30, 1, 0, 0.1}},
                                    {"mma narrow", {2048, 9, 16, 1, 0, 0.1}},
                                    {"mma cluster", {1024, 16, 80, 1, 0, 0.1}}};

TEST(CudaMma, DISABLED_OneCase) {
    for (const auto& [name, c] : counted)
        if (std::string(name) == std::getenv(case_variable))
            test::tensor_problem(c).engine->accumulate(0, c.rows);
}

// Rows are read once; matrix instructions for all rows of the tiles and all fours of components, and for the moments of
// the groups of rows.
TEST(CudaMma, CostsWhatIsPredicted) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const auto& [name, c] : counted) {
        SCOPED_TRACE(name);
        const gmm_shape shape{family::full, c.d, c.K};
        const test::counter_sums got =
            test::sum_counters(test::count_elsewhere(one_case, case_variable, name), "accumulate_mma_chunks");
        const double n = static_cast<double>(c.rows), k = static_cast<double>(c.K);
        const double p = static_cast<double>(cuda::padded(c.d));
        EXPECT_EQ(got.tensor, n * (bench::mma_filled(shape) * bench::mma_density_flop + k * bench::mma_moment_flop));
        const double chunks = static_cast<double>(cuda::blocks_for(c.rows, cuda::chunk_rows(shape, 4)));
        const double sums = 24 * chunks * static_cast<double>(sum_count(shape));
        const double parameters = 4 * k * (p * (p + 2) + 1);
        EXPECT_LE(got.read, 1.02 * 4 * n * (p + 1) + sums + parameters + 1024);
        EXPECT_LE(got.written, sums + 1024);
        EXPECT_LE(got.conflicts, 0.1 * got.wavefronts);
        const double per_pair = got.instructions / (n * k), needed = bench::mma_instructions(shape);
        EXPECT_GE(per_pair, needed);
        EXPECT_LE(per_pair, 1.6 * needed); // PTX has more: moves, halves of registers, addresses
        std::printf("%s: %.1f instructions a pair, of %.1f, %.0f%% of shared wavefronts from conflicts\n", name,
                    per_pair, needed, 100 * got.conflicts / got.wavefronts);
    }
}

TEST(CudaMma, NoRacesOnGlobalMemory) {
    if (!test::emulated())
        GTEST_SKIP() << "the race check is that of the emulator";
    constexpr const char* check = "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1";
    for (const char* name : {"mma narrow", "mma cluster"})
        EXPECT_EQ(test::run_elsewhere(one_case, case_variable, name, check), 0) << name;
}

} // namespace
} // namespace elbo
