// More columns than a block of a device has shared memory for, on every back end.
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::gmm {
namespace {

TEST(GmmWideRows, FitAsTheReferenceDoes) {
    const std::int64_t rows = 6, wide = 30000; // 240 KB of float64
    const std::vector<float> x = test::as<float>(test::clustered(rows, wide, 3, 1, 77));
    const data_source data = matrix_view<const float>(x.data(), rows, wide);
    std::vector<family> families{family::diagonal, family::tied_spherical};
    if (!test::slow_device())
        for (const family f : {family::spherical, family::tied_diagonal})
            families.push_back(f);
    for (const family f : families) {
        fit_options options;
        options.components = 2;
        options.shape = f;
        options.max_iterations = test::slow_device() ? 1 : 5;
        const fit_result wanted = fit(context::reference(), data, options);
        for (const context& ctx : test::contexts_under_test()) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const fit_result r = fit(ctx, data, options);
            // Sums of 30000 squares in float32, in chains: 2⁻²⁴ of log-densities of some 10⁵ nats, some times over.
            EXPECT_NEAR(r.log_likelihood, wanted.log_likelihood, 1e-6 * std::abs(wanted.log_likelihood) + 0.05);
            const score_result s = score(ctx, r.model, data);
            EXPECT_NEAR(s.log_likelihood, r.log_likelihood, 1e-6 * std::abs(wanted.log_likelihood) + 0.05);
        }
    }
}

} // namespace
} // namespace elbo::gmm
