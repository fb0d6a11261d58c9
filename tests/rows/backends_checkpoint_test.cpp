// A fit that goes on from its checkpoint has the bits of one that was never stopped, on every back end. Devices write
// checkpoints between two slices of their loop.
#include "elbo/gmm/fit.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/checkpoint_cases.hpp"
#include "tests/support/io_files.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace test::checkpoint_cases;

struct killed {};

/// One restart of `iterations`; killed in the iteration after `at`, it goes on from the file of an earlier one.
template <class Model>
void go_on_after(std::int64_t at, std::int64_t iterations, std::int64_t every) {
    for (const context& ctx : test::contexts_under_test()) {
        SCOPED_TRACE(ctx.name());
        auto o = Model::of("");
        o.tolerance = 0;
        o.restarts = 1;
        o.max_iterations = iterations;
        const std::vector<double> whole = Model::numbers(Model::run(ctx, o));
        const test::temporary_folder folder;
        o.checkpoint.path = folder.path("state.safetensors");
        o.checkpoint.every_iterations = every;
        std::int64_t seen = 0;
        o.callback = [&](const auto&) -> bool {
            if (seen++ == at)
                throw killed();
            return true;
        };
        EXPECT_THROW(Model::run(ctx, o), killed);
        o.callback = nullptr;
        o.resume = o.checkpoint.path;
        EXPECT_EQ(Model::numbers(Model::run(ctx, o)), whole);
    }
}

TEST(BackendsCheckpoint, MixtureGoesOnBetweenSlices) {
    go_on_after<mixture>(36, 40, 1);
}
TEST(BackendsCheckpoint, StreamedMixtureGoesOn) {
    go_on_after<streamed_tied>(5, 8, 2);
}
TEST(BackendsCheckpoint, MixtureWithEventsGoesOn) {
    go_on_after<mixture_with_events>(36, 40, 1);
}
TEST(BackendsCheckpoint, VariationalGoesOn) {
    go_on_after<variational>(5, 8, 2);
}
TEST(BackendsCheckpoint, FactorsGoOn) {
    go_on_after<factors>(5, 8, 2);
}
TEST(BackendsCheckpoint, SphereGoesOn) {
    go_on_after<sphere>(5, 8, 2);
}

} // namespace
} // namespace elbo
