// Sessions of networks: the same bits as the functions over data, wherever rows come from and results go.
#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/landing.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

namespace elbo::vae {
namespace {

using test::landing;
using test::landing_place;

model some_network(const likelihood& form) {
    const architecture a = test::make_architecture(11, 3, {18}, activation::tanh, form);
    return model(a, test::network_parameters(kernels::make_layout(a), 5));
}

void check_calls(const context& ctx, network& session, const model& m, landing_place place, std::int64_t n) {
    const std::int64_t d = 11, latent = 3;
    SCOPED_TRACE(std::to_string(n) + " rows, " + test::to_string(place));
    const std::vector<float> x = test::network_rows(m.architecture(), n, test::values::real, 7);
    const matrix_view<const float> data(x.data(), n, d);
    landing<float> rows(ctx, place, n, d, x), mean(ctx, place, n, latent), log_variance(ctx, place, n, latent),
        out(ctx, place, n, d), decoded(ctx, place, n, d), drawn(ctx, place, n, d);
    const any_matrix_view in = rows.view();
    session.check(in);
    session.encode(in, mean.view(), log_variance.view());
    const latents want = encode(ctx, m, data);
    EXPECT_EQ(mean.values(), want.mean);
    EXPECT_EQ(log_variance.values(), want.log_variance);
    session.reconstruct(in, out.view());
    const std::vector<float> reconstruction = reconstruct(ctx, m, data);
    EXPECT_EQ(out.values(), reconstruction);
    session.decode(mean.view(), decoded.view());
    EXPECT_EQ(decoded.values(), reconstruction);
    session.sample(4, {.seed = 3}, drawn.view());
    const std::vector<float> samples = sample(ctx, m, n + 4, {.seed = 3});
    EXPECT_EQ(drawn.values(), std::vector<float>(samples.begin() + 4 * d, samples.end()));
}

TEST(VaeNetwork, WritesWhatTheFunctionsReturn) {
    const std::int64_t most = test::slow_device() ? 70 : 1100;
    for (const context& ctx : test::contexts())
        for (const likelihood& form : {likelihood{}, test::gaussian(gaussian_scale::learned_per_dimension)}) {
            SCOPED_TRACE(ctx.name());
            const model m = some_network(form);
            network session(ctx, m);
            for (const std::int64_t n : {std::int64_t(1), std::int64_t(10), most, std::int64_t(33)})
                for (const landing_place place : test::landing_places(ctx))
                    check_calls(ctx, session, m, place, n);
        }
}

TEST(VaeNetwork, SaysWhatIsWrong) {
    const model m = some_network({});
    for (const context& ctx : test::contexts()) {
        network session(ctx, m);
        std::vector<float> x(22, 0.5f), out(22, -7);
        const matrix_view<const float> rows(x.data(), 2, 11);
        EXPECT_THROW(session.encode(rows, {out.data(), 2, 3}, {out.data(), 2, 4}), invalid_argument);
        EXPECT_THROW(session.decode(rows, {out.data(), 2, 11}), invalid_argument);
        EXPECT_THROW(session.reconstruct(rows, {out.data(), 1, 11}), invalid_argument);
        EXPECT_THROW(session.sample(-1, {}, {out.data(), 2, 11}), invalid_argument);
        if (ctx.where() != backend::cuda) {
            EXPECT_THROW(session.reconstruct(rows, {out.data(), 2, 11, memory_space::device}), invalid_argument);
        }
        x[12] = 2; // no probability
        EXPECT_THROW(session.check(rows), invalid_argument);
        EXPECT_EQ(out, std::vector<float>(22, -7));
    }
}

} // namespace
} // namespace elbo::vae
