// What steps of wide layers cost on the device, counted by the emulator, against the formulas of
// kernels/cuda/vae/wide/prediction.hpp, and the times that follow from them. Products are the library's, and not
// counted.
#include "kernels/contract/context_state.hpp"
#include "kernels/cuda/vae/wide/prediction.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace elbo {
namespace {

using namespace kernels;
using vae::training_precision;

constexpr internal::wide_limits limits{16, 64};
constexpr std::int64_t batch = 320;

constexpr const char* one_case = "CudaVaeWideCounters.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";
constexpr std::pair<const char*, training_precision> cases[] = {{"bfloat16", training_precision::bfloat16},
                                                                {"tf32", training_precision::tf32},
                                                                {"float32", training_precision::float32}};

vae::architecture network() {
    return test::make_architecture(256, 32, {128, 144}, vae::activation::tanh);
}

TEST(CudaVaeWideCounters, DISABLED_OneCase) {
    const std::string name = std::getenv(case_variable);
    const auto precision = std::ranges::find_if(cases, [&](const auto& c) { return name == c.first; })->second;
    const context ctx = context::cuda();
    ctx.state().cuda->wide = limits;
    const auto engine = make_vae_engine(ctx, make_layout(network()));
    const auto x = test::network_rows(network(), batch, test::values::bits, 3);
    engine->reserve({.batch = batch, .slots = {batch}, .storage = row_storage::bits});
    engine->load(0, 0, matrix_view<const float>(x.data(), batch, 256));
    engine->set_parameters(test::network_parameters(engine->layout, 7));
    const auto records = engine->train({.precision = precision},
                                       {.window_rows = batch, .batch = batch, .steps = std::vector<step_schedule>(1)});
    ASSERT_EQ(records.size(), 1u);
}

TEST(CudaVaeWideCounters, BytesAndLaunches) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const vae_layout layout = make_layout(network());
    for (const auto& [name, precision] : cases) {
        SCOPED_TRACE(name);
        const cuda::wide_counts want = cuda::count_wide_step(limits, layout, {batch, 1, 1}, precision);
        const auto all = test::count_elsewhere(one_case, case_variable, name);
        const test::counter_sums wide = test::sum_counters(all, "::wide_");
        // Biases beside the numbers, rows of pieces of 32 bytes.
        EXPECT_NEAR(wide.read + wide.written, want.elementwise, 0.03 * want.elementwise);
        double kernels = 0;
        for (const auto& kernel : all)
            if (const std::string of = kernel["name"];
                of.find("::store<") == std::string::npos && of.find("::round_all") == std::string::npos)
                kernels += kernel["launches"].get<double>();
        const double clears = precision == training_precision::float32 ? 1 : 0; // no kernel for the emulator
        EXPECT_EQ(kernels, want.kernels - clears);
        EXPECT_EQ(want.products, precision == training_precision::float32 ? 51 : 17);
        std::printf("%s: %.0f bytes of %.0f, %.0f kernels\n", name, wide.read + wide.written, want.elementwise,
                    kernels);
    }
}

TEST(CudaVaeWideCounters, PredictedTimes) {
    // Those that the head of prediction.hpp states.
    const vae_layout layout = make_layout(test::make_architecture(784, 128, {1024, 1024}, vae::activation::tanh));
    constexpr double microseconds[][3] = {{86, 193, 461}, {115, 265, 791}, {202, 541, 1354}};
    constexpr std::int64_t batches[] = {512, 2048, 8192}, shards[] = {1, 8, 8};
    for (int i = 0; i < 3; ++i)
        for (int k = 0; k < 3; ++k) {
            const cuda::wide_counts c = cuda::count_wide_step({}, layout, {batches[k], 1, shards[k]}, cases[i].second);
            const cuda::wide_prediction p = cuda::predict_wide_step(c);
            std::printf("%s %d: %.0f to %.0f us; products %.0f, %.0f MB, %.0f launches\n", cases[i].first,
                        static_cast<int>(batches[k]), 1e6 * p.low, 1e6 * p.high, 1e6 * c.product_seconds,
                        (c.elementwise + c.others) / 1e6, c.products + c.kernels);
            EXPECT_NEAR(1e6 * p.low, microseconds[i][k], 0.51);
            EXPECT_GE(c.operations, static_cast<double>(batches[k]) * layout.architecture.training_flops_per_sample());
        }
}

} // namespace
} // namespace elbo
