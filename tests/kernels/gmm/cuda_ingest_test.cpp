// Rows of the caller into the engine on the device: summaries of units against the reference, at sizes where the
// columns that a block has, its threads and its loads begin and end; and what both passes cost.
#include "bench/mixture/prediction.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <limits>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

struct some_rows {
    std::int64_t rows, d;
    std::vector<float> x, weights;

    some_rows(std::int64_t n, std::int64_t columns, double offset, bool weighted) : rows(n), d(columns) {
        x = test::as<float>(test::clustered(n, columns, 3, 1.0, 7));
        for (float& v : x)
            v += static_cast<float>(offset);
        for (std::int64_t i = 0; weighted && i < n; ++i) {
            weights.push_back(static_cast<float>(i % 7) / 8);
            if (i % 7 == 0) // of weight 0: does not count, however large
                x[i * columns] = 3e38f;
        }
    }
    input_rows input() const {
        input_rows in{matrix_view<const float>(x.data(), rows, d), {}, 1};
        if (!weights.empty())
            in.weights = matrix_view<const float>(weights.data(), rows, 1);
        return in;
    }
};

// A sum of n float64 numbers of size a has an error of n 2⁻⁵³ a, whatever their order. That of a mean enters the
// squares of deviations, which are of size 10 here, once as a step to it and once as a sum.
TEST(CudaIngest, SummariesEqualTheReference) {
    for (const double offset : {0.0, 1e5})
        for (const bool weighted : {false, true})
            for (const std::int64_t d : {1, 2, 31, 127, 128, 129, 300, 513})
                for (const std::int64_t n : {1, 9, 4096, 4096 + 515}) {
                    SCOPED_TRACE(fmt::format("offset {} weights {} d {} n {}", offset, weighted, d, n));
                    const some_rows data(n, d, offset, weighted);
                    const gmm_shape shape{family::diagonal, d, 1};
                    unit_summaries expected, got;
                    const auto summary = [&](const context& ctx, unit_summaries& to) {
                        return make_gmm_engine(ctx, shape, element_type::float32)->summarize(data.input(), to);
                    };
                    ASSERT_EQ(summary(context::reference(), expected), -1);
                    ASSERT_EQ(summary(context::cuda(), got), -1);
                    ASSERT_EQ(got.size(), expected.size());
                    const double error = 4096 * 0x1p-53 * (offset + 30);
                    for (std::int64_t u = 0; u < got.size(); ++u) {
                        const unit_summary e = expected[u], g = got[u];
                        EXPECT_EQ(g.weight, e.weight); // sums of eighths
                        EXPECT_EQ(g.positive, e.positive);
                        EXPECT_EQ(g.largest_weight, e.largest_weight);
                        EXPECT_EQ(g.smallest_weight, e.smallest_weight);
                        if (!(e.weight > 0))
                            continue;
                        EXPECT_TRUE(std::ranges::equal(g.min, e.min));
                        EXPECT_TRUE(std::ranges::equal(g.max, e.max));
                        for (std::int64_t j = 0; j < d; ++j) {
                            ASSERT_NEAR(g.mean[j], e.mean[j], error) << j;
                            ASSERT_NEAR(g.m2[j], e.m2[j], 4096 * 0x1p-53 * e.m2[j] + 4 * e.weight * 30 * error) << j;
                        }
                    }
                }
}

TEST(CudaIngest, FindsTheFirstBadNumberOfManyColumns) {
    some_rows data(4096 + 300, 300, 0, true);
    data.x[(4096 + 21) * 300 + 299] = std::numeric_limits<float>::quiet_NaN(); // of weight 0
    data.x[(4096 + 22) * 300] = std::numeric_limits<float>::infinity();
    unit_summaries units;
    const auto engine = make_gmm_engine(context::cuda(), {family::diagonal, 300, 1}, element_type::float32);
    EXPECT_EQ(engine->summarize(data.input(), units), (4096 + 21) * 300 + 299);
}

constexpr std::int64_t counted_rows = 3 * unit_rows, counted_columns[] = {2, 64, 129};
constexpr const char* variable = "ELBO_COUNTED_COLUMNS";

TEST(CudaIngest, DISABLED_OneCase) {
    const some_rows data(counted_rows, std::atoll(std::getenv(variable)), 0, false);
    const auto engine = make_gmm_engine(context::cuda(), {family::diagonal, data.d, 4}, element_type::float32);
    unit_summaries units;
    engine->summarize(data.input(), units);
    engine->reserve(data.rows, false);
    engine->load(data.input(), test::identity_frame(data.d), 0);
}

TEST(CudaIngest, ReadsRowsOnceForEachOfItsTwoPasses) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const std::int64_t d : counted_columns) {
        const auto all = test::count_elsewhere("CudaIngest.DISABLED_OneCase", variable, std::to_string(d));
        const test::counter_sums summary = test::sum_counters(all, "summarize"),
                                 normalized = test::sum_counters(all, "normalize");
        const double numbers = static_cast<double>(counted_rows * d);
        EXPECT_LE(summary.read, 4 * numbers + 1024);
        EXPECT_LE(summary.written, 3 * 8.0 * static_cast<double>(summary_size(d)) + 1024);
        EXPECT_LE(normalized.read, 4 * numbers + 16 * static_cast<double>(d) + 1024);
        EXPECT_LE(normalized.written, 4 * numbers + 1024);
        std::printf("d %d: %.1f and %.1f instructions a number, %.1f and %.1f of them float64\n", static_cast<int>(d),
                    summary.instructions / numbers, normalized.instructions / numbers, summary.fp64 / numbers,
                    normalized.fp64 / numbers);
        EXPECT_LE((summary.instructions + normalized.instructions) / numbers, bench::load_instructions);
    }
}

} // namespace
} // namespace elbo
