// What the kernels of linear-Gaussian latent variables cost, counted by the emulator against what their pass needs.
#include "kernels/contract/latent_engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;

constexpr latent_shape shape{64, 2, 16}; ///< whole tiles, so that padding does not blur the count
constexpr std::int64_t rows = 2048;

/// One pass, in a process of its own.
TEST(CudaLatentCounters, DISABLED_Case) {
    const std::int64_t d = shape.dimensions, K = shape.components, L = shape.latent;
    const std::vector<double> x = test::clustered(rows, d, 3, 1.0, 7);
    const auto engine = make_latent_engine(context::cuda(), d);
    engine->reserve(rows, false);
    engine->load({matrix_view<const double>(x.data(), rows, d), {}, 1}, test::identity_frame(d), 0);
    engine->set_parameters({shape, std::vector<double>(K, -60), std::vector<double>(K * d, 0.1),
                            std::vector<double>(K * d, 1), std::vector<double>(K * d * L, 0.01)});
    engine->clear_sums({0x1p40, 0x1p60});
    engine->accumulate(0, rows);
    engine->sums();
}

TEST(CudaLatentCounters, APassCostsItsProductsAndReadsTheRowsTwice) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const auto kernels = test::count_elsewhere("CudaLatentCounters.DISABLED_Case", "ELBO_COUNTED_CASE", "pass");
    const auto d = static_cast<double>(shape.dimensions), L = static_cast<double>(shape.latent);
    const double pairs = static_cast<double>(rows * shape.components), row_bytes = 8 * static_cast<double>(rows) * d;
    const double latent_bytes = 8 * pairs * (L + 1); // c and the joint density of each row and component

    // A row and component: d L products, and for each dimension δ, δ² and its product with 1/ψ.
    const test::counter_sums project = test::sum_counters(kernels, "project_rows");
    const double project_flop = pairs * d * (2 * L + 4);
    RecordProperty("project_fp64_share", std::to_string(project.fp64 / project_flop));
    EXPECT_LE(project.fp64, 1.02 * project_flop);
    EXPECT_LE(project.read, 1.1 * row_bytes); // the parameters are small beside the rows
    EXPECT_LE(project.written, 1.01 * latent_bytes);
    EXPECT_LE(project.conflicts, 0.05 * project.wavefronts);

    // d L products, and for each dimension δ, w r δ and the sums of w r, w r δ and w r δ²; w r c once for 32
    // dimensions.
    const test::counter_sums add = test::sum_counters(kernels, "add_statistics");
    const double add_flop = pairs * (d * (2 * L + 6) + L * d / 32);
    RecordProperty("add_fp64_share", std::to_string(add.fp64 / add_flop));
    EXPECT_LE(add.fp64, 1.02 * add_flop + 64 * 1024 * 8); // and the reductions and fixed-point splits of the ends
    EXPECT_LE(add.read, 1.1 * (row_bytes + latent_bytes));
    EXPECT_LE(add.conflicts, 0.05 * add.wavefronts);
}

} // namespace
} // namespace elbo
