// The moments of the tensor variant where few rows are active, and where several units share the additions to the sums:
// values against float64, the same bits for any batches, and what is counted.
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/tensor_problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace elbo {
namespace {

using namespace kernels;

/// So far apart that a row is active in its own component alone.
constexpr double apart = 40;

// At and beside the ends of the words of rows (32), tiles (32), segments of a warp (512, 1024) and chains (256), with
// one team and several, teams that are full and not.
TEST(CudaMoments, SeparatedSumsMatchReference) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const test::tensor_case& c : {test::tensor_case{1, 32, 3, 10, 0, apart},
                                       {33, 25, 9, 10, 0, apart},
                                       {513, 33, 5, 10, 0, apart},
                                       {1025, 64, 9, 10, 0, apart},
                                       {700, 128, 3, 10, 0, apart},
                                       {511, 97, 2, 10, 0, apart},
                                       {290, 65, 3, 10, 0, apart},
                                       {290, 96, 2, 10, 0, apart},
                                       {4097, 40, 3, 10, 0, apart},
                                       {130, 130, 2, 10, 0, apart},
                                       {unit_rows + 65, 129, 2, 10, 0, apart},
                                       {200, 200, 70, 10, 0, apart},
                                       {300, 192, 4, 10, 0, 3},
                                       {4131, 30, 11, 10, 0, 3},
                                       {300, 64, 7, 10, 0, 3}})
        test::check_tensor_sums(c);
}

/// A problem of separated components in which rows are moved to components of our choice.
struct moved_problem : test::tensor_problem {
    explicit moved_problem(const test::tensor_case& c) : tensor_problem(c) {}
    void move(std::int64_t row, std::int64_t component) {
        const std::int64_t d = shape.dimensions, K = shape.components;
        std::copy_n(&own[(row % (rows / K) * K + component) * d], d, &x[row * d]);
    }
    void load() { engine->load(input(0, rows), test::identity_frame(shape.dimensions), 0); }

private:
    std::vector<float> own = x;
};

// All rows of one component: the teams of the others have nothing to sum. One row of another, the last or the first.
TEST(CudaMoments, EmptyAndSingleRows) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (std::int64_t d : {32, 64, 128, 130})
        for (std::int64_t single : {-1, 0, 255}) {
            SCOPED_TRACE(std::to_string(d) + ", row " + std::to_string(single));
            moved_problem t({256, d, 9, 10, 0, apart});
            for (std::int64_t n = 0; n < t.rows; ++n)
                t.move(n, 1);
            if (single >= 0) {
                t.move(single, 8);
                t.weights[single] = 1;
            }
            t.load();
            test::check_tensor_sums(t);
            const std::vector<double> sums = t.engine->sums().values();
            const std::int64_t size = statistics_size(gmm::family::full, d);
            for (std::int64_t k = 0; k < 9; ++k)
                EXPECT_EQ(sums[k * size] != 0, k == 1 || (k == 8 && single >= 0)) << k;
        }
}

TEST(CudaMoments, NoWeights) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    test::tensor_problem t({100, 32, 5});
    std::fill(t.weights.begin(), t.weights.end(), 0.0);
    t.engine->load(t.input(0, t.rows), test::identity_frame(32), 0);
    test::check_tensor_sums(t);
}

/// The sums of all rows in batches of so many units.
auto sums_in_batches(const test::tensor_problem& t, std::int64_t units) {
    t.engine->clear_sums(0x1p40, 0x1p60);
    for (std::int64_t first = 0; first < t.rows; first += units * unit_rows) {
        const std::int64_t count = std::min(units * unit_rows, t.rows - first);
        t.engine->load(t.input(first, count), test::identity_frame(t.shape.dimensions), 0);
        t.engine->accumulate(0, count);
    }
    return test::carried(t.engine->sums());
}

void check_batches(const test::tensor_case& c, const std::vector<std::int64_t>& batches) {
    SCOPED_TRACE("N=" + std::to_string(c.rows) + " d=" + std::to_string(c.d) + " K=" + std::to_string(c.K));
    const test::tensor_problem t(c);
    const auto alone = sums_in_batches(t, 1);
    for (std::int64_t units : batches)
        EXPECT_EQ(sums_in_batches(t, units), alone) << units << " units";
}

// So many blocks of a cluster that at most an eighth of them has no unit.
static_assert(cuda::moment_ranks(1) == 1 && cuda::moment_ranks(2) == 2 && cuda::moment_ranks(3) == 3);
static_assert(cuda::moment_ranks(4) == 4 && cuda::moment_ranks(5) == 1 && cuda::moment_ranks(6) == 3);
static_assert(cuda::moment_ranks(7) == 8 && cuda::moment_ranks(8) == 8 && cuda::moment_ranks(9) == 3);
static_assert(cuda::moment_ranks(12) == 4 && cuda::moment_ranks(15) == 8 && cuda::moment_ranks(16) == 8);

// Batches of 1 to 9 units in clusters of 1 to 8 blocks, of which the last may have no rows.
TEST(CudaMoments, BatchesChangeNoBit) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    check_batches({16 * unit_rows + 33, 25, 1}, {3, 17});
    check_batches({8 * unit_rows + 1, 33, 2, 10, 0, apart}, {7, 9});
    check_batches({3 * unit_rows, 65, 2, 10, 0, 0.1}, {3});
    check_batches({unit_rows + 100, 130, 3, 10, 0, apart}, {2});
}

struct counted_case {
    const char* name;
    test::tensor_case c;
};
constexpr counted_case counted_cases[] = {{"apart 32", {700, 32, 17, 10, 0, apart}},
                                          {"apart 64", {4396, 64, 9, 10, 0, apart}},
                                          {"apart 90", {300, 90, 3, 10, 0, apart}},
                                          {"apart 128", {300, 128, 3, 10, 0, apart}},
                                          {"alike 30", {300, 30, 9}},
                                          {"alike 64", {700, 64, 5}},
                                          {"alike 70", {300, 70, 2}},
                                          {"apart, units", {6 * unit_rows + 100, 40, 3, 10, 0, apart}},
                                          {"alike 128", {300, 128, 2}},
                                          {"apart 200", {700, 200, 9, 10, 0, apart}},
                                          {"alike 130", {300, 130, 3}}};
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

bool alike(const counted_case& c) {
    return std::string(c.name).starts_with("alike");
}

/// Components that are alike have a share in every row.
void make_alike(const test::tensor_problem& t) {
    gmm_parameters p = t.engine->parameters();
    const std::int64_t d = t.shape.dimensions;
    for (std::int64_t k = 1; k < t.shape.components; ++k) {
        std::copy_n(p.means.begin(), d, p.means.begin() + k * d);
        std::copy_n(p.precision_cholesky.begin(), d * d, p.precision_cholesky.begin() + k * d * d);
    }
    t.engine->set_parameters(p);
}

TEST(CudaMoments, DISABLED_OneCase) {
    for (const counted_case& c : counted_cases)
        if (std::string(c.name) == std::getenv(case_variable)) {
            const test::tensor_problem t(c.c);
            if (alike(c))
                make_alike(t);
            t.engine->accumulate(0, t.rows);
        }
}

/// Steps of all teams of `lists` components: tiles of `tile` of the rows of a unit with a weight in which a component
/// of the team is active.
double steps(const counted_case& c, std::int64_t lists, std::int64_t tile) {
    const std::vector<double> weights = test::quarter_weights(c.c.rows);
    std::int64_t sum = 0;
    for (std::int64_t first = 0; first < c.c.rows; first += unit_rows)
        for (std::int64_t team = 0; team < cuda::blocks_for(c.c.K, lists); ++team) {
            std::int64_t active = 0;
            for (std::int64_t n = first; n < std::min(first + unit_rows, c.c.rows); ++n)
                active += weights[n] != 0 && (alike(c) || n % c.c.K / lists == team);
            sum += cuda::blocks_for(active, tile);
        }
    return static_cast<double>(sum);
}

template <int D>
void expect_work(const counted_case& c) {
    using L = cuda::moment_layout<D>;
    SCOPED_TRACE(c.name);
    const auto got = test::sum_counters(test::count_elsewhere("CudaMoments.DISABLED_OneCase", case_variable, c.name),
                                        "tensor_moments");
    EXPECT_EQ(got.tensor, steps(c, L::lists, L::rows) * L::flop);
    // Three limbs of each statistic for a cluster of units, at most; no bank conflicts but for N and S1.
    const std::int64_t units = cuda::blocks_for(c.c.rows, unit_rows);
    const std::int64_t clusters = cuda::blocks_for(units, cuda::moment_ranks(units));
    EXPECT_LE(got.atomics, static_cast<double>(3 * clusters * c.c.K * statistics_size(gmm::family::full, c.c.d)));
    EXPECT_LE(got.conflicts, 0.02 * got.wavefronts);
    const double pairs = static_cast<double>(c.c.rows * c.c.K);
    std::printf("%s: %.0f instructions a pair, %.0f atomics, %.1f%% of wavefronts from conflicts\n", c.name,
                got.instructions / pairs, got.atomics, 100 * got.conflicts / got.wavefronts);
}

void expect_wide_work(const counted_case& c) {
    SCOPED_TRACE(c.name);
    const auto got = test::sum_counters(test::count_elsewhere("CudaMoments.DISABLED_OneCase", case_variable, c.name),
                                        "::wide_moments");
    EXPECT_EQ(got.tensor, steps(c, 1, cuda::wide_half) * cuda::wide_half * cuda::wide_shape(c.c.d).flop());
}

TEST(CudaMoments, WorkIsThatOfTheActiveRows) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "counters come from the emulator";
    for (const counted_case& c : counted_cases) {
        if (cuda::is_wide(c.c.d)) {
            expect_wide_work(c);
            continue;
        }
        switch (cuda::moment_dimensions(c.c.d)) {
        case 32:
            expect_work<32>(c);
            break;
        case 64:
            expect_work<64>(c);
            break;
        case 80:
            expect_work<80>(c);
            break;
        case 96:
            expect_work<96>(c);
            break;
        default:
            expect_work<128>(c);
        }
    }
}

} // namespace
} // namespace elbo
