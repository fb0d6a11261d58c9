// What a training step costs on the device, counted by the emulator: kernels, memory traffic and matrix instructions,
// against the formulas of docs/kernels.md section 7. Each case runs in a process of its own
// (support/emulator_counters.hpp).
#include "kernels/contract/vae_engine.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace elbo {
namespace {

using namespace kernels;

struct counted_step {
    const char* name;
    vae::architecture architecture;
    std::int64_t batch, steps;
    vae::training_precision precision;
};

/// With logarithms of the rows and their sums.
vae::architecture of_counts(vae::likelihood_family family) {
    vae::likelihood form;
    form.family = family;
    form.library_size = true;
    return test::make_architecture(1024, 8, {32}, vae::activation::tanh, form);
}

// 784-200-200-(50)-200-200-784, one whose step takes milliseconds, and two in whole tiles.
const counted_step cases[] = {
    {"large", test::make_architecture(784, 50, {200, 200}, vae::activation::tanh), 128, 1,
     vae::training_precision::bfloat16},
    {"small", test::make_architecture(40, 5, {17, 30}, vae::activation::tanh), 12, 3, vae::training_precision::float32},
    {"poisson", of_counts(vae::likelihood_family::poisson), 64, 1, vae::training_precision::float32},
    {"negative_binomial", of_counts(vae::likelihood_family::negative_binomial), 64, 1,
     vae::training_precision::float32},
};

const counted_step& named(const std::string& name) {
    for (const counted_step& c : cases)
        if (name == c.name)
            return c;
    throw std::out_of_range("no case " + name);
}

constexpr const char* one_case = "CudaVaeCounters.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

TEST(CudaVaeCounters, DISABLED_OneCase) {
    const counted_step& c = named(std::getenv(case_variable));
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(context::cuda(), layout);
    const std::int64_t d = c.architecture.dimensions, rows = c.batch * c.steps;
    const auto x = test::network_rows(c.architecture, rows, test::values::bits, 3);
    const bool bits = c.architecture.likelihood.family == vae::likelihood_family::bernoulli;
    engine->reserve({.batch = c.batch, .slots = {rows}, .storage = bits ? row_storage::bits : row_storage::float32});
    engine->load(0, 0, matrix_view<const float>(x.data(), rows, d));
    engine->set_parameters(test::network_parameters(layout, 7));
    const auto records =
        engine->train({.precision = c.precision},
                      {.window_rows = rows, .batch = c.batch, .steps = std::vector<step_schedule>(c.steps)});
    ASSERT_EQ(static_cast<std::int64_t>(records.size()), c.steps);
}

nlohmann::json count(const char* name) {
    return test::count_elsewhere(one_case, case_variable, name);
}

/// Parameters, and multiplications of the forward pass for a row.
struct sizes {
    double parameters = 0, products = 0, activations = 0;
    double places = 0; ///< of parameters on the device, where rows of weights are longer
};

sizes sizes_of(const vae_layout& layout) {
    sizes s;
    s.parameters = static_cast<double>(layout.parameters);
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const dense_layer& layer : *layers) {
            s.products += static_cast<double>(layer.inputs * layer.outputs);
            s.activations += static_cast<double>(layer.outputs);
            s.places += static_cast<double>((layer.inputs + 1) * ((layer.outputs + 8) / 8 * 8));
        }
    return s;
}

TEST(CudaVaeCounters, FifteenKernelsAStep) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    // Everything but the storing of rows before the steps runs once a step.
    double launches = 0;
    for (const auto& kernel : count("small"))
        if (kernel["name"].get<std::string>().find("::store<") == std::string::npos)
            launches += kernel["launches"].get<double>();
    EXPECT_EQ(launches, 15.0 * static_cast<double>(named("small").steps));
}

TEST(CudaVaeCounters, KernelsBeginBeforeTheOneAheadEnds) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const auto all = count("poisson");
    for (const char* kernel : {"::gather", "::draw", "::finish"}) {
        const test::counter_sums c = test::sum_counters(all, kernel);
        EXPECT_EQ(c.dependent_launches, c.launches) << kernel;
    }
}

TEST(CudaVaeCounters, StepOfTheLargeNetwork) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const counted_step& c = named("large");
    const vae_layout layout = make_layout(c.architecture);
    const sizes s = sizes_of(layout);
    const auto all = count("large");
    const auto batch = static_cast<double>(c.batch);

    // Parameter, moments and gradient are read, parameter, moments and the rounded parameter written.
    const test::counter_sums finish = test::sum_counters(all, "::finish");
    EXPECT_NEAR(finish.read + finish.written, 30 * s.places, 0.02 * 30 * s.places);

    double bytes = 0, matrix_operations = 0;
    for (const auto& kernel : all) {
        const std::string name = kernel["name"];
        if (name.find("::store<") != std::string::npos || name.find("::round_all") != std::string::npos)
            continue;
        bytes += kernel["distinct_read_bytes"].get<double>() + kernel["distinct_write_bytes"].get<double>();
        for (const auto& [unit, operations] : kernel["flops"].items())
            if (unit.rfind("tensor", 0) == 0)
                matrix_operations += operations.get<double>();
    }
    // Rounded weights forward and backward (2 B each), gradients (4 B), the optimiser; each activation and each
    // gradient of one is bfloat16: written once and read twice, but for the gradient of the outputs and the rows of
    // data, which are kept as float32 for the likelihood, too.
    const double weights = 2 * 2 * s.products + 34 * s.places;
    const double activations = 2 * batch * (6 * s.activations + 7 * static_cast<double>(c.architecture.dimensions));
    EXPECT_LE(bytes, 1.1 * (weights + activations));
    // Forward, data and weight gradients; the input has no gradient. Fragments of 16 x 8 x 16 go over the edges.
    const double needed = batch * c.architecture.training_flops_per_sample();
    EXPECT_GE(matrix_operations, needed);
    EXPECT_LE(matrix_operations, 1.12 * needed);
    // No bank conflicts in the loops over the depth, a few where sums are put together.
    for (const char* name : {"::forward<", "::backward<", "::gradients<", "::output<"}) {
        const test::counter_sums c = test::sum_counters(all, name);
        EXPECT_LE(c.conflicts, 0.07 * c.wavefronts) << name;
    }
    std::printf("%.1f MB of %.1f, %.3f of the needed matrix operations\n", bytes / 1e6, (weights + activations) / 1e6,
                matrix_operations / needed);
}

/// The numbers that the heads of gather and of output (forward.cu) state.
void expect_cost_of_counts(const char* name, double terms, double gradients) {
    const counted_step& c = named(name);
    const auto all = count(name);
    const double columns = 1024, depth = 32, numbers = static_cast<double>(c.batch) * columns;

    const test::counter_sums gather = test::sum_counters(all, "::gather");
    EXPECT_LE(gather.read, 1.02 * 4 * numbers);
    EXPECT_LE(gather.written, 1.02 * 8 * numbers);
    EXPECT_LE(gather.instructions, 1.02 * 105 * numbers);

    // Of 32 columns two sums in float64; the gradient has eight columns of zeros.
    const test::counter_sums output = test::sum_counters(all, "::output<");
    EXPECT_LE(output.read, 1.05 * (4 * numbers + 4 * (depth + gradients) * columns + 4 * depth * numbers / columns));
    EXPECT_LE(output.written, 1.02 * (4 * gradients + 16.0 / 32 + 32 / columns) * numbers);
    EXPECT_LE(output.instructions, 1.02 * (depth + terms) * numbers);
    std::printf("%s: %.1f and %.1f lane instructions a number\n", name, gather.instructions / numbers,
                output.instructions / numbers - depth);
}

TEST(CudaVaeCounters, CountsCostTheirTerms) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    expect_cost_of_counts("poisson", 408, 1);
    expect_cost_of_counts("negative_binomial", 955, 2); // and ln θ of each column, with its gradient
}

TEST(CudaVaeCounters, NoRacesOnGlobalMemory) {
    if (!test::emulated())
        GTEST_SKIP() << "the race check is that of the emulator";
    EXPECT_EQ(test::run_elsewhere(one_case, case_variable, "small",
                                  "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1"),
              0);
}

} // namespace
} // namespace elbo
