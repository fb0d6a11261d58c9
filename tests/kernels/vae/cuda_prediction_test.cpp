// The counts that predictions for autoencoders are made of (bench/vae/prediction.hpp), against those of the emulator:
// launches, matrix instructions and bytes of a training step, but for products of the library. Each case runs in a
// process of its own (support/emulator_counters.hpp).
#include "bench/vae/prediction.hpp"
#include "kernels/contract/vae_engine.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace elbo {
namespace {

using namespace kernels;
using bench::kernel_work;

static_assert(bench::library_limits{}.width == internal::wide_limits{}.width &&
              bench::library_limits{}.rows == internal::wide_limits{}.rows);

struct predicted_step {
    const char* name;
    vae::architecture architecture;
    std::int64_t batch;
    vae::training_precision precision;
};

// Small tiles in each arithmetic, with widths and batches between whole fragments; shards of a large batch; layers of
// the library beside others.
const predicted_step cases[] = {
    {"bfloat16", test::make_architecture(200, 20, {72, 40}, vae::activation::tanh), 100,
     vae::training_precision::bfloat16},
    {"tf32", test::make_architecture(120, 10, {40}, vae::activation::tanh), 60, vae::training_precision::tf32},
    {"float32", test::make_architecture(120, 10, {40}, vae::activation::tanh), 60, vae::training_precision::float32},
    {"shards", test::make_architecture(48, 4, {32}, vae::activation::tanh), 1100, vae::training_precision::bfloat16},
    {"library", test::make_architecture(1024, 8, {128}, vae::activation::tanh), 512, vae::training_precision::bfloat16},
};

const predicted_step& named(const std::string& name) {
    for (const predicted_step& c : cases)
        if (name == c.name)
            return c;
    throw std::out_of_range("no case " + name);
}

constexpr const char* one_case = "CudaVaePrediction.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

TEST(CudaVaePrediction, DISABLED_OneCase) {
    const predicted_step& c = named(std::getenv(case_variable));
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(context::cuda(), layout);
    const std::int64_t d = c.architecture.dimensions;
    const auto x = test::network_rows(c.architecture, c.batch, test::values::bits, 3);
    engine->reserve({.batch = c.batch, .slots = {c.batch}, .storage = row_storage::bits});
    engine->load(0, 0, matrix_view<const float>(x.data(), c.batch, d));
    engine->set_parameters(test::network_parameters(layout, 7));
    const auto records = engine->train(
        {.precision = c.precision}, {.window_rows = c.batch, .batch = c.batch, .steps = std::vector<step_schedule>(1)});
    ASSERT_EQ(records.size(), 1u);
}

/// What is done once before the steps.
bool before_steps(const std::string& name) {
    return name.find("::store<") != std::string::npos || name.find("::round_all") != std::string::npos;
}

struct step_sums {
    double launches = 0, flop = 0, bytes = 0;
};

step_sums predicted(const predicted_step& c) {
    step_sums sum;
    for (const kernel_work& w : bench::step_kernels(make_layout(c.architecture), {c.batch, 1, c.precision})) {
        if (w.library)
            continue;
        sum.launches += w.launches;
        sum.flop += w.flop;
        sum.bytes += w.bytes;
    }
    return sum;
}

step_sums counted(const char* name) {
    step_sums sum;
    for (const auto& kernel : test::count_elsewhere(one_case, case_variable, name)) {
        if (before_steps(kernel["name"]))
            continue;
        sum.launches += kernel["launches"].get<double>();
        sum.bytes += kernel["distinct_read_bytes"].get<double>() + kernel["distinct_write_bytes"].get<double>();
        for (const auto& [unit, operations] : kernel["flops"].items())
            sum.flop += unit.starts_with("tensor") ? operations.get<double>() : 0;
    }
    return sum;
}

/// Bytes are those of sectors of 32, with biases, random numbers and terms of rows that the formulas leave out.
void expect_counts(const char* name) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const step_sums formula = predicted(named(name)), found = counted(name);
    std::printf("%s: launches %.0f of %.0f predicted, FLOP %.4f, bytes %.3f of those predicted\n", name, found.launches,
                formula.launches, found.flop / formula.flop, found.bytes / formula.bytes);
    EXPECT_EQ(found.launches, formula.launches);
    EXPECT_EQ(found.flop, formula.flop);
    EXPECT_NEAR(found.bytes / formula.bytes, 1, 0.25);
}

TEST(CudaVaePrediction, Bfloat16) {
    expect_counts("bfloat16");
}
TEST(CudaVaePrediction, Tf32) {
    expect_counts("tf32");
}
TEST(CudaVaePrediction, Float32) {
    expect_counts("float32");
}
TEST(CudaVaePrediction, ShardsOfALargeBatch) {
    expect_counts("shards");
}
TEST(CudaVaePrediction, LayersOfTheLibrary) {
    expect_counts("library");
}

} // namespace
} // namespace elbo
