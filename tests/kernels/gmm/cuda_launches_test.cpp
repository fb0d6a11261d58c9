// Kernels of an iteration of the loop: counted by the emulator as what ten more iterations add to those of a run. The
// counters are written when a process ends, so each run is in a process of its own.
#include "bench/mixture/prediction.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

struct counted_loop {
    gmm_shape shape;
    std::int64_t rows;
    double launches; ///< of an iteration
};

constexpr counted_loop cases[] = {
    {{family::full, 2, 2}, 272, 0},      // all iterations of a slice in a kernel
    {{family::diagonal, 4, 8}, 4096, 0}, //
    {{family::full, 2, 8}, 9000, 2},     // E-step, M-step in one block
    {{family::spherical, 7, 3}, 300, 2}, //
    {{family::tied, 4, 3}, 300, 2},      // all steps of a tied update in one block
    {{family::full, 8, 40}, 100, 2},     // M-step: several blocks, of which the last one to arrive decides
    {{family::diagonal, 33, 6}, 300, 2}, // a block a component
    {{family::tied, 8, 40}, 300, 4},     // E-step, means, common covariance, model
    {{family::tied_spherical, 40, 3}, 300, 4},
};

constexpr const char* case_variable = "ELBO_LAUNCHES_CASE"; ///< number of the case, iterations

/// Runs a case for some iterations.
void run(const counted_loop& c, std::int64_t iterations) {
    const auto engine = make_gmm_engine(context::cuda(), c.shape, element_type::float32);
    const std::int64_t d = c.shape.dimensions;
    const std::vector<double> x = test::clustered(c.rows, d, c.shape.components, 2.0, 6);
    engine->reserve(c.rows, false);
    engine->load({matrix_view<const double>(x.data(), c.rows, d), {}, 1}, test::identity_frame(d), 0);
    engine->set_parameters(test::random_parameters(c.shape, 1.0, 4));
    loop_options options;
    options.max_iterations = iterations;
    options.component_bound = options.scalar_bound = 0x1p40;
    options.rule.total_weight = static_cast<double>(c.rows);
    options.rule.lambda.assign(d, 1e-3);
    if (gmm::is_tied(c.shape.family)) {
        fixed_sums scatter(scatter_size(c.shape), 0x1p40);
        engine->accumulate_scatter(0, c.rows, scatter);
        options.rule.scatter = scatter.values();
    }
    ASSERT_EQ(engine->run(c.rows, options)->end.iterations, iterations);
}

TEST(CudaLaunches, DISABLED_OneCase) {
    std::istringstream value(std::getenv(case_variable));
    std::size_t number = 0;
    std::int64_t iterations = 0;
    value >> number >> iterations;
    run(cases[number], iterations);
}

nlohmann::json count(std::size_t number, std::int64_t iterations) {
    return test::count_elsewhere("CudaLaunches.DISABLED_OneCase", case_variable,
                                 std::to_string(number) + " " + std::to_string(iterations));
}
double launches(std::size_t number, std::int64_t iterations) {
    return test::sum_counters(count(number, iterations), "").launches;
}

TEST(CudaLaunches, OfAnIteration) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (std::size_t i = 0; i < std::size(cases); ++i) {
        SCOPED_TRACE(std::string(gmm::to_string(cases[i].shape.family)) + " " +
                     std::to_string(cases[i].shape.dimensions));
        EXPECT_EQ(launches(i, 12) - launches(i, 2), 10 * cases[i].launches);
    }
}

TEST(CudaLaunches, InstructionsOfAnIterationOfFewRows) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const auto longest = [](std::int64_t iterations) {
        return test::sum_counters(count(0, iterations), "iterate_registers").longest_warp;
    };
    const double each = (longest(12) - longest(2)) / 10;
    EXPECT_NEAR(each, bench::lone_instructions, 0.03 * bench::lone_instructions);
}

} // namespace
} // namespace elbo
