// Every operation of the engines of variational autoencoders against the reference: over shapes at and beside the edges
// of tiles, every activation, likelihood, objective, estimator and optimiser. Bounds: support/vae_observe.hpp.
#include "kernels/math/vae_optimizer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace elbo {
namespace {

using namespace kernels;
using test::describe;
using test::vae_case;
using test::vae_matrix;
using vae::activation;
using vae::gaussian_scale;
using vae::gradient_estimator;
using vae::objective;

constexpr activation all_activations[] = {activation::identity, activation::tanh, activation::relu,
                                          activation::gelu,     activation::silu, activation::softplus};

std::vector<vae::likelihood> all_likelihoods(std::int64_t d) {
    return {{},
            test::gaussian(gaussian_scale::fixed),
            test::gaussian(gaussian_scale::learned),
            test::gaussian(gaussian_scale::learned_per_dimension),
            test::gaussian(gaussian_scale::optimal),
            test::categorical(d)};
}

struct estimate {
    vae::objective objective;
    gradient_estimator estimator;
};
constexpr estimate all_estimates[] = {{objective::elbo, gradient_estimator::standard},
                                      {objective::elbo, gradient_estimator::sticking_the_landing},
                                      {objective::importance, gradient_estimator::standard},
                                      {objective::importance, gradient_estimator::sticking_the_landing},
                                      {objective::importance, gradient_estimator::doubly_reparameterized}};

void check_evaluation(const context& ctx, const vae_case& c) {
    SCOPED_TRACE(ctx.name() + ": " + describe(c));
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(ctx, layout);
    const vae_matrix x(c);
    test::expect_matches_reference(*engine, test::network_parameters(layout, 7), 0x1p-24,
                                   [&](vae_engine& e) { return test::observe_evaluation(e, c, x.given(c.first_row)); });
}

void check_gradient(const context& ctx, const vae_case& c) {
    SCOPED_TRACE(ctx.name() + ": " + describe(c));
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(ctx, layout);
    engine->reserve({.batch = c.rows, .samples = c.settings.samples});
    const vae_matrix x(c);
    const double u = test::factor_roundoff(c.settings.precision);
    test::expect_matches_reference(*engine, test::network_parameters(layout, 7), u,
                                   [&](vae_engine& e) { return test::observe_gradient(e, c, x.given(c.first_row)); });
}

TEST(VaeEngine, EveryActivationLikelihoodAndEstimator) {
    for (const context& ctx : test::contexts_under_test())
        for (activation f : all_activations)
            for (const vae::likelihood& form : all_likelihoods(7))
                for (const estimate& e : all_estimates) {
                    const vae_case c{
                        .architecture = test::make_architecture(7, 3, {5}, f, form),
                        .rows = 9,
                        .settings = {.objective = e.objective, .estimator = e.estimator, .samples = 3, .seed = 11}};
                    check_gradient(ctx, c);
                    if (HasFailure())
                        return;
                }
}

TEST(VaeEngine, EvaluationOfEveryActivationAndLikelihood) {
    for (const context& ctx : test::contexts_under_test())
        for (activation f : all_activations)
            for (const vae::likelihood& form : all_likelihoods(7)) {
                check_evaluation(ctx, {.architecture = test::make_architecture(7, 3, {5}, f, form),
                                       .rows = 9,
                                       .settings = {.samples = 3}});
                if (HasFailure())
                    return;
            }
}

struct shape {
    std::int64_t rows, d, latent;
    std::vector<std::int64_t> hidden;
    std::int64_t samples;
};

TEST(VaeEngine, MatchesReferenceOverShapes) {
    const std::vector<shape> shapes = {
        {1, 1, 1, {}, 1},        {1, 7, 2, {1}, 5},      {31, 32, 5, {7}, 1},         {33, 33, 2, {32}, 5},
        {100, 7, 1, {33, 7}, 1}, {33, 200, 50, {33}, 1}, {31, 33, 5, {7, 33, 32}, 5}, {3, 8, 4, {200}, 33}};
    for (const context& ctx : test::contexts_under_test()) {
        std::size_t turn = 0;
        for (const shape& s : shapes)
            for (const vae::likelihood& form :
                 {vae::likelihood{}, test::gaussian(gaussian_scale::learned_per_dimension), test::categorical(s.d)}) {
                // Activations, estimators and kinds of values take turns.
                const estimate& e = all_estimates[turn % std::size(all_estimates)];
                const vae_case c{
                    .architecture = test::make_architecture(s.d, s.latent, s.hidden, all_activations[turn % 6], form),
                    .rows = s.rows,
                    .settings = {.objective = e.objective, .estimator = e.estimator, .samples = s.samples, .seed = 11},
                    .kind = turn % 2 == 0 ? test::values::bytes : test::values::bits,
                    .type = turn % 3 == 0 ? element_type::float64 : element_type::float32};
                check_gradient(ctx, c);
                check_evaluation(ctx, c);
                ++turn;
                if (HasFailure())
                    return;
            }
    }
}

TEST(VaeEngine, MatchesReferenceOverLargeShapes) {
    if (test::slow_device())
        GTEST_SKIP() << "interpreted kernels: the edges of tiles are covered by the small shapes";
    const std::vector<shape> shapes = {{100, 200, 50, {200, 200}, 1},
                                       {100, 784, 20, {400}, 1},
                                       {33, 784, 5, {200, 33, 200}, 5},
                                       {257, 65, 17, {129}, 1},
                                       {1000, 33, 2, {64}, 1}};
    for (const context& ctx : test::contexts_under_test())
        for (const shape& s : shapes)
            for (activation f : {activation::tanh, activation::gelu}) {
                const vae_case c{.architecture = test::make_architecture(s.d, s.latent, s.hidden, f),
                                 .rows = s.rows,
                                 .settings = {.samples = s.samples, .seed = 11},
                                 .kind = test::values::bytes};
                check_gradient(ctx, c);
                check_evaluation(ctx, c);
                if (HasFailure())
                    return;
            }
}

TEST(VaeEngine, HalvesOfDifferentDepth) {
    for (const context& ctx : test::contexts_under_test())
        for (bool deep_encoder : {false, true}) {
            vae::architecture a = test::make_architecture(9, 2, {6, 5}, activation::silu);
            (deep_encoder ? a.decoder : a.encoder) = {};
            check_gradient(ctx, {.architecture = a, .rows = 20, .settings = {.samples = 2, .seed = 2}});
            check_evaluation(ctx, {.architecture = a, .rows = 20, .settings = {.samples = 2}});
        }
}

TEST(VaeEngine, BetaFreeBitsAndBinarisation) {
    for (const context& ctx : test::contexts_under_test())
        for (double beta : {0.0, 0.3, 2.0})
            for (double free_bits : {0.0, 0.1, 10.0})
                for (bool binarize : {false, true}) {
                    const vae_case c{
                        .architecture = test::make_architecture(9, 5, {6}, activation::tanh),
                        .rows = 33,
                        .settings = {.samples = 2, .free_bits = free_bits, .binarize = binarize, .seed = 4},
                        .beta = beta,
                        .kind = test::values::bytes,
                        .first_row = (std::int64_t(1) << 33) + 1};
                    check_gradient(ctx, c);
                    check_evaluation(ctx, c);
                    if (HasFailure())
                        return;
                }
}

TEST(VaeEngine, SphereDecoder) {
    for (const context& ctx : test::contexts_under_test())
        for (gaussian_scale scale : {gaussian_scale::fixed, gaussian_scale::learned,
                                     gaussian_scale::learned_per_dimension, gaussian_scale::optimal})
            for (std::int64_t d : {1, 3, 33}) {
                vae::architecture a = test::make_architecture(d, d, {5}, activation::tanh, test::gaussian(scale));
                a.decoder_form = vae::decoder_kind::sphere;
                for (const estimate& e : all_estimates)
                    check_gradient(
                        ctx,
                        {.architecture = a,
                         .rows = 20,
                         .settings = {.objective = e.objective, .estimator = e.estimator, .samples = 2, .seed = 2}});
                check_evaluation(ctx, {.architecture = a, .rows = 20, .settings = {.samples = 2}});
                // At the origin the sphere decoder gives its centre.
                const vae_layout layout = make_layout(a);
                const auto engine = make_vae_engine(ctx, layout);
                const auto p = test::network_parameters(layout, 7);
                engine->set_parameters(p);
                const std::vector<float> z(d, 0.0f);
                std::vector<float> out(d);
                engine->decode(matrix_view<const float>(z.data(), 1, d), {out.data(), 1, d});
                for (std::int64_t j = 0; j < d; ++j)
                    EXPECT_EQ(out[j], static_cast<float>(p[layout.sphere_centre + j]));
                if (HasFailure())
                    return;
            }
}

TEST(VaeEngine, ManyImportanceSamples) {
    // Sizes around those of parts in which draws are worked on.
    for (const context& ctx : test::contexts_under_test())
        for (std::int64_t samples : {2, 63, 64, 65, 255, 257, 1000})
            check_evaluation(ctx, {.architecture = test::make_architecture(6, 2, {4}, activation::tanh),
                                   .rows = 3,
                                   .settings = {.samples = samples}});
}

TEST(VaeEngine, ReducedPrecisions) {
    using vae::training_precision;
    for (const context& ctx : test::contexts_under_test()) {
        if (ctx.where() != backend::cuda)
            continue;
        for (training_precision precision : {training_precision::tf32, training_precision::bfloat16})
            for (const vae::likelihood& form : all_likelihoods(33))
                for (const estimate& e : {all_estimates[0], all_estimates[4]})
                    check_gradient(ctx,
                                   {.architecture = test::make_architecture(33, 5, {17, 32}, activation::tanh, form),
                                    .rows = 33,
                                    .settings = {.objective = e.objective,
                                                 .estimator = e.estimator,
                                                 .samples = 2,
                                                 .seed = 2,
                                                 .precision = precision}});
    }
}

// --- steps
// ------------------------------------------------------------------------------------------------------------

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

TEST(VaeEngine, StepsFollowTheirOwnGradient) {
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

TEST(VaeEngine, SlicesMatchTheReference) {
    // Three epochs of steps on resident rows; gradients carry over into parameters times the rates, so that bounds of
    // steps add up: compared with the reference and its moved parameters as one computation.
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
                            const auto records = e.train(s, {.epoch = epoch,
                                                             .window_rows = 50,
                                                             .first_row = 1000,
                                                             .batch = 8,
                                                             .steps = std::vector<step_schedule>(7, {0.05, 0.5})});
                            EXPECT_EQ(records.size(), 7u);
                            for (const step_record& r : records)
                                result.push_back({"record", {r.reconstruction, r.kl, r.objective}, 9 * 8});
                            EXPECT_EQ(records.back().rows, 2);
                        }
                        result.push_back({"parameters", e.parameters(), 21 * 8});
                        return result;
                    });
                if (HasFailure())
                    return;
            }
}

TEST(VaeEngine, NonFiniteStepsChangeNothing) {
    const auto a = test::make_architecture(5, 2, {4}, activation::tanh, test::gaussian(gaussian_scale::learned));
    const vae_layout layout = make_layout(a);
    const vae_case c{.architecture = a, .rows = 12};
    const vae_matrix x(c);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto engine = make_vae_engine(ctx, layout);
        auto p = test::network_parameters(layout, 7);
        p[layout.log_variance] = -800; // 1/σ² is infinite in float64, too
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
        p[layout.log_variance] = 0;
        engine->set_parameters(p);
        EXPECT_EQ(engine->train_on(s, {0.01, 1}, 0, vae_rows{x.view().slice(0, 4), 0, 0, 4, 0}).not_finite,
                  step_record::term::none);
        EXPECT_NE(engine->parameters(), p);
        EXPECT_EQ(engine->optimizer().steps, 1);
    }
}

// --- inspection
// -------------------------------------------------------------------------------------------------------

void expect_report(const context& ctx, const vae::likelihood& form, const vae_matrix& x) {
    const auto a = test::make_architecture(x.cols, 2, {}, activation::identity, form);
    const row_report want = make_reference_vae_engine(ctx, make_layout(a))->inspect(x.view());
    const row_report got = make_vae_engine(ctx, make_layout(a))->inspect(x.view());
    SCOPED_TRACE(ctx.name() + ": " + describe(a));
    EXPECT_EQ(got.found, want.found);
    if (want.found == row_report::fault::none) {
        EXPECT_EQ(got.all_bits, want.all_bits);
        EXPECT_EQ(got.all_bytes, want.all_bytes);
        EXPECT_EQ(got.column_sums, want.column_sums) << "one order of the sums";
        return;
    }
    EXPECT_EQ(got.row, want.row);
    EXPECT_EQ(got.column, want.column);
    EXPECT_TRUE(got.value == want.value || (std::isnan(got.value) && std::isnan(want.value)));
}

TEST(VaeEngine, InspectionFindsTheFirstFault) {
    const float bad_values[] = {std::nanf(""), std::numeric_limits<float>::infinity(), -0.5f, 1.5f, 0.5f, 1.0f};
    for (const context& ctx : test::contexts())
        for (const vae::likelihood& form :
             {vae::likelihood{}, test::gaussian(gaussian_scale::fixed), test::categorical(7)})
            for (test::values kind : {test::values::bits, test::values::bytes, test::values::real})
                for (element_type type : {element_type::float32, element_type::float64}) {
                    const auto a = test::make_architecture(7, 2, {}, activation::identity, form);
                    const auto good = test::network_rows(a, 600, kind, 3);
                    expect_report(ctx, form, vae_matrix(good, 7, type, 2));
                    for (float bad : bad_values) {
                        auto x = good;
                        x[7 * 599 + 2] = x[7 * 300 + 6] = x[7 * 300 + 3] = bad;
                        expect_report(ctx, form, vae_matrix(x, 7, type, 2));
                    }
                    if (HasFailure())
                        return;
                }
}

TEST(VaeEngine, InspectionSaysHowRowsMayBeStored) {
    const auto a = test::make_architecture(3, 2, {}, activation::identity);
    for (const context& ctx : test::contexts()) {
        const auto engine = make_vae_engine(ctx, make_layout(a));
        const auto report = [&](const std::vector<float>& x) {
            return engine->inspect(matrix_view<const float>(x.data(), static_cast<std::int64_t>(x.size()) / 3, 3));
        };
        EXPECT_TRUE(report({0, 1, 0, 1, 1, 0}).all_bits);
        EXPECT_TRUE(report({0, 1, 0, 1, 1, 0}).all_bytes);
        EXPECT_FALSE(report({0, 1, 0, 1, 1, 128 / 255.0f}).all_bits);
        EXPECT_TRUE(report({0, 1, 0, 1, 1, 128 / 255.0f}).all_bytes);
        EXPECT_TRUE(report({0, 1, 0, 7 * (1 / 255.0f), 1, 11 * (1 / 255.0f)}).all_bytes);
        EXPECT_FALSE(report({0, 1, 0, 1, 1, 0.5f}).all_bytes);
        EXPECT_EQ(report({0, 1, 0, 1, 1, 0.5f}).column_sums, (std::vector<double>{1, 2, 0.5}));
        EXPECT_EQ(report({0, 1, 0, 1, 1, 2}).found, row_report::fault::outside_unit_interval);
    }
}

} // namespace
} // namespace elbo
