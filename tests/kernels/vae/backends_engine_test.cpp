// Inference and gradients of the engines of variational autoencoders against the reference: over shapes at and beside
// the edges of tiles, every activation, likelihood, objective and estimator. Bounds: support/vae_observe.hpp.
#include "tests/support/backends.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <span>

namespace elbo {
namespace {

using namespace kernels;
using test::all_activations;
using test::all_estimates;
using test::all_likelihoods;
using test::describe;
using test::estimate;
using test::vae_case;
using test::vae_matrix;
using vae::activation;
using vae::gaussian_scale;

/// All estimators, or one of them by turns where kernels are interpreted.
std::span<const estimate> estimates_of_turn(std::size_t turn) {
    const std::span<const estimate> all = all_estimates;
    return test::slow_device() ? all.subspan(turn % all.size(), 1) : all;
}

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
    std::size_t turn = 0;
    for (const context& ctx : test::contexts_under_test())
        for (activation f : all_activations)
            for (const vae::likelihood& form : all_likelihoods(7))
                for (const estimate& e : estimates_of_turn(turn++)) {
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
                 {vae::likelihood{}, test::gaussian(gaussian_scale::learned_per_dimension), test::categorical(s.d),
                  test::counts(vae::likelihood_family::poisson, vae::count_mean::exponential),
                  test::counts(vae::likelihood_family::negative_binomial, vae::count_mean::softplus)}) {
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
    const std::vector<shape> shapes = {{100, 200, 50, {200, 200}, 1},
                                       {100, 784, 20, {400}, 1},
                                       {33, 784, 5, {200, 33, 200}, 5},
                                       {257, 65, 17, {129}, 1},
                                       {1000, 33, 2, {64}, 1}};
    for (const context& ctx : test::contexts_under_test())
        for (const shape& s : shapes) {
            const activation f = s.hidden.size() == 1 ? activation::tanh : activation::gelu;
            const vae_case c{.architecture = test::make_architecture(s.d, s.latent, s.hidden, f),
                             .rows = s.rows,
                             .settings = {.samples = s.samples, .seed = 11},
                             .kind = test::values::bytes};
            check_gradient(ctx, c);
            check_evaluation(ctx, c);
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

TEST(VaeEngine, RunningScale) {
    // Rows before of another size of errors than the 20 of the step, all, some or none of which are looked back on.
    const auto a = test::make_architecture(9, 3, {6}, activation::tanh, test::gaussian(gaussian_scale::optimal));
    std::size_t turn = 0;
    for (const context& ctx : test::contexts_under_test())
        for (std::int64_t window : {1000, 33, 20, 1})
            for (const estimate& e : estimates_of_turn(turn++)) {
                check_gradient(ctx, {.architecture = a,
                                     .rows = 20,
                                     .settings = {.objective = e.objective,
                                                  .estimator = e.estimator,
                                                  .samples = 3,
                                                  .seed = 2,
                                                  .scale = {123, 40},
                                                  .scale_window = window}});
                if (HasFailure())
                    return;
            }
}

TEST(VaeEngine, SphereDecoder) {
    std::size_t turn = 0;
    for (const context& ctx : test::contexts_under_test())
        for (gaussian_scale scale : {gaussian_scale::fixed, gaussian_scale::learned,
                                     gaussian_scale::learned_per_dimension, gaussian_scale::optimal})
            for (std::int64_t d : {1, 3, 33}) {
                vae::architecture a = test::make_architecture(d, d, {5}, activation::tanh, test::gaussian(scale));
                a.decoder_form = vae::decoder_kind::sphere;
                for (const estimate& e : estimates_of_turn(turn++))
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

// --- inspection ----------------------------------------------------------------------------------------------------

void expect_report(const context& ctx, const vae::likelihood& form, const vae_matrix& x) {
    const auto a = test::make_architecture(x.cols, 2, {}, activation::identity, form);
    const row_report want = make_vae_engine(context::reference(), make_layout(a))->inspect(x.view());
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
             {vae::likelihood{}, test::gaussian(gaussian_scale::fixed), test::categorical(7),
              test::counts(vae::likelihood_family::poisson, vae::count_mean::softplus)})
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
        EXPECT_EQ(report({0, 1, 0, 1, 1, 2}).found, row_report::fault::not_allowed);
    }
}

} // namespace
} // namespace elbo
