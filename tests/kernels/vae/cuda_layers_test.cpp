// Layers on the device in every tile, precision and split of the rows, against the reference; numbers of any size.
#include "kernels/cuda/vae/layer/shapes.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using test::vae_case;
using test::vae_matrix;
using vae::activation;
using vae::training_precision;

constexpr training_precision all_precisions[] = {training_precision::float32, training_precision::tf32,
                                                 training_precision::bfloat16};

void check_gradient(const vae_case& c) {
    SCOPED_TRACE(test::describe(c));
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(context::cuda(), layout);
    engine->reserve({.batch = c.rows, .samples = c.settings.samples});
    const vae_matrix x(c);
    test::expect_matches_reference(*engine, test::network_parameters(layout, 7),
                                   test::factor_roundoff(c.settings.precision),
                                   [&](vae_engine& e) { return test::observe_gradient(e, c, x.given(c.first_row)); });
}

TEST(CudaVaeLayers, EdgesOfTilesInEveryPrecision) {
    // Widths and batches beside those of tiles and of the steps of matrix instructions, one to four layers.
    struct shape {
        std::int64_t rows, d;
        std::vector<std::int64_t> hidden;
        std::int64_t latent, samples;
    };
    const shape shapes[] = {{1, 17, {8}, 1, 1},
                            {31, 8, {17, 1}, 2, 1},
                            {32, 50, {50, 8, 17}, 8, 1},
                            {33, 33, {16}, 17, 2},
                            {100, 65, {33, 32, 15, 17}, 3, 1},
                            {129, 24, {9}, 50, 1},
                            {8, 257, {200}, 4, 3}};
    for (training_precision precision : all_precisions) {
        std::size_t turn = 0;
        for (const shape& s : shapes) {
            check_gradient(
                {.architecture = test::make_architecture(s.d, s.latent, s.hidden, test::all_activations[turn++ % 6]),
                 .rows = s.rows,
                 .settings = {.samples = s.samples, .seed = 11, .precision = precision}});
            if (HasFailure())
                return;
        }
    }
}

TEST(CudaVaeLayers, EveryTile) {
    // Narrow networks with so many rows that each of the tiles is chosen, and gradients of weights a block a shard.
    using namespace kernels::cuda;
    std::vector<std::size_t> seen(layer_tiles.size(), 0);
    std::size_t turn = 0;
    for (std::int64_t rows : {100, 3100, 6150, 12300}) {
        seen[choose_tile(layer_tiles, rows, 9)] += 1;
        for (training_precision precision : all_precisions) {
            check_gradient({.architecture = test::make_architecture(9, 2, {5}, test::all_activations[turn++ % 6]),
                            .rows = rows,
                            .settings = {.seed = 11, .precision = precision},
                            .kind = test::values::bits});
            if (HasFailure())
                return;
        }
    }
    EXPECT_EQ(seen, std::vector<std::size_t>(layer_tiles.size(), 1));
}

TEST(CudaVaeLayers, NumbersOfAnySize) {
    // Counts of a million, and gradients of 1e-12 of the terms: what float32 products keep has no scale.
    for (double scale : {1e6, 1e-12}) {
        vae_case c{.architecture = test::make_architecture(20, 3, {33}, activation::relu,
                                                           test::gaussian(vae::gaussian_scale::fixed)),
                   .rows = 40,
                   .settings = {.seed = 11}};
        const vae_layout layout = make_layout(c.architecture);
        vae_matrix x(c);
        auto p = test::network_parameters(layout, 7);
        // Rows of that size, first weights of its inverse, last weights and biases of the size.
        for (float& v : x.x32)
            v *= static_cast<float>(scale);
        x.x64.assign(x.x32.begin(), x.x32.end());
        const dense_layer &first = layout.encoder.front(), &last = layout.decoder.back();
        for (std::int64_t i = first.weights; i < first.bias; ++i)
            p[i] = static_cast<float>(p[i] / scale);
        for (std::int64_t i = last.weights; i < last.bias + last.outputs; ++i)
            p[i] = static_cast<float>(p[i] * scale);
        const auto engine = make_vae_engine(context::cuda(), layout);
        engine->reserve({.batch = c.rows});
        test::expect_matches_reference(
            *engine, p, 0x1p-24, [&](vae_engine& e) { return test::observe_gradient(e, c, x.given(c.first_row)); });
    }
}

} // namespace
} // namespace elbo
