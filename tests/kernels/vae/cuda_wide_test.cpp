// Wide layers, which cuBLASLt multiplies: gradients against the reference for every precision, likelihood, activation
// and objective, with the sizes from which layers are wide lowered so that small networks have them. Bounds:
// support/vae_observe.hpp. Operands of bfloat16 also hold what the activation and its slope are worked out from, which
// is once more a rounding of a factor.
#include "kernels/contract/context_state.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

#include <set>

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

} // namespace
} // namespace elbo
