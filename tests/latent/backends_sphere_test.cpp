// The engines of the sphere model against the reference and against themselves: shapes at and beside the edges of
// groups, chunks and units; the same bits from any batches, threads, memory and type of the data.
#include "elbo/buffer.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/latent/sphere/step.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::latent {
namespace {

using namespace kernels;

struct engine_case {
    std::int64_t d, rows;
    bool weighted;
    double sigma;
};

std::string describe(const engine_case& c) {
    return "N=" + std::to_string(c.rows) + " d=" + std::to_string(c.d) + (c.weighted ? " weighted" : "") +
           " sigma=" + std::to_string(c.sigma);
}

/// Numbers in (−2, 2), quarters of 2⁻¹⁰ so that float32 has them; the first row lies at the centre.
std::vector<double> some_rows(const engine_case& c) {
    std::vector<double> x(c.rows * c.d);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = std::floor(0x1p12 * (2 * test::uniform(7, i) - 1)) / 0x1p11;
    std::fill_n(x.begin(), c.d, 0.25);
    return x;
}

sphere_values some_values(const engine_case& c) {
    return {std::vector<double>(c.d, 0.25), 1.5, c.sigma * c.sigma};
}

constexpr sum_bounds bounds{0x1p40, 0x1p70};

input_rows input_of(const engine_case& c, const std::vector<double>& x, const std::vector<double>& w) {
    input_rows in{matrix_view<const double>(x.data(), c.rows, c.d), {}, 1};
    if (c.weighted)
        in.weights = matrix_view<const double>(w.data(), c.rows, 1);
    return in;
}

struct outputs {
    std::vector<double> sums, log_density, means, concentrations;
    bool operator==(const outputs&) const = default;
};

/// Loads and adds `step` rows at a time, a multiple of a unit.
outputs run(const context& ctx, const engine_case& c, std::int64_t step) {
    const std::vector<double> x = some_rows(c), w = test::quarter_weights(c.rows);
    const auto engine = make_sphere_engine(ctx, c.d);
    engine->reserve(c.rows, c.weighted);
    engine->set_parameters(some_values(c).pass());
    engine->clear_sums(bounds);
    const input_rows all = input_of(c, x, w);
    for (std::int64_t first = 0; first < c.rows; first += step) {
        input_rows part = all;
        const std::int64_t count = std::min(step, c.rows - first);
        part.x = all.x.slice(first, count);
        if (c.weighted)
            part.weights = all.weights.slice(first, count);
        engine->load(part, test::identity_frame(c.d), first);
        engine->accumulate(first, count);
    }
    outputs out{engine->sums(), std::vector<double>(c.rows), std::vector<double>(c.rows * c.d),
                std::vector<double>(c.rows)};
    engine->infer(0, c.rows,
                  {{out.log_density.data(), c.rows, 1},
                   {},
                   {out.means.data(), c.rows, c.d},
                   {out.concentrations.data(), c.rows, 1}});
    return out;
}

std::vector<engine_case> cases() {
    std::vector<engine_case> all{{1, 1, false, 0.5},   {1, 257, true, 0.5},   {2, 300, false, 0.02},
                                 {3, 513, true, 3.0},  {5, 256, false, 0.5},  {33, 100, true, 0.5},
                                 {257, 40, true, 0.5}, {300, 12, false, 1e-4}};
    if (!test::slow_device()) {
        all.push_back({2, 10000, true, 0.1});
        all.push_back({1000, 5000, true, 0.5});
    }
    return all;
}

// The distance is a sum of d squares: (d + 4) u of itself, which log p magnifies by |ρ − r A| / σ² ≤ (ρ + r)/σ². The
// functions of κ err by 1e-12 (von_mises_fisher.hpp). Sums of n rows add n u of their magnitudes.
TEST(SphereEngine, AgreesWithTheReference) {
    const double u = 0x1p-53;
    for (const context& ctx : test::contexts_under_test())
        for (const engine_case& c : cases()) {
            SCOPED_TRACE(ctx.name() + ", " + describe(c));
            const outputs want = run(context::reference(), c, unit_rows), got = run(ctx, c, unit_rows);
            const double reach = 1.5 + 2.25 * std::sqrt(static_cast<double>(c.d)), noise = c.sigma * c.sigma;
            const double relative = 2e-12 + 4 * static_cast<double>(c.d + 8) * u;
            const double row_bound = 1e-12 + 4 * static_cast<double>(c.d + 8) * u * (1 + reach * reach / noise);
            for (std::int64_t n = 0; n < c.rows; ++n) {
                EXPECT_NEAR(got.log_density[n], want.log_density[n], row_bound) << n;
                EXPECT_NEAR(got.concentrations[n], want.concentrations[n], relative * want.concentrations[n]) << n;
            }
            for (std::size_t i = 0; i < want.means.size(); ++i)
                EXPECT_NEAR(got.means[i], want.means[i], relative);
            const double rows = static_cast<double>(c.rows), weight = 2 * rows, order = rows * u; // weights ≤ 2
            for (std::int64_t i = 0; i < 2 * c.d; ++i)
                EXPECT_NEAR(got.sums[i], want.sums[i], weight * reach * (relative + order)) << i;
            const double *a = got.sums.data() + 2 * c.d, *b = want.sums.data() + 2 * c.d;
            EXPECT_EQ(a[sphere_weight], b[sphere_weight]); // quarters: exact
            EXPECT_NEAR(a[sphere_alignment], b[sphere_alignment], weight * reach * (relative + order));
            EXPECT_NEAR(a[sphere_squared_error], b[sphere_squared_error], weight * reach * reach * (relative + order));
            const double largest = reach * reach / noise + static_cast<double>(c.d) * 10;
            EXPECT_NEAR(a[sphere_log_density], b[sphere_log_density], weight * (row_bound + order * largest));
            EXPECT_NEAR(a[sphere_negative_kl], b[sphere_negative_kl], weight * (row_bound + order * largest));
        }
}

TEST(SphereEngine, BatchesAndThreadsChangeNoBit) {
    for (const context& ctx : test::contexts()) {
        const std::int64_t rows = test::slow_device() ? 2 * unit_rows + 77 : 5 * unit_rows + 77;
        for (const std::int64_t d : {2, 9}) {
            const engine_case c{d, rows, true, 0.3};
            SCOPED_TRACE(ctx.name() + ", " + describe(c));
            const outputs whole = run(ctx, c, 8 * unit_rows);
            EXPECT_EQ(run(ctx, c, unit_rows), whole);
            EXPECT_EQ(run(ctx, c, 2 * unit_rows), whole);
            if (ctx.where() == backend::cpu) {
                EXPECT_EQ(run(context::cpu(1), c, unit_rows), whole);
                EXPECT_EQ(run(context::cpu(3), c, 8 * unit_rows), whole);
            }
        }
    }
}

sphere_options few_iterations() {
    sphere_options o;
    o.max_iterations = 4;
    o.tolerance = 0;
    return o;
}

TEST(SphereFit, TypeMemoryAndStreamsOfTheDataChangeNoBit) {
    constexpr std::int64_t d = 2;
    const std::int64_t rows = unit_rows + 500;
    const std::vector<double> x = some_rows({d, rows, false, 1});
    const std::vector<float> x32 = test::as<float>(x);
    const matrix_view<const double> data(x.data(), rows, d);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const sphere_options o = few_iterations();
        const sphere_result want = fit(ctx, data, o);
        const auto same = [&](const sphere_result& r) {
            EXPECT_EQ(r.model, want.model);
            EXPECT_EQ(r.log_likelihood, want.log_likelihood);
        };
        same(fit(ctx, matrix_view<const float>(x32.data(), rows, d), o));
        same(fit(ctx, data_source::chunks({data.slice(0, 100), data.slice(100, rows - 100)}), o));
        same(fit(ctx,
                 data_source::generator(rows, d,
                                        [&](std::int64_t first, std::int64_t count, float* out) {
                                            std::copy_n(x32.begin() + first * d, count * d, out);
                                        }),
                 o));
        sphere_options streamed = o;
        streamed.memory_limit = 1;
        same(fit(ctx, data, streamed));
        if (ctx.where() == backend::cuda) {
            buffer<double> on_device(ctx, rows * d);
            copy(ctx, data, on_device);
            ctx.wait();
            same(fit(ctx, on_device.view(rows, d), o));
        }
    }
}

TEST(SphereFit, BackEndsReachTheSameModel) {
    constexpr std::int64_t d = 3;
    const std::int64_t rows = test::slow_device() ? 400 : 5000;
    const sphere_model truth({{1, -2, 0.5}, 2, 0.04});
    const std::vector<double> x = sample(context::reference(), truth, rows, 3).x;
    const matrix_view<const double> data(x.data(), rows, d);
    const sphere_result want = fit(context::reference(), data, {});
    const sphere_posterior p = posterior(context::reference(), want.model, data);
    for (const context& ctx : test::contexts_under_test()) {
        SCOPED_TRACE(ctx.name());
        const sphere_result got = fit(ctx, data, {});
        // Within what the tolerance of 1e-8 nats leaves, for a curvature of 1/σ² = 25.
        EXPECT_NEAR(got.log_likelihood, want.log_likelihood, 1e-8);
        EXPECT_NEAR(got.model.radius(), want.model.radius(), 1e-4);
        const sphere_posterior q = posterior(ctx, want.model, data);
        for (std::int64_t n = 0; n < rows; ++n)
            EXPECT_NEAR(q.log_density[n], p.log_density[n], 1e-11);
        EXPECT_NEAR(score(ctx, want.model, data).log_likelihood, want.log_likelihood, 1e-11);
    }
}

} // namespace
} // namespace elbo::latent
