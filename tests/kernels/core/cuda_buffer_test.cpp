// Buffers, contexts on a caller's stream and the launch shapes.
#include "elbo/buffer.hpp"
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/interop.hpp"
#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

TEST(Buffer, CopiesThereAndBackOnEveryBackEnd) {
    for (const context& ctx : {context::cpu(1), context::cuda()}) {
        const std::vector<float> from = {1, 2, 9, 3, 4, 9, 5, 6, 9}; // 3 x 2 with a stride of 3
        buffer<float> there(ctx, 6);
        copy<float>(ctx, matrix_view<const float>(from.data(), 3, 2, 3, memory_space::host), there);
        std::vector<float> back(6);
        copy<float>(ctx, there.view(2, 3), matrix_view<float>(back.data(), 2, 3));
        ctx.wait();
        EXPECT_EQ(back, (std::vector<float>{1, 2, 3, 4, 5, 6}));
        EXPECT_EQ(there.space(), ctx.where() == backend::cuda ? memory_space::device : memory_space::host);
        buffer<float> moved = std::move(there);
        EXPECT_EQ(moved.size(), 6);
        EXPECT_EQ(there.size(), 0);
        EXPECT_THROW(moved.view(4, 2), invalid_argument);
        EXPECT_THROW(copy<float>(ctx, matrix_view<const float>(from.data(), 9, 1), moved), invalid_argument);
        EXPECT_THROW(buffer<float>(ctx, -1), invalid_argument);
        EXPECT_THROW(buffer<float>(ctx, std::int64_t(1) << 55), out_of_memory);
    }
}

TEST(Interop, FitsDeviceMemoryOnTheCallersStream) {
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
    {
        const context ctx = context_on_stream(stream);
        EXPECT_EQ(stream_of(ctx), stream);
        EXPECT_THROW(stream_of(context::cpu()), invalid_argument);
        EXPECT_THROW(context_on_stream(stream, 99), not_available);
        const std::int64_t rows = 300, d = 2;
        const std::vector<float> x = test::as<float>(test::clustered(rows, d, 2, 3.0, 8));
        buffer<float> device(ctx, rows * d);
        copy<float>(ctx, matrix_view<const float>(x.data(), rows, d), device);
        gmm::fit_options options;
        options.components = 2;
        options.max_iterations = 20;
        const gmm::fit_result on_device = gmm::fit(ctx, device_matrix(device.data(), rows, d), options);
        const gmm::fit_result on_host = gmm::fit(context::cuda(), matrix_view<const float>(x.data(), rows, d), options);
        EXPECT_EQ(on_device.model, on_host.model);
        EXPECT_EQ(on_device.log_likelihood, on_host.log_likelihood);
    }
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST(Tuning, ShapesAtTheEdges) {
    using namespace kernels;
    using namespace kernels::cuda;
    static_assert(blocks_for(0, 256) == 0 && blocks_for(1, 256) == 1 && blocks_for(256, 256) == 1);
    static_assert(blocks_for((std::int64_t(1) << 31) + 1, 256) == (1 << 23) + 1);
    static_assert(choose_variant({gmm::family::full, 4, 8}, 4) == e_step_variant::registers);
    static_assert(choose_variant({gmm::family::full, 4, 8}, 8) == e_step_variant::fused);
    static_assert(choose_variant({gmm::family::full, 1000, 1000}, 4) == e_step_variant::slab);
    for (std::int64_t d : {1, 2, 31, 32, 33, 513, 5000})
        for (std::int64_t k : {1, 2, 33, 1000, 100000})
            for (int f = 0; f < 6; ++f)
                for (std::int64_t element : {4, 8}) {
                    const gmm_shape s{static_cast<gmm::family>(f), d, k};
                    const fused_shape fused = shape_fused(s, element);
                    EXPECT_EQ(unit_rows % chunk_rows(s, element), 0);
                    EXPECT_EQ(tile_stride(d) % 8, 4); // an odd number of quads
                    EXPECT_GE(tile_stride(d), d);
                    EXPECT_LE(density_shared_bytes(s, element), 227 * 1024);
                    EXPECT_LE(factor_shared_bytes(d), 227 * 1024);
                    EXPECT_GE(slab_units(s, element), 1);
                    if (fused.tile_rows == 0)
                        continue;
                    EXPECT_LE(fused.shared_bytes, 227 * 1024);
                    EXPECT_EQ(fused.tile_rows % 16, 0); // whole micro-tiles, and the eight rows of a warp
                    EXPECT_EQ(fused.tile_rows % (4 * fused.row_split), 0);
                    EXPECT_LE(fused.ranks, most_ranks);
                    EXPECT_GE(fused.span * fused.ranks, k);
                    EXPECT_LT(fused.span * (fused.ranks - 1), k);                // no rank is empty
                    EXPECT_EQ(shape_fused(s, element, {.cluster = 1}).ranks, 1); // a device without clusters
                    EXPECT_EQ(fused.chunk_rows % fused.tile_rows, 0);
                }
}

} // namespace
} // namespace elbo
