// Inference on the device, by tiles and over a slab: results against the reference at sizes where tiles end, the same
// bits in memory of the host and of the device, and what it costs.
#include "bench/mixture/prediction.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

struct infer_case {
    gmm_shape shape;
    std::int64_t rows;
    std::int64_t tile; ///< rows of a tile in float32; 0: over a slab
};

struct infer_results {
    std::vector<double> density, r, joint;
    std::vector<std::int32_t> label;
    explicit infer_results(const infer_case& c)
        : density(c.rows), r(c.rows * c.shape.components), joint(r.size()), label(c.rows) {}
    bool operator==(const infer_results&) const = default;
};

std::unique_ptr<gmm_engine> loaded(const infer_case& c, const std::vector<float>& x) {
    auto engine = make_gmm_engine(context::cuda(), c.shape, element_type::float32);
    engine->reserve(c.rows, false);
    const auto rows = matrix_view<const float>(x.data(), c.rows, c.shape.dimensions);
    engine->load({rows, {}, 1}, test::identity_frame(c.shape.dimensions), 0);
    engine->set_parameters(test::random_parameters(c.shape, 1.0, 21));
    return engine;
}

std::vector<float> rows_of(const infer_case& c) {
    return test::as<float>(test::clustered(c.rows, c.shape.dimensions, 3, 1.0, 11));
}

void infer_on_host(gmm_engine& engine, const infer_case& c, infer_results& to) {
    const std::int64_t k = c.shape.components;
    engine.infer(0, c.rows,
                 {{to.density.data(), c.rows, 1},
                  {to.r.data(), c.rows, k},
                  {to.label.data(), c.rows, 1},
                  {to.joint.data(), c.rows, k},
                  0.25});
}

/// Into device memory, with strides.
void infer_on_device(gmm_engine& engine, const infer_case& c, infer_results& to) {
    const auto state = context::cuda().state().cuda;
    const std::int64_t k = c.shape.components, stride = k + 3;
    const cuda::device_buffer<double> density(state, "test", c.rows), r(state, "test", c.rows * stride),
        joint(state, "test", c.rows * stride);
    const cuda::device_buffer<std::int32_t> label(state, "test", c.rows);
    internal::wait_for(*state); // the memory is there
    const auto device = memory_space::device;
    engine.infer(0, c.rows,
                 {{density.data(), c.rows, 1, device},
                  {r.data(), c.rows, k, stride, device},
                  {label.data(), c.rows, 1, device},
                  {joint.data(), c.rows, k, stride, device},
                  0.25});
    const auto copy = [](auto& out, const auto& from, std::int64_t step, std::int64_t cols) {
        const std::size_t size = sizeof(out[0]);
        cuda::check(cudaMemcpy2D(out.data(), cols * size, from.data(), step * size, cols * size, out.size() / cols,
                                 cudaMemcpyDefault),
                    "cudaMemcpy2D");
    };
    copy(to.density, density, 1, 1), copy(to.label, label, 1, 1);
    copy(to.r, r, stride, k), copy(to.joint, joint, stride, k);
}

void check_results(const infer_case& c, const infer_results& got, const test::bounded_sums& want) {
    const std::int64_t k = c.shape.components;
    for (std::int64_t n = 0; n < c.rows; ++n) {
        ASSERT_NEAR(got.density[n], want.log_density[n] - 0.25, want.log_density_bound[n]) << "row " << n;
        for (std::int64_t i = n * k; i < (n + 1) * k; ++i)
            ASSERT_NEAR(got.r[i], want.responsibilities[i], want.responsibility_bound[i]) << i;
        const auto row = got.joint.begin() + n * k; // and the lower index at a tie
        ASSERT_EQ(got.label[n], std::max_element(row, row + k) - row) << "row " << n;
    }
}

TEST(CudaInfer, MatchesTheReferenceWhereTilesEnd) {
    for (const infer_case& c : {infer_case{{family::full, 2, 8}, 257, 256},
                                {{family::full, 1, 1}, 255, 256},
                                {{family::diagonal, 4, 17}, 300, 256},
                                {{family::tied, 17, 33}, 129, 128},
                                {{family::full, 33, 64}, 65, 64},
                                {{family::tied_diagonal, 64, 256}, 64, 64},
                                {{family::spherical, 300, 70}, 70, 64},
                                {{family::tied, 180, 3}, 63, 64},
                                {{family::tied, 200, 3}, 63, 0},
                                {{family::diagonal, 3, 375}, 65, 64},
                                {{family::diagonal, 3, 381}, 65, 0},
                                {{family::diagonal, 1001, 3}, 66, 0},
                                {{family::full, 2, 8}, 70000, 256}}) { // more than a slab has
        SCOPED_TRACE(
            fmt::format("{} {}x{}x{}", gmm::to_string(c.shape.family), c.rows, c.shape.dimensions, c.shape.components));
        EXPECT_EQ(cuda::shape_inference(c.shape, 4).tile_rows, c.tile);
        const std::vector<float> x = rows_of(c);
        const auto engine = loaded(c, x);
        infer_results on_host(c), on_device(c);
        infer_on_host(*engine, c, on_host);
        infer_on_device(*engine, c, on_device);
        EXPECT_TRUE(on_host == on_device);
        check_results(c, on_host,
                      test::reference_sums(c.shape, engine->parameters(), {x.begin(), x.end()}, {}, 0x1p-24));
    }
}

struct counted_case {
    infer_case c;
    bool assigns; ///< or gives densities
};
constexpr counted_case counted[] = {{{{family::full, 2, 8}, 8192, 256}, true},
                                    {{{family::full, 2, 8}, 8192, 256}, false},
                                    {{{family::diagonal, 16, 64}, 4096, 128}, true},
                                    {{{family::tied, 16, 64}, 4096, 64}, false}};
constexpr const char* variable = "ELBO_COUNTED_INFERENCE";

TEST(CudaInfer, DISABLED_OneCase) {
    const auto& [c, assigns] = counted[std::atoi(std::getenv(variable))];
    const auto engine = loaded(c, rows_of(c));
    const cuda::device_buffer<std::int32_t> label(context::cuda().state().cuda, "test", c.rows);
    const cuda::device_buffer<double> density(context::cuda().state().cuda, "test", c.rows);
    if (assigns)
        engine->infer(0, c.rows, {.assignment = {label.data(), c.rows, 1, memory_space::device}});
    else
        engine->infer(0, c.rows, {.log_density = {density.data(), c.rows, 1, memory_space::device}});
}

TEST(CudaInfer, ReadsRowsOnceAndWritesTheResultsAlone) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (int i = 0; i < static_cast<int>(std::size(counted)); ++i) {
        const auto& [c, assigns] = counted[i];
        const test::counter_sums got = test::sum_counters(
            test::count_elsewhere("CudaInfer.DISABLED_OneCase", variable, std::to_string(i)), "infer_tiles");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double p = static_cast<double>(cuda::padded(c.shape.dimensions));
        EXPECT_EQ(got.launches, 1);
        EXPECT_LE(got.read, 4 * (n * d + k * p * (c.shape.family == family::full ? p + 1 : 2) + k + p * p) + 1024);
        EXPECT_EQ(got.stored, (assigns ? 4 : 8) * n);
        const double per_pair = got.instructions / (n * k);
        std::printf("%dx%d: %.1f instructions a pair, %.0f%% of wavefronts from conflicts\n", static_cast<int>(d),
                    static_cast<int>(k), per_pair, 100 * got.conflicts / got.wavefronts);
        EXPECT_LE(per_pair, 1.1 * bench::tile_instructions(c.shape, assigns));
        EXPECT_GE(per_pair, 0.6 * bench::tile_instructions(c.shape, assigns));
    }
}

} // namespace
} // namespace elbo
