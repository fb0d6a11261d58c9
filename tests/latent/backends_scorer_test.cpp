// Sessions of models with continuous latent variables: the same bits as the functions over data, wherever results go.
#include "elbo/error.hpp"
#include "elbo/latent/scorer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/factor_cases.hpp"
#include "tests/support/landing.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace elbo::latent {
namespace {

using test::landing;
using test::landing_place;

template <class Model>
void check_call(const context& ctx, scorer& session, const Model& m, landing_place place, const std::vector<double>& x,
                std::int64_t components, std::int64_t width, bool sphere) {
    const std::int64_t d = m.dimensions(), n = std::ssize(x) / d;
    SCOPED_TRACE(ctx.name() + ", " + std::to_string(n) + " rows, " + test::to_string(place));
    landing<double> rows(ctx, place, n, d, x), density(ctx, place, n, 1), r(ctx, place, n, components),
        means(ctx, place, n, width), concentrations(ctx, place, n, 1), whole(ctx, place, n, d), alone(ctx, place, n, d);
    scorer::results to{density.view(), r.view(), means.view(), {}, whole.view()};
    if (sphere)
        to.concentrations = concentrations.view();
    const any_matrix_view in = rows.view();
    session.infer(in, to);
    const matrix_view<const double> data(x.data(), n, d);
    const auto want = posterior(ctx, m, data);
    const std::vector<double> reconstruction = reconstruct(ctx, m, data);
    EXPECT_EQ(density.values(), want.log_density);
    EXPECT_EQ(means.values(), want.means);
    EXPECT_EQ(whole.values(), reconstruction);
    if constexpr (requires { want.responsibilities; })
        EXPECT_EQ(r.values(), want.responsibilities);
    else
        EXPECT_EQ(concentrations.values(), want.concentrations);
    session.infer(in, {.reconstruction = alone.view()});
    EXPECT_EQ(alone.values(), reconstruction);
}

TEST(LatentScorer, WritesWhatTheFunctionsReturn) {
    const std::int64_t most = test::slow_device() ? 300 : 2 * kernels::unit_rows + 100;
    const factor_model mixture = test::random_model(factor_kind::factor_mixture, 5, 2, 3, true, 3);
    const sphere_model sphere({{1, -2, 0.5}, 2, 0.04});
    const std::vector<double> x = test::rows_of(mixture, most, 4), y = sample(context::reference(), sphere, most, 3).x;
    for (const context& ctx : test::contexts()) {
        scorer of_mixture(ctx, mixture), of_sphere(ctx, sphere);
        for (const std::int64_t n : {std::int64_t(1), std::int64_t(37), most, std::int64_t(20)})
            for (const landing_place place : test::landing_places(ctx)) {
                check_call(ctx, of_mixture, mixture, place, {x.begin(), x.begin() + 5 * n}, 3, 6, false);
                check_call(ctx, of_sphere, sphere, place, {y.begin(), y.begin() + 3 * n}, 1, 3, true);
            }
        landing<double> drawn(ctx, landing_place::strided, 10, 3);
        of_sphere.sample(5, 3, drawn.view());
        EXPECT_EQ(drawn.values(), std::vector<double>(y.begin() + 15, y.begin() + 45));
    }
}

TEST(LatentScorer, SaysWhatIsWrong) {
    const factor_model m = test::random_model(factor_kind::ppca, 3, 1, 1, false, 3);
    for (const context& ctx : test::contexts()) {
        scorer session(ctx, m);
        std::vector<double> x(6, 1), out(6, -7);
        const matrix_view<const double> rows(x.data(), 2, 3);
        EXPECT_THROW(session.infer(rows, {.concentrations = {out.data(), 2, 1}}), invalid_argument);
        EXPECT_THROW(session.infer(rows, {.means = {out.data(), 2, 3}}), invalid_argument);
        EXPECT_THROW(session.infer(matrix_view<const double>(x.data(), 3, 2), {}), invalid_argument);
        x[4] = std::numeric_limits<double>::infinity();
        EXPECT_THROW(session.infer(rows, {.log_density = {out.data(), 2, 1}}), invalid_argument);
        EXPECT_EQ(out, std::vector<double>(6, -7));
        x[4] = 1e200; // the square overflows
        EXPECT_THROW(session.infer(rows, {.means = {out.data(), 2, 1}}), invalid_argument);
        scorer of_sphere(ctx, sphere_model({{1, -2, 0.5}, 2, 0.04}));
        EXPECT_THROW(of_sphere.infer(rows, {.log_density = {out.data(), 2, 1}}), invalid_argument);
    }
}

} // namespace
} // namespace elbo::latent
