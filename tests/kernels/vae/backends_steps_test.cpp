// Steps of the engines of variational autoencoders: every optimiser against its formulas, slices on resident rows
// against the reference, and steps that are not finite.
#include "kernels/math/vae_optimizer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using test::vae_case;
using test::vae_matrix;
using vae::activation;
using vae::gaussian_scale;

std::vector<vae::optimizer> all_optimizers() {
    using vae::optimizer_kind;
    return {{.kind = optimizer_kind::adam, .learning_rate = 0.01},
            {.kind = optimizer_kind::adam, .learning_rate = 0.01, .beta1 = 0.5, .epsilon = 1e-3, .clip_norm = 0.5},
            {.kind = optimizer_kind::adamw, .learning_rate = 0.01, .weight_decay = 0.1},
            {.kind = optimizer_kind::sgd, .learning_rate = 0.01},
            {.kind = optimizer_kind::sgd, .learning_rate = 0.01, .momentum = 0.5, .clip_norm = 0.5}};
}

/// Which parameters belong to weight matrices.
std::vector<bool> weight_mask(const vae_layout& layout) {
    std::vector<bool> mask(layout.parameters, false);
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const dense_layer& layer : *layers)
            std::fill(mask.begin() + layer.weights, mask.begin() + layer.bias, true);
    return mask;
}

TEST(VaeEngineSteps, StepsFollowTheirOwnGradient) {
    // A step is a formula of the gradient, the state and the parameters before it: at most 16 roundings of each part.
    const auto a = test::make_architecture(9, 3, {6}, activation::tanh, test::gaussian(gaussian_scale::learned));
    const vae_layout layout = make_layout(a);
    const std::vector<bool> is_weight = weight_mask(layout);
    const vae_case c{.architecture = a, .rows = 20};
    const vae_matrix x(c);
    const double u = 0x1p-24;
    for (const context& ctx : test::contexts_under_test())
        for (const vae::optimizer& optimizer : all_optimizers()) {
            SCOPED_TRACE(ctx.name() + " optimizer " + std::to_string(static_cast<int>(optimizer.kind)) + " clip " +
                         std::to_string(optimizer.clip_norm));
            const auto engine = make_vae_engine(ctx, layout);
            engine->reserve({.batch = 20, .samples = 2});
            engine->set_parameters(test::network_parameters(layout, 7));
            const vae_settings s{.samples = 2, .seed = 3, .optimizer = optimizer, .average_decay = 0.9};
            for (std::int64_t t = 0; t < 4; ++t) {
                const auto before = engine->parameters();
                optimizer_state state = engine->optimizer();
                EXPECT_EQ(state.steps, t);
                const std::vector<double> average = state.average.empty() ? before : state.average;
                std::vector<double> g;
                const step_record look = engine->gradient(s, 1, t, x.given(0), g);
                const double rate = 0.01 / static_cast<double>(t + 1);
                const step_record record = engine->train_on(s, {rate, 1}, t, x.given(0));
                EXPECT_EQ(record.objective, look.objective);
                const auto after = engine->parameters();
                const optimizer_state next = engine->optimizer();
                EXPECT_EQ(next.steps, t + 1);
                ASSERT_EQ(next.average.size(), after.size());
                const auto step = make_optimizer_step<double>(optimizer, rate, t,
                                                              clip_factor(look.gradient_norm, optimizer.clip_norm));
                for (std::int64_t i = 0; i < layout.parameters; ++i) {
                    const double m = std::abs(state.first_moment[i]) + std::abs(g[i]);
                    const double v = state.second_moment[i] + g[i] * g[i];
                    const double want =
                        optimize(step, g[i], is_weight[i], before[i], state.first_moment[i], state.second_moment[i]);
                    EXPECT_NEAR(next.first_moment[i], state.first_moment[i], 4 * u * m) << i;
                    EXPECT_NEAR(next.second_moment[i], state.second_moment[i], 6 * u * v + 1e-37) << i;
                    // The move of Adam is m/√v of its rate, at most 10 rates; the first moment may have cancelled.
                    const double root = std::sqrt(state.second_moment[i]) * step.root_scale + step.epsilon;
                    const double move = optimizer.kind == vae::optimizer_kind::sgd ? rate * m : step.rate * m / root;
                    ASSERT_NEAR(after[i], want, u * std::abs(want) + 16 * u * move) << i;
                    EXPECT_NEAR(next.average[i], 0.9 * average[i] + 0.1 * after[i],
                                4 * u * (std::abs(average[i]) + std::abs(after[i])));
                }
                if (HasFailure())
                    return;
            }
        }
}

TEST(VaeEngineSteps, SlicesMatchTheReference) {
    // Three epochs of steps on resident rows, in windows of other sizes; gradients carry over into parameters times the
    // rates, so that bounds of steps add up: compared with the reference and its moved parameters as one computation.
    for (const context& ctx : test::contexts_under_test())
        for (row_storage storage : {row_storage::bits, row_storage::bytes, row_storage::float32})
            for (bool binarize : {false, true}) {
                vae_case c{.architecture = test::make_architecture(9, 3, {6}, activation::softplus), .rows = 50};
                c.kind = storage == row_storage::bits    ? test::values::bits
                         : storage == row_storage::bytes ? test::values::bytes
                                                         : test::values::real;
                const vae_settings s{.samples = 2,
                                     .binarize = binarize,
                                     .seed = 6,
                                     .optimizer = {.kind = vae::optimizer_kind::sgd, .momentum = 0.5}};
                SCOPED_TRACE(ctx.name() + " storage " + std::to_string(static_cast<int>(storage)));
                const vae_layout layout = make_layout(c.architecture);
                const vae_matrix x(c);
                const auto engine = make_vae_engine(ctx, layout);
                test::expect_matches_reference(
                    *engine, test::network_parameters(layout, 7), 0x1p-24, [&](vae_engine& e) {
                        e.reserve({.batch = 8, .samples = 2, .slots = {50}, .storage = storage});
                        e.load(0, 0, x.view().slice(0, 20));
                        e.load(0, 20, x.view().slice(20, 30));
                        std::vector<test::observation> result;
                        for (std::int64_t epoch : {0, 1, 2}) {
                            const std::int64_t window_rows = 50 - 9 * epoch, steps = (window_rows + 7) / 8;
                            const auto records = e.train(s, {.epoch = epoch,
                                                             .window = 2 * epoch,
                                                             .window_rows = window_rows,
                                                             .first_row = 1000 * epoch,
                                                             .batch = 8,
                                                             .steps = std::vector<step_schedule>(steps, {0.05, 0.5})});
                            EXPECT_EQ(records.size(), static_cast<std::size_t>(steps));
                            for (const step_record& r : records)
                                result.push_back({"record", {r.reconstruction, r.kl, r.objective}, 9 * 8});
                            EXPECT_EQ(records.back().rows, window_rows - 8 * (steps - 1));
                        }
                        result.push_back({"parameters", e.parameters(), 21 * 8});
                        return result;
                    });
                if (HasFailure())
                    return;
            }
}

TEST(VaeEngineSteps, NonFiniteStepsChangeNothing) {
    const auto a = test::make_architecture(5, 2, {4}, activation::tanh, test::gaussian(gaussian_scale::learned));
    const vae_layout layout = make_layout(a);
    const vae_case c{.architecture = a, .rows = 12};
    const vae_matrix x(c);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto engine = make_vae_engine(ctx, layout);
        auto p = test::network_parameters(layout, 7);
        p[layout.own] = -800; // 1/σ² is infinite in float64, too
        engine->reserve({.batch = 4, .samples = 1, .slots = {12}});
        engine->load(0, 0, x.view());
        engine->set_parameters(p);
        const vae_settings s{.seed = 3, .average_decay = 0.5};
        const auto records =
            engine->train(s, {.window_rows = 12, .batch = 4, .steps = std::vector<step_schedule>(3, {0.01, 1})});
        ASSERT_EQ(records.size(), 1u);
        EXPECT_EQ(records[0].not_finite, step_record::term::reconstruction);
        EXPECT_EQ(engine->parameters(), p);
        EXPECT_EQ(engine->optimizer().steps, 0);
        for (double moment : engine->optimizer().second_moment)
            EXPECT_EQ(moment, 0);
        // It goes on from parameters that are good.
        p[layout.own] = 0;
        engine->set_parameters(p);
        EXPECT_EQ(engine->train_on(s, {0.01, 1}, 0, vae_rows{x.view().slice(0, 4), 0, 0, 4, 0}).not_finite,
                  step_record::term::none);
        EXPECT_NE(engine->parameters(), p);
        EXPECT_EQ(engine->optimizer().steps, 1);
    }
}

} // namespace
} // namespace elbo
