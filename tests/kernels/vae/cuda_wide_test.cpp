// Wide layers, which cuBLASLt multiplies: gradients against the reference for every precision, likelihood, activation
// and objective, with the sizes from which layers are wide lowered so that small networks have them. Bounds:
// support/vae_observe.hpp. Operands of bfloat16 also hold what the activation and its slope are worked out from, which
// is once more a rounding of a factor.
#include "kernels/contract/context_state.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

#include <utility>

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
using vae::training_precision;

constexpr training_precision all_precisions[] = {training_precision::bfloat16, training_precision::tf32,
                                                 training_precision::float32};

/// A context in which layers are wide from a width on.
context with_limits(std::int64_t width, std::int64_t rows) {
    const context ctx = context::cuda();
    ctx.state().cuda->wide = {width, rows};
    return ctx;
}

void check_gradient(const context& ctx, const vae_case& c, std::size_t products) {
    SCOPED_TRACE(describe(c));
    const vae_layout layout = make_layout(c.architecture);
    const auto engine = make_vae_engine(ctx, layout);
    engine->reserve({.batch = c.rows + 3, .samples = c.settings.samples});
    const vae_matrix x(c);
    const double u = test::factor_roundoff(c.settings.precision);
    test::expect_matches_reference(*engine, test::network_parameters(layout, 7), u,
                                   [&](vae_engine& e) { return test::observe_gradient(e, c, x.given(c.first_row)); });
    EXPECT_EQ(engine->products().size(), products);
}

TEST(CudaVaeWide, EveryActivationLikelihoodAndEstimator) {
    const context ctx = with_limits(1, 1);
    std::size_t turn = 0;
    for (training_precision precision : all_precisions)
        for (activation f : all_activations)
            for (const vae::likelihood& form : all_likelihoods(17)) {
                const estimate& e = all_estimates[turn++ % std::size(all_estimates)];
                check_gradient(ctx,
                               {.architecture = test::make_architecture(17, 3, {24, 9}, f, form),
                                .rows = 35,
                                .settings = {.objective = e.objective,
                                             .estimator = e.estimator,
                                             .samples = 1 + static_cast<std::int64_t>(turn % 3),
                                             .seed = 11,
                                             .precision = precision}},
                               17);
                if (HasFailure())
                    return;
            }
}

TEST(CudaVaeWide, ShardsOfLargeBatches) {
    // 2, 4 and 8 parts of the rows; edges of strips of 32 rows; weights at addresses of no alignment, and aligned ones.
    const context ctx = with_limits(1, 1);
    for (std::int64_t rows : {1025, 2100, 4097})
        for (training_precision precision : all_precisions)
            check_gradient(ctx,
                           {.architecture = test::make_architecture(rows % 2 == 0 ? 16 : 7, 4, {8}, activation::tanh),
                            .rows = rows,
                            .settings = {.binarize = true, .seed = 2, .precision = precision},
                            .kind = test::values::bytes},
                           11);
    for (std::int64_t rows : {31, 32, 33})
        check_gradient(ctx,
                       {.architecture = test::make_architecture(33, 8, {257, 64}, activation::silu),
                        .rows = rows,
                        .settings = {.seed = 2, .precision = training_precision::bfloat16}},
                       17);
}

TEST(CudaVaeWide, WideLayersBesideSmallOnes) {
    // Of 40-24-6-(3)-6-24-40 and the like, layers whose narrow side is 8 or more are wide.
    const context ctx = with_limits(8, 1);
    std::size_t turn = 0;
    for (const auto& [hidden, products] : std::vector<std::pair<std::vector<std::int64_t>, std::size_t>>{
             {{64}, 5}, {{64, 6}, 5}, {{6, 64, 64, 6}, 6}, {{64, 6, 64}, 5}, {{64, 64, 6, 64, 64}, 17}})
        for (training_precision precision : all_precisions)
            for (activation f : {activation::softplus, activation::gelu, activation::identity}) {
                const estimate& e = all_estimates[turn % std::size(all_estimates)];
                const auto forms = all_likelihoods(40);
                check_gradient(ctx,
                               {.architecture = test::make_architecture(40, 3, hidden, f, forms[turn++ % forms.size()]),
                                .rows = 35,
                                .settings = {.objective = e.objective,
                                             .estimator = e.estimator,
                                             .samples = 2,
                                             .seed = 11,
                                             .precision = precision}},
                               products);
                if (HasFailure())
                    return;
            }
}

TEST(CudaVaeWide, DecidedByTheRowsOfABatch) {
    // Three draws a row make the decoder wide before the encoder.
    const context ctx = with_limits(1, 30);
    const auto architecture = test::make_architecture(16, 8, {16}, activation::relu);
    const vae_layout layout = make_layout(architecture);
    const auto engine = make_vae_engine(ctx, layout);
    engine->reserve({.batch = 40, .samples = 3});
    for (const auto& [rows, products] :
         std::vector<std::pair<std::int64_t, std::size_t>>{{9, 0}, {10, 6}, {29, 6}, {30, 11}, {40, 11}}) {
        const vae_case c{.architecture = architecture, .rows = rows, .settings = {.samples = 3, .seed = 3}};
        const vae_matrix x(c);
        test::expect_matches_reference(*engine, test::network_parameters(layout, 7), 0x1p-24, [&](vae_engine& e) {
            return test::observe_gradient(e, c, x.given(c.first_row));
        });
        EXPECT_EQ(engine->products().size(), products);
    }
}

TEST(CudaVaeWide, FromTheSizesOfTheLibrary) {
    // 256 x 512 is wide for 512 rows, 512 x 128 is not.
    const vae_case c{.architecture = test::make_architecture(256, 64, {512}, activation::tanh),
                     .rows = 512,
                     .settings = {.seed = 3, .precision = training_precision::bfloat16},
                     .kind = test::values::bits};
    check_gradient(context::cuda(), c, 5);
}

TEST(CudaVaeWide, SphereDecoderAndFreeBits) {
    const context ctx = with_limits(1, 1);
    vae::architecture a = test::make_architecture(9, 9, {16, 8}, activation::tanh, test::gaussian({}));
    a.decoder_form = vae::decoder_kind::sphere;
    check_gradient(ctx, {.architecture = a, .rows = 20, .settings = {.samples = 2, .seed = 2}}, 8);
    check_gradient(ctx,
                   {.architecture = test::make_architecture(9, 5, {16}, activation::tanh),
                    .rows = 33,
                    .settings = {.samples = 2, .free_bits = 0.1, .seed = 4},
                    .beta = 0.3},
                   11);
    for (bool deep_encoder : {false, true}) { // halves of one layer
        vae::architecture one = test::make_architecture(16, 4, {16}, activation::silu);
        (deep_encoder ? one.decoder : one.encoder) = {};
        check_gradient(ctx, {.architecture = one, .rows = 20, .settings = {.samples = 2, .seed = 2}}, 8);
    }
}

TEST(CudaVaeWide, NumbersOfEverySize) {
    // Counts to 10^6 with gradients of that size, and gradients of 10^-12; columns of 1 beside columns of 1000.
    const context ctx = with_limits(1, 1);
    for (training_precision precision : all_precisions)
        for (bool are_counts : {true, false}) {
            vae::likelihood form = test::gaussian(vae::gaussian_scale::fixed);
            form.sigma = 1e6;
            if (are_counts)
                form = test::counts(vae::likelihood_family::poisson, vae::count_mean::softplus);
            const vae_case c{.architecture = test::make_architecture(17, 4, {16, 9}, activation::tanh, form),
                             .rows = 70,
                             .settings = {.seed = 11, .precision = precision}};
            SCOPED_TRACE(describe(c));
            auto x = test::network_rows(c.architecture, c.rows, c.kind, 42);
            for (std::size_t i = 0; i < x.size(); ++i)
                x[i] *= are_counts ? (i % 7 == 0 ? 250000.0f : 1.0f) : (i % 17 < 4 ? 1000.0f : 1.0f);
            const vae_matrix rows(x, 17, element_type::float32, 1);
            const vae_layout layout = make_layout(c.architecture);
            const auto engine = make_vae_engine(ctx, layout);
            engine->reserve({.batch = c.rows});
            auto parameters = test::network_parameters(layout, 7);
            if (!are_counts) // so that tanh is not saturated
                for (std::int64_t i = 0; i < layout.encoder[0].bias; ++i)
                    parameters[i] = static_cast<float>(parameters[i] * 1e-3);
            const double u = test::factor_roundoff(precision);
            test::expect_matches_reference(*engine, parameters, u, [&](vae_engine& e) {
                auto result = test::observe_gradient(e, c, rows.given(c.first_row));
                for (test::observation& o : result) // the bounds have an absolute part
                    if (!are_counts && o.name.starts_with("gradient"))
                        for (double& value : o.values)
                            value *= 1e12;
                return result;
            });
        }
}

/// What steps on resident rows leave, the last batch of which is shorter.
std::vector<double> train(const context& ctx, training_precision precision, const std::vector<std::int64_t>& slices,
                          row_storage storage = row_storage::bits) {
    constexpr std::int64_t rows = 79, batch = 33;
    const auto architecture = test::make_architecture(33, 4, {24, 9}, activation::gelu);
    const auto engine = make_vae_engine(ctx, make_layout(architecture));
    const auto x = test::network_rows(architecture, rows, test::values::bits, 3);
    engine->reserve({.batch = batch, .slots = {rows}, .storage = storage});
    engine->load(0, 0, matrix_view<const float>(x.data(), rows, 33));
    engine->set_parameters(test::network_parameters(engine->layout, 7));
    std::vector<double> result;
    std::int64_t first = 0;
    for (std::int64_t count : slices) {
        const auto records = engine->train({.seed = 6, .precision = precision},
                                           {.window_rows = rows,
                                            .first_row = 100,
                                            .first_position = first * batch,
                                            .batch = batch,
                                            .steps = std::vector<step_schedule>(count, {0.01, 0.5})});
        for (const step_record& r : records)
            result.insert(result.end(), {static_cast<double>(r.rows), r.objective, r.gradient_norm});
        first += count;
    }
    const auto p = engine->parameters();
    result.insert(result.end(), p.begin(), p.end());
    return result;
}

TEST(CudaVaeWide, SlicesGiveTheBitsOfSingleSteps) {
    const context ctx = with_limits(1, 1);
    for (training_precision precision : all_precisions) {
        const auto want = train(ctx, precision, {1, 1, 1});
        EXPECT_EQ(want[6], 13) << "rows of the last batch";
        EXPECT_EQ(train(ctx, precision, {3}), want);
        EXPECT_EQ(train(ctx, precision, {2, 1}), want);
        EXPECT_EQ(train(ctx, precision, {3}, row_storage::float32), want) << "bits as float32";
    }
}

TEST(CudaVaeWide, NamesItsProducts) {
    const context ctx = with_limits(1, 1);
    const auto engine = make_vae_engine(ctx, make_layout(test::make_architecture(33, 4, {24}, activation::gelu)));
    EXPECT_TRUE(engine->products().empty()) << "no step yet";
    const auto bytes = engine->bytes_needed({.batch = 64});
    ctx.state().cuda->wide = {1000, 1};
    EXPECT_LT(engine->bytes_needed({.batch = 64}), bytes - (32 << 20)) << "the library's memory is counted";
    ctx.state().cuda->wide = {1, 1};
    engine->reserve({.batch = 64});
    const vae_case c{.architecture = engine->layout.architecture, .rows = 64, .settings = {.seed = 3}};
    const vae_matrix x(c);
    engine->train_on(c.settings, {0.1, 1}, 0, x.given(0));
    const auto products = engine->products();
    ASSERT_EQ(products.size(), 11u);
    EXPECT_NE(products[0].find("cuBLASLt"), std::string::npos);
    EXPECT_TRUE(products[0].starts_with("NN 24 x 64 x 33 x 1 float32 in float16 pieces: ")) << products[0];
}

} // namespace
} // namespace elbo
