// Statistics that merge, inference and samples on every back end.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/statistics.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::gmm {
namespace {

using test::view;

TEST(GmmStatistics, PartsMergeToTheWholeBitForBitAndMaximizeIsTheMStep) {
    const std::int64_t rows = test::slow_device() ? 9000 : 3 * statistics::unit_rows() + 55;
    const std::vector<float> x = test::as<float>(test::clustered(rows, 2, 2, 3, 101));
    const std::int64_t unit = statistics::unit_rows();
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + std::string(to_string(f)));
            fit_options options;
            options.components = 2;
            options.shape = f;
            options.max_iterations = 2;
            const model m = fit(ctx, view(x, 2), options).model;
            statistics whole(m), first(m), second(m);
            whole.accumulate(ctx, view(x, 2));
            first.accumulate(ctx, matrix_view<const float>(x.data(), unit, 2));
            second.accumulate(ctx, matrix_view<const float>(x.data() + 2 * unit, rows - unit, 2));
            second.merge(first);
            EXPECT_EQ(second.total_log_likelihood(), whole.total_log_likelihood());
            EXPECT_EQ(second.component_weights(), whole.component_weights());
            EXPECT_EQ(maximize(second, options), maximize(whole, options));
            EXPECT_EQ(whole.samples(), rows);
            // One more M-step never lowers the likelihood.
            EXPECT_GE(score(ctx, maximize(whole, options), view(x, 2)).log_likelihood,
                      score(ctx, m, view(x, 2)).log_likelihood - 1e-7);
            EXPECT_THROW(whole.merge(statistics(maximize(whole, options))), invalid_argument);
        }
}

TEST(GmmInfer, RowsAreConsistentWithEachOther) {
    const std::vector<double> x = test::clustered(500, 3, 3, 3, 111);
    for (const context& ctx : test::contexts()) {
        fit_options options;
        options.components = 3;
        const model m = fit(ctx, view(x, 3), options).model;
        const auto r = responsibilities(ctx, m, view(x, 3));
        const auto label = assign(ctx, m, view(x, 3));
        const auto density = log_density(ctx, m, view(x, 3));
        double sum = 0;
        for (int n = 0; n < 500; ++n) {
            EXPECT_NEAR(r[3 * n] + r[3 * n + 1] + r[3 * n + 2], 1, 1e-12);
            for (int k = 0; k < 3; ++k)
                EXPECT_GE(r[3 * n + label[n]], r[3 * n + k]);
            sum += density[n];
        }
        EXPECT_NEAR(score(ctx, m, view(x, 3)).total_log_likelihood, sum, 1e-9 * 500);
    }
}

TEST(GmmSample, MomentsAndSeeds) {
    const context ctx = context::reference();
    const model m =
        model::from_covariances(family::full, 2, {0.25, 0.75}, {0, 0, 10, 5}, {1, 0.5, 0.5, 2, 3, -1, -1, 1});
    const std::int64_t n = 100000;
    const sample_result s = sample(ctx, m, n, 5);
    EXPECT_EQ(sample(ctx, m, n, 5).x, s.x);
    EXPECT_NE(sample(ctx, m, n, 6).x, s.x);
    double count = 0, mean[2] = {0, 0}, product = 0;
    for (std::int64_t i = 0; i < n; ++i)
        if (s.labels[i] == 1) {
            count += 1;
            mean[0] += s.x[2 * i], mean[1] += s.x[2 * i + 1];
            product += (s.x[2 * i] - 10) * (s.x[2 * i + 1] - 5);
        }
    // Five standard errors each.
    EXPECT_NEAR(count / n, 0.75, 5 * std::sqrt(0.75 * 0.25 / n));
    EXPECT_NEAR(mean[0] / count, 10, 5 * std::sqrt(3 / count));
    EXPECT_NEAR(mean[1] / count, 5, 5 * std::sqrt(1 / count));
    EXPECT_NEAR(product / count, -1, 5 * std::sqrt((3 * 1 + 1) / count));
}

} // namespace
} // namespace elbo::gmm
