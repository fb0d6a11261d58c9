// Rows of the host on their way to the device: pieces, memory spaces, and a file that is larger than the memory given.
#include "elbo/gmm/fit.hpp"
#include "kernels/cuda/core/check.hpp"
#include "kernels/cuda/gmm/rows/staging.hpp"
#include "tests/support/data.hpp"
#include "tests/support/device_memory.hpp"
#include "tests/support/io_files.hpp"

#include <gtest/gtest.h>

#include <cuda_runtime.h>

namespace elbo {
namespace {

using namespace kernels;

/// rows x cols numbers 0, 1, 2, ... `stride` apart in one of the spaces of the host.
struct counted_rows {
    std::vector<double> values;
    any_matrix_view view;
    counted_rows(std::int64_t rows, std::int64_t cols, std::int64_t stride) : values(rows * stride, -1) {
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < cols; ++j)
                values[i * stride + j] = static_cast<double>(i * cols + j);
        view = matrix_view<const double>(values.data(), rows, cols, stride, memory_space::host);
    }
};

/// What arrives on the device, piece by piece. The device is not waited for before the end, and the rows of the caller
/// are spoilt as soon as they have been taken.
std::vector<double> through(cuda::staging& way, const context& ctx, counted_rows& x, std::int64_t& pieces) {
    const std::int64_t cols = x.view.cols;
    std::vector<double> arrived(x.view.rows * cols);
    const cuda::device_buffer<double> all(ctx.state().cuda, "what arrives", static_cast<std::int64_t>(arrived.size()));
    way.for_each_piece({x.view, {}, 1}, [&](const cuda::device_input& piece, std::int64_t first) {
        EXPECT_EQ(piece.x.space, memory_space::device);
        EXPECT_EQ(first % unit_rows, 0);
        cuda::check(cudaMemcpyAsync(all.data() + first * cols, piece.x.data, piece.x.rows * cols * sizeof(double),
                                    cudaMemcpyDeviceToDevice, ctx.state().cuda->stream),
                    "cudaMemcpyAsync");
        ++pieces;
    });
    std::ranges::fill(x.values, std::nan(""));
    ctx.wait();
    cuda::check(cudaMemcpy(arrived.data(), all.data(), arrived.size() * sizeof(double), cudaMemcpyDefault),
                "cudaMemcpy");
    return arrived;
}

std::vector<double> counted(std::int64_t size) {
    std::vector<double> values(size);
    for (std::int64_t i = 0; i < size; ++i)
        values[i] = static_cast<double>(i);
    return values;
}

TEST(CudaStaging, RowsArriveWhateverTheirMemoryAndMayChangeAtOnce) {
    const context ctx = context::cuda();
    const std::int64_t cols = 300; // a unit is 9.8 MB: one a piece
    const std::int64_t rows = 3 * unit_rows + 17;
    for (std::int64_t unpinned : {std::int64_t(0), cuda::staging::unpinned_bytes})
        for (std::int64_t stride : {cols, cols + 3}) {
            SCOPED_TRACE("unpinned " + std::to_string(unpinned) + ", stride " + std::to_string(stride));
            cuda::staging way(ctx.state().cuda, cols, unpinned);
            for (int pass = 0; pass < 2; ++pass) { // the buffers are used again
                counted_rows x(rows, cols, stride);
                std::int64_t pieces = 0;
                EXPECT_EQ(through(way, ctx, x, pieces), counted(rows * cols));
                EXPECT_EQ(pieces, 4);
            }
        }
}

TEST(CudaStaging, PinnedRowsAreCopiedDirectly) {
    const context ctx = context::cuda();
    const std::int64_t rows = 5000, cols = 3;
    counted_rows x(rows, cols, cols);
    const cuda::pinned_buffer<double> pinned(*ctx.state().cuda, "test", rows * cols);
    std::ranges::copy(x.values, pinned.data());
    x.view = matrix_view<const double>(pinned.data(), rows, cols, memory_space::pinned);
    cuda::staging way(ctx.state().cuda, cols, 0);
    std::int64_t pieces = 0;
    EXPECT_EQ(through(way, ctx, x, pieces), counted(rows * cols));
    EXPECT_EQ(pieces, 1);
}

TEST(CudaStaging, FewerColumnsThanItWasMadeForFit) {
    const context ctx = context::cuda();
    cuda::staging way(ctx.state().cuda, 300, 0);
    for (std::int64_t cols : {1, 7, 299}) {
        counted_rows x(2 * unit_rows + 1, cols, cols);
        std::int64_t pieces = 0;
        EXPECT_EQ(through(way, ctx, x, pieces), counted(x.view.rows * cols));
    }
}

void expect_same_fit(const gmm::fit_result& a, const gmm::fit_result& b) {
    EXPECT_EQ(a.model, b.model);
    EXPECT_EQ(a.log_likelihood, b.log_likelihood);
    ASSERT_EQ(a.trace.size(), b.trace.size());
    for (std::size_t t = 0; t < a.trace.size(); ++t)
        EXPECT_EQ(a.trace[t].elbo_after_m_step, b.trace[t].elbo_after_m_step);
}

TEST(CudaStreaming, AFileLargerThanTheMemoryGivesTheBitsOfTheResidentFit) {
    const std::int64_t cols = 60, rows = 9 * unit_rows + 100; // 9 MB
    const std::vector<float> x = test::as<float>(test::clustered(rows, cols, 2, 3.0, 5));
    const test::temporary_folder folder;
    const std::string path = folder.path("rows.f32");
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float));
    const data_source mapped = data_source::file(path, {.dimensions = cols});
    std::int64_t calls = 0;
    const data_source generated =
        data_source::generator(rows, cols, [&](std::int64_t first, std::int64_t count, float* out) {
            std::copy_n(x.begin() + first * cols, count * cols, out);
            ++calls;
        });

    const context ctx = context::cuda();
    gmm::fit_options options{.components = 2, .shape = gmm::family::diagonal, .start = gmm::start_method::samples};
    options.max_iterations = 3;
    const gmm::memory_plan whole = plan_memory(ctx, mapped, options);
    const gmm::fit_result resident = fit(ctx, mapped, options);

    const std::int64_t unit = unit_rows * cols * static_cast<std::int64_t>(sizeof(float));
    options.memory_limit = whole.peak - 6 * unit; // room for three units
    const gmm::memory_plan part = plan_memory(ctx, mapped, options);
    EXPECT_FALSE(whole.streamed);
    EXPECT_TRUE(part.streamed);
    EXPECT_LE(part.peak, options.memory_limit);
    EXPECT_GE(part.normalized, unit); // of more than one unit, but not of all
    EXPECT_LT(part.normalized, 4 * unit);
    for (const data_source& data : {mapped, generated}) {
        SCOPED_TRACE(data.description());
        std::optional<gmm::fit_result> streamed;
        const std::int64_t peak = test::peak_of(ctx, [&] { streamed = fit(ctx, data, options); });
        EXPECT_LE(peak, options.memory_limit + test::pool_rounding);
        expect_same_fit(*streamed, resident);
    }
    EXPECT_GE(calls, 3 * 3); // each iteration has read the generator anew
}

} // namespace
} // namespace elbo
