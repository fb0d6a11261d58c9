// What only the CUDA engine of variational autoencoders has: sums in shards, chunks and tiles of draws in evaluation,
// device memory in and out, and copies of the weights in bfloat16.
#include "elbo/buffer.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using test::vae_case;
using test::vae_matrix;

std::unique_ptr<vae_engine> engine_with_parameters(const context& ctx, const vae_layout& layout) {
    auto engine = make_vae_engine(ctx, layout);
    engine->set_parameters(test::network_parameters(layout, 7));
    return engine;
}

std::vector<float> to_host(const context& ctx, const buffer<float>& from) {
    std::vector<float> result(from.size());
    copy(ctx, from.view(1, from.size()), matrix_view<float>(result.data(), 1, from.size()));
    ctx.wait(); // the host reads them
    return result;
}

TEST(CudaVaeEngine, ShardsOfLargeBatches) {
    // 1, 2, 4 and 8 shards, where the decoder has three rows for each of the encoder's.
    for (std::int64_t rows : {341, 342, 700, 1400})
        for (vae::gaussian_scale scale : {vae::gaussian_scale::learned_per_dimension, vae::gaussian_scale::optimal}) {
            const vae_case c{.architecture =
                                 test::make_architecture(5, 2, {3}, vae::activation::tanh, test::gaussian(scale)),
                             .rows = rows,
                             .settings = {.samples = 3, .seed = 11}};
            const vae_layout layout = make_layout(c.architecture);
            const auto engine = make_vae_engine(context::cuda(), layout);
            engine->reserve({.batch = rows, .samples = 3});
            const vae_matrix x(c);
            test::expect_matches_reference(*engine, test::network_parameters(layout, 7), 0x1p-24, [&](vae_engine& e) {
                return test::observe_gradient(e, c, x.given(c.first_row));
            });
        }
}

TEST(CudaVaeEngine, EvaluationInChunks) {
    // More rows than a chunk has, and more draws than a tile of pairs has for them.
    const vae_case c{.architecture = test::make_architecture(4, 2, {3}, vae::activation::tanh),
                     .rows = 1100,
                     .settings = {.samples = 6}};
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(context::cuda(), layout);
    const vae_matrix x(c);
    test::expect_matches_reference(*engine, test::network_parameters(layout, 7), 0x1p-24,
                                   [&](vae_engine& e) { return test::observe_evaluation(e, c, x.given(c.first_row)); });
}

TEST(CudaVaeEngine, DeviceMemoryInAndOut) {
    const std::int64_t rows = 20, d = 9, latent = 3;
    const vae_case c{.architecture = test::make_architecture(d, latent, {6}, vae::activation::relu), .rows = rows};
    const context ctx = context::cuda();
    const auto engine = engine_with_parameters(ctx, make_layout(c.architecture));
    const auto values = test::network_rows(c.architecture, rows, test::values::bytes, 4);
    buffer<float> x(ctx, rows * d), mean(ctx, rows * latent), log_variance(ctx, rows * latent), out(ctx, rows * d);
    const matrix_view<const float> host(values.data(), rows, d);
    copy(ctx, host, x);
    const matrix_view<const float> device(x.data(), rows, d, memory_space::device);

    std::vector<float> want_mean(rows * latent), want_log_variance(rows * latent), want_out(rows * d);
    engine->encode({host, 0, 0, rows, 0}, {want_mean.data(), rows, latent}, {want_log_variance.data(), rows, latent});
    engine->decode(matrix_view<const float>(want_mean.data(), rows, latent), {want_out.data(), rows, d});
    engine->encode({device, 0, 0, rows, 0}, {mean.data(), rows, latent, memory_space::device},
                   {log_variance.data(), rows, latent, memory_space::device});
    engine->decode(matrix_view<const float>(mean.data(), rows, latent, memory_space::device),
                   {out.data(), rows, d, memory_space::device});
    EXPECT_EQ(to_host(ctx, mean), want_mean);
    EXPECT_EQ(to_host(ctx, log_variance), want_log_variance);
    EXPECT_EQ(to_host(ctx, out), want_out);
    EXPECT_EQ(engine->inspect(device).column_sums, engine->inspect(host).column_sums);
}

TEST(CudaVaeEngine, RoundedWeightsFollowTheParameters) {
    // Steps in float32 between steps in bfloat16: those take the weights as they are by then.
    const vae_case c{.architecture = test::make_architecture(9, 3, {6}, vae::activation::tanh), .rows = 16};
    const vae_layout layout = make_layout(c.architecture);
    const vae_matrix x(c);
    const auto moved = engine_with_parameters(context::cuda(), layout);
    const auto fresh = engine_with_parameters(context::cuda(), layout);
    moved->reserve({.batch = 16});
    fresh->reserve({.batch = 16});
    vae_settings s{.seed = 1};
    for (vae::training_precision precision : {vae::training_precision::bfloat16, vae::training_precision::float32}) {
        s.precision = precision;
        moved->train_on(s, {0.1, 1}, 0, x.given(0));
    }
    fresh->set_parameters(moved->parameters());
    fresh->set_optimizer(moved->optimizer());
    s.precision = vae::training_precision::bfloat16;
    for (std::int64_t epoch : {1, 2}) { // the second takes what the first has rounded
        const step_record want = fresh->train_on(s, {0.1, 1}, epoch, x.given(0));
        EXPECT_EQ(moved->train_on(s, {0.1, 1}, epoch, x.given(0)).objective, want.objective);
        EXPECT_EQ(moved->parameters(), fresh->parameters());
    }
    // What the optimiser rounded is what rounding gives.
    const auto again = engine_with_parameters(context::cuda(), layout);
    again->reserve({.batch = 16});
    again->set_parameters(moved->parameters());
    std::vector<double> got, want;
    moved->gradient(s, 1, 3, x.given(0), got);
    again->gradient(s, 1, 3, x.given(0), want);
    EXPECT_EQ(got, want);
}

} // namespace
} // namespace elbo
