// The memory that a fit is said to need before it starts, against what it takes on the device at most.
#include "elbo/gmm/fit.hpp"
#include "tests/support/data.hpp"
#include "tests/support/device_memory.hpp"

#include <gtest/gtest.h>

namespace elbo::gmm {
namespace {

struct planned_fit {
    const char* name;
    std::int64_t rows, cols, components;
    family shape;
    std::int64_t restarts = 1;
    bool streamed = false, weighted = false;
    start_method start = start_method::kmeans;
};

TEST(CudaMemoryPlan, CoversThePeak) {
    for (const planned_fit& c :
         {planned_fit{"few rows", 300, 2, 2, family::full},
          {"start as large as the rows", 20000, 16, 5, family::full},
          {"restarts beside the rows", 20000, 16, 5, family::diagonal, 3},
          {"weights", 20000, 3, 4, family::full, 1, false, true},
          {"scatter matrix", 5000, 40, 3, family::tied},
          {"streamed", 20000, 16, 5, family::tied_diagonal, 2, true},
          {"no sample on the device", 20000, 16, 5, family::full, 1, false, false, start_method::random}}) {
        SCOPED_TRACE(c.name);
        const std::vector<float> x = test::as<float>(test::clustered(c.rows, c.cols, c.components, 3.0, 7));
        const std::vector<float> weights(c.weighted ? c.rows : 0, 0.5f);
        const data_source data(matrix_view<const float>(x.data(), c.rows, c.cols));
        fit_options options;
        options.components = c.components;
        options.shape = c.shape;
        options.restarts = c.restarts;
        options.start = c.start;
        options.max_iterations = 2;
        options.memory_limit = c.streamed ? 1 : 0;
        if (c.weighted)
            options.weights = weights;
        const context ctx = context::cuda();
        const memory_plan plan = plan_memory(ctx, data, options);
        EXPECT_EQ(plan.streamed, c.streamed);
        EXPECT_EQ(plan.peak, plan.data + plan.normalized + plan.workspace);
        const std::int64_t peak = test::peak_of(ctx, [&] { fit(ctx, data, options); });
        // What is planned and not taken: room for more rows than the sample of a start happened to draw, labels that
        // no component needs.
        EXPECT_LE(peak, plan.peak + test::pool_rounding);
        EXPECT_GE(peak, 0.8 * static_cast<double>(plan.peak));
        std::printf("%s: planned %lld bytes, %lld taken at most\n", c.name, static_cast<long long>(plan.peak),
                    static_cast<long long>(peak));
    }
}

} // namespace
} // namespace elbo::gmm
