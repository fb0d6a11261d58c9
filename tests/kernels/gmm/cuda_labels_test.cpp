// Labels in the CUDA engine: grids, memory spaces, memory accounts, and the shapes of the slab variant. Small shapes
// are checked with those of the other back ends (backends_engine_labels_test.cpp).
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/device_memory.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/labels.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::knowledge;
using test::label_kind;
using test::labelled_rows;

std::vector<std::int64_t> sums_of(gmm_engine& engine, std::int64_t rows) {
    engine.set_parameters(test::random_parameters(engine.shape, 1.0, 21));
    engine.clear_sums(0x1p40, 0x1p60);
    engine.accumulate(0, rows);
    return test::carried(engine.sums());
}

TEST(CudaLabels, ShapesOfTheRegisterEngineAreFused) {
    for (family f : {family::full, family::diagonal, family::spherical}) {
        const gmm_shape shape{f, 2, 3};
        EXPECT_EQ(cuda::choose_variant(shape, 4), cuda::e_step_variant::registers);
        EXPECT_EQ(cuda::choose_variant(shape, 4, true), cuda::e_step_variant::fused);
        // Rows lie the same way, so that memory need not know.
        EXPECT_EQ(cuda::shape_fused(shape, 4).chunk_rows, cuda::chunk_rows(shape, 4, true));
    }
}

TEST(CudaLabels, GridChangesNoBit) {
    for (family f : {family::full, family::tied, family::tied_spherical})
        for (knowledge known : {knowledge::some_labels, knowledge::factors}) {
            const labelled_rows data({{f, 2, 3}, 5200, known, true, element_type::float32}); // six chunks of 1024
            std::vector<std::vector<std::int64_t>> sums;
            for (std::int64_t blocks : {1, 4, 132}) {
                const auto engine = make_gmm_engine(context::cuda(), data.c.shape, element_type::float32);
                dynamic_cast<cuda::cuda_engine_base&>(*engine).set_grid(blocks);
                test::load(*engine, data);
                sums.push_back(sums_of(*engine, data.c.rows));
            }
            EXPECT_EQ(sums[1], sums[0]) << gmm::to_string(f);
            EXPECT_EQ(sums[2], sums[0]) << gmm::to_string(f);
        }
}

TEST(CudaLabels, LargeShapesMatchReference) {
    using enum cuda::e_step_variant;
    for (const auto& [variant, shape] : {std::pair{fused, gmm_shape{family::full, 33, 60}}, // clusters
                                         {fused, {family::diagonal, 1, 800}},
                                         {fused, {family::tied, 64, 900}},
                                         {slab, {family::full, 33, 600}},
                                         {slab, {family::diagonal, 1, 20000}},
                                         {slab, {family::spherical, 1200, 40}}})
        for (knowledge known : {knowledge::some_labels, knowledge::factors})
            for (element_type type : {element_type::float32, element_type::float64}) {
                const labelled_rows data({shape, 37, known, true, type});
                SCOPED_TRACE(test::describe(data.c));
                ASSERT_EQ(cuda::choose_variant(shape, 4, true), variant);
                const auto engine = make_gmm_engine(context::cuda(), shape, type);
                dynamic_cast<cuda::cuda_engine_base&>(*engine).leave_tensor(); // cuda_tensor_test.cpp
                test::load(*engine, data);
                sums_of(*engine, data.c.rows);
                const auto want = test::reference_sums(shape, engine->parameters(), data.x64, data.weights,
                                                       type == element_type::float32 ? 0x1p-24 : 0x1p-53, data.known());
                const std::vector<double> got = engine->sums().values();
                for (std::size_t i = 0; i < got.size(); ++i)
                    ASSERT_LE(std::abs(got[i] - want.values[i]), want.bounds[i] + 1e-15) << "sum " << i;
                std::vector<double> joint(data.c.rows * shape.components);
                engine->infer(0, data.c.rows, {.log_joint = {joint.data(), data.c.rows, shape.components}});
                for (std::size_t i = 0; i < joint.size(); ++i)
                    ASSERT_EQ(std::isinf(joint[i]),
                              std::isinf(data.log_factor(static_cast<std::int64_t>(i) / shape.components,
                                                         static_cast<std::int64_t>(i) % shape.components)))
                        << i;
            }
}

TEST(CudaLabels, MemorySpacesTypesAndStridesGiveTheSameBits) {
    const context ctx = context::cuda();
    for (knowledge known : {knowledge::some_labels, knowledge::factors}) {
        const labelled_rows data({{family::diagonal, 3, 4}, 4500, known, false, element_type::float32});
        const std::int64_t rows = data.c.rows, columns = label_columns(test::kind_of(known), 4), stride = columns + 2;
        std::vector<double> spaced(rows * stride, 3);
        for (std::int64_t i = 0; i < rows * columns; ++i)
            spaced[i / columns * stride + i % columns] = data.labels[i];
        const cuda::device_buffer<double> on_device(ctx.state().cuda, "test", rows * stride);
        const cuda::pinned_buffer<float> pinned(*ctx.state().cuda, "test", rows * columns);
        ctx.wait();
        std::ranges::copy(data.labels, pinned.data());
        cuda::check(cudaMemcpy(on_device.data(), spaced.data(), spaced.size() * 8, cudaMemcpyHostToDevice),
                    "cudaMemcpy");
        std::vector<input_rows> inputs(4, data.input());
        inputs[1].labels = matrix_view<const double>(on_device.data(), rows, columns, stride, memory_space::device);
        inputs[2].labels = matrix_view<const float>(pinned.data(), rows, columns, memory_space::pinned);
        inputs[3].labels = matrix_view<const double>(spaced.data(), rows, columns, stride, memory_space::host);
        std::vector<std::vector<std::int64_t>> sums;
        for (const input_rows& in : inputs) {
            const auto engine = make_gmm_engine(ctx, data.c.shape, element_type::float32);
            engine->reserve(rows, false, test::kind_of(known));
            engine->load(in, test::identity_frame(3), 0);
            sums.push_back(sums_of(*engine, rows));
        }
        for (std::size_t i = 1; i < sums.size(); ++i)
            EXPECT_EQ(sums[i], sums[0]) << i;
    }
}

// A piece of the buffer for labels holds 2^20 numbers: 350 rows of 3000 factors are more.
TEST(CudaLabels, FactorsPassInPieces) {
    const labelled_rows data(
        {{family::tied_spherical, 1, 3000}, 360, knowledge::factors, false, element_type::float64});
    const auto engine = make_gmm_engine(context::cuda(), data.c.shape, element_type::float64);
    test::load(*engine, data);
    engine->set_parameters(test::random_parameters(data.c.shape, 1.0, 21));
    const auto p = reference::with_offsets(data.c.shape, engine->parameters());
    std::vector<double> joint(data.c.rows * 3000);
    engine->infer(0, data.c.rows, {.log_joint = {joint.data(), data.c.rows, 3000}});
    for (std::int64_t n : {0, 348, 349, 350, 359})
        for (std::int64_t k = 0; k < 3000; ++k) {
            const double log_factor = data.log_factor(n, k);
            const double want =
                p.offsets[k] + log_factor - reference::mahalanobis_squared(data.c.shape, p.values, k, &data.x64[n]) / 2;
            if (std::isinf(log_factor))
                ASSERT_EQ(joint[n * 3000 + k], log_factor);
            else // some ten roundings of numbers below 100
                ASSERT_NEAR(joint[n * 3000 + k], want, 1e-12) << n << ", " << k;
        }
}

TEST(CudaLabels, BytesNeededAreWhatIsAllocated) {
    for (label_kind kind : {label_kind::labels, label_kind::factors}) {
        const context ctx = context::cuda();
        const auto engine = make_gmm_engine(ctx, {family::full, 3, 5}, element_type::float32);
        const std::int64_t rows = 100000, own = engine->bytes_needed(0, true);
        const std::int64_t taken = test::peak_of(ctx, [&] { engine->reserve(rows, true, kind); });
        EXPECT_GE(taken, engine->bytes_needed(rows, true, kind) - own);
        EXPECT_LE(taken, engine->bytes_needed(rows, true, kind) - own + test::pool_rounding);
    }
}

} // namespace
} // namespace elbo
