// Slices of steps as graphs of eight and of one: the bits of single steps, whatever the slice, the thread, and what the
// driver makes of dependent launches; and nothing done after a step that was not finite.
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

namespace elbo {
namespace {

using namespace kernels;

constexpr std::int64_t rows = 50, batch = 3, all_steps = 17;

/// What a run leaves behind.
struct outcome {
    std::vector<step_record> records;
    std::vector<double> parameters;
    optimizer_state optimizer;
};

/// A network on resident rows, of which a step takes the next three, the last two.
class session {
public:
    explicit session(vae::training_precision precision = vae::training_precision::float32, std::int64_t samples = 2,
                     double free_bits = 0)
        : settings_{.samples = samples, .seed = 6, .average_decay = 0.9} {
        settings_.precision = precision;
        settings_.free_bits = free_bits;
    }

    /// Steps in slices of the given sizes. Step `bad` throws the parameters out of all range.
    outcome run(const std::vector<std::int64_t>& slices, std::int64_t bad = -1) const {
        const auto architecture = test::make_architecture(33, 5, {17}, vae::activation::tanh);
        const auto engine = make_vae_engine(context::cuda(), make_layout(architecture));
        const auto x = test::network_rows(architecture, rows, test::values::bits, 3);
        engine->reserve({.batch = batch, .samples = settings_.samples, .slots = {rows}, .storage = row_storage::bits});
        engine->load(0, 0, matrix_view<const float>(x.data(), rows, 33));
        engine->set_parameters(test::network_parameters(engine->layout, 7));
        outcome result;
        std::int64_t first = 0;
        for (const std::int64_t count : slices) {
            std::vector<step_schedule> steps;
            for (std::int64_t i = first; i < first + count; ++i)
                steps.push_back({i == bad ? 1e37 : 0.01, 0.5});
            const auto records = engine->train(settings_, {.window_rows = rows,
                                                           .first_row = 100,
                                                           .first_position = first * batch,
                                                           .batch = batch,
                                                           .steps = steps});
            result.records.insert(result.records.end(), records.begin(), records.end());
            first += count;
        }
        result.parameters = engine->parameters();
        result.optimizer = engine->optimizer();
        return result;
    }

private:
    vae_settings settings_;
};

void expect_same(const outcome& got, const outcome& want) {
    ASSERT_EQ(got.records.size(), want.records.size());
    for (std::size_t i = 0; i < want.records.size(); ++i) {
        EXPECT_EQ(got.records[i].rows, want.records[i].rows);
        EXPECT_EQ(got.records[i].objective, want.records[i].objective) << "step " << i;
        EXPECT_EQ(got.records[i].gradient_norm, want.records[i].gradient_norm) << "step " << i;
        EXPECT_EQ(got.records[i].not_finite, want.records[i].not_finite) << "step " << i;
    }
    EXPECT_EQ(got.parameters, want.parameters);
    EXPECT_EQ(got.optimizer.steps, want.optimizer.steps);
    EXPECT_EQ(got.optimizer.first_moment, want.optimizer.first_moment);
    EXPECT_EQ(got.optimizer.second_moment, want.optimizer.second_moment);
    EXPECT_EQ(got.optimizer.average, want.optimizer.average);
}

const std::vector<std::int64_t> singles(all_steps, 1);

TEST(CudaVaeSteps, SlicesGiveTheBitsOfSingleSteps) {
    for (const session& s : {session(), session(vae::training_precision::bfloat16, 1),
                             session(vae::training_precision::float32, 1, 0.25)}) {
        const outcome want = s.run(singles);
        ASSERT_EQ(want.records.size(), singles.size());
        for (const auto& slices :
             std::vector<std::vector<std::int64_t>>{{17}, {8, 9}, {9, 8}, {7, 1, 9}, {1, 16}, {8, 8, 1}}) {
            SCOPED_TRACE("a first slice of " + std::to_string(slices.front()));
            expect_same(s.run(slices), want);
        }
    }
}

TEST(CudaVaeSteps, NothingIsDoneAfterAStepThatIsNotFinite) {
    // Step 3 moves to parameters with which no later one is finite: the first and the last of a graph of eight, between
    // them, in the second graph and in graphs of one.
    const session s;
    for (const std::int64_t bad : {0, 3, 6, 7, 10, 15}) {
        SCOPED_TRACE("after step " + std::to_string(bad));
        const outcome got = s.run({all_steps}, bad);
        std::vector<std::int64_t> good(static_cast<std::size_t>(bad) + 1, 1);
        const outcome before = s.run(good, bad);
        ASSERT_EQ(static_cast<std::int64_t>(got.records.size()), bad + 2);
        EXPECT_NE(got.records.back().not_finite, step_record::term::none);
        EXPECT_EQ(got.records[static_cast<std::size_t>(bad)].not_finite, step_record::term::none);
        EXPECT_EQ(got.parameters, before.parameters);
        EXPECT_EQ(got.optimizer.steps, bad + 1);
        EXPECT_EQ(got.optimizer.first_moment, before.optimizer.first_moment);
        EXPECT_EQ(got.optimizer.average, before.optimizer.average);
    }
}

TEST(CudaVaeSteps, GraphsAreMadeWithoutDependentLaunchesWhereTheyAreRefused) {
    const session s;
    const outcome want = s.run({all_steps});
    setenv("CUDA_EMULATOR_DEPENDENT_GRAPHS", "none", 1); // a device takes no notice
    const outcome got = s.run({all_steps});
    unsetenv("CUDA_EMULATOR_DEPENDENT_GRAPHS");
    expect_same(got, want);
}

TEST(CudaVaeSteps, TwoContextsTrainAtOnce) {
    const session a, b(vae::training_precision::bfloat16, 1);
    const outcome want_a = a.run({all_steps}), want_b = b.run({all_steps});
    outcome got_a, got_b;
    std::thread other([&] { got_a = a.run({all_steps}); });
    got_b = b.run({all_steps});
    other.join();
    expect_same(got_a, want_a);
    expect_same(got_b, want_b);
}

} // namespace
} // namespace elbo
