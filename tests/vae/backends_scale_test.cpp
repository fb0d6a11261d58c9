// Training with the optimal scale on every back end: the same bits when it goes on, what it reports; and the batch that
// nobody has set.
#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace elbo::vae {
namespace {

using test::rows_of;

constexpr std::int64_t rows = 50, cols = 4;

/// Columns of deviations 1 to 4 that move together, with noise of 0.3.
std::vector<float> real_rows(std::int64_t count) {
    std::vector<float> x(count * cols);
    for (std::int64_t i = 0; i < count * cols; ++i)
        x[i] = static_cast<float>(test::normal(3, i / cols) * (1 + i % cols) + 0.3 * test::normal(4, i));
    return x;
}

architecture optimal_network() {
    architecture a = test::small_network(cols);
    a.likelihood.family = likelihood_family::gaussian;
    a.likelihood.scale = gaussian_scale::optimal;
    return a;
}

class VaeScale : public testing::Test {
protected:
    train_options options() const {
        train_options o;
        o.epochs = 3;
        o.batch = 8;
        o.optimizer.learning_rate = 0.01;
        o.seed = 7;
        return o;
    }
    train_result run(const context& ctx, const train_options& o) const {
        return train(ctx, optimal_network(), rows_of(x_, cols), o);
    }

    std::vector<float> x_ = real_rows(rows);
    test::temporary_folder folder_;
};

TEST_F(VaeScale, GoesOnToTheSameBitsFromEveryStep) {
    for (const context& ctx : test::contexts())
        for (const bool windows : {false, true}) { // of two batches
            SCOPED_TRACE(ctx.name());
            train_options o = options();
            o.epochs = 2;
            o.average_decay = windows ? 0.9 : 0;
            o.memory_limit = windows ? 17 * cols * 8 : 0;
            const train_result straight = run(ctx, o);
            o.checkpoint.path = folder_.path("run.safetensors");
            o.callback = [](const train_progress&) { return false; };
            std::int64_t pieces = 1;
            train_result r = run(ctx, o);
            for (; r.stopped == train_stop::interrupted && pieces < 100; ++pieces) {
                o.resume = o.checkpoint.path;
                r = run(ctx, o);
            }
            EXPECT_GT(pieces, straight.epochs) << "stopped inside epochs, too";
            test::expect_same_result(straight, r);
        }
}

TEST_F(VaeScale, ThreadsAndChunksChangeNothing) {
    const train_result want = run(context::cpu(1), options());
    test::expect_same_result(want, run(context::cpu(2), options()));
    const std::vector<any_matrix_view> parts = {matrix_view<const float>(x_.data(), 13, cols),
                                                matrix_view<const float>(x_.data() + 13 * cols, 37, cols)};
    test::expect_same_result(want, train(context::cpu(2), optimal_network(), data_source::chunks(parts), options()));
}

TEST_F(VaeScale, BackEndsAgree) {
    // As for other likelihoods (VaeTrain.BackEndsAgree), 1e-3 nats.
    for (objective what : {objective::elbo, objective::importance}) {
        train_options o = options();
        o.batch = 3;
        o.objective = what;
        o.samples = 2;
        const train_result reference = run(context::reference(), o);
        for (const context& ctx : test::contexts_under_test()) {
            SCOPED_TRACE(ctx.name());
            const train_result r = run(ctx, o);
            for (std::size_t i = 0; i < r.history.size(); ++i) {
                EXPECT_NEAR(r.history[i].train_elbo, reference.history[i].train_elbo, 1e-3);
                EXPECT_NEAR(r.history[i].train_objective, reference.history[i].train_objective, 1e-3);
            }
            EXPECT_NEAR(r.model.sigma()[0], reference.model.sigma()[0], 1e-3);
        }
    }
}

TEST_F(VaeScale, TheReportIsTheBoundOfOneSigma) {
    // Parameters that stay: one row at a time or all at once is the same bound, with the same noise of each row.
    for (const context& ctx : test::contexts())
        for (objective what : {objective::elbo, objective::importance}) {
            SCOPED_TRACE(ctx.name());
            train_options o = options();
            o.optimizer.learning_rate = 1e-12;
            o.epochs = 1;
            o.objective = what;
            o.samples = what == objective::elbo ? 1 : 3;
            o.batch = rows;
            const epoch_record all = run(ctx, o).history[0];
            o.batch = 1;
            const epoch_record single = run(ctx, o).history[0];
            EXPECT_NEAR(single.train_elbo, all.train_elbo, 1e-5);
            EXPECT_NEAR(single.train_reconstruction, all.train_reconstruction, 1e-5);
            if (what == objective::elbo)
                EXPECT_NEAR(single.train_objective, all.train_objective, 1e-5);
            else // tangents at the running scale, not at that of the epoch
                EXPECT_LE(single.train_objective, all.train_objective + 1e-5);
        }
}

TEST_F(VaeScale, ALastStepInsideAnEpochSaysABoundToo) {
    for (const context& ctx : test::contexts()) {
        train_options o = options();
        o.batch = 1;
        o.callback = [](const train_progress& p) {
            EXPECT_TRUE(std::isfinite(p.elbo));
            return p.step < 60;
        };
        const train_result r = run(ctx, o);
        EXPECT_EQ(r.stopped, train_stop::interrupted);
        EXPECT_TRUE(std::isfinite(r.elbo));
        EXPECT_LT(std::abs(r.elbo - r.history[0].train_elbo), 5);
    }
}

TEST_F(VaeScale, OnlineTrainingGoesOnToTheSameBits) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const std::string path = folder_.path("online.safetensors");
        const auto row = [&](std::int64_t i) { return matrix_view<const float>(x_.data() + i * cols, 1, cols); };
        trainer t(ctx, model(optimal_network(), 3), options());
        for (std::int64_t i = 0; i < 20; ++i)
            t.partial_fit(row(i));
        t.save(path);
        trainer again = trainer::resume(ctx, path, options());
        EXPECT_EQ(again.model().parameters(), t.model().parameters());
        for (std::int64_t i = 20; i < rows; ++i)
            EXPECT_EQ(t.partial_fit(row(i)).train_elbo, again.partial_fit(row(i)).train_elbo);
        EXPECT_EQ(again.model().parameters(), t.model().parameters());
        EXPECT_GT(t.model().sigma()[0], 0.5) << "of all rows, not of the last, whatever its error";
    }
}

TEST_F(VaeScale, CheckpointsOfAnOlderVersionAreRefused) {
    const context ctx = context::reference();
    train_options o = options();
    o.checkpoint.path = folder_.path("old.safetensors");
    run(ctx, o);
    io::tensor_file file = io::read_safetensors(o.checkpoint.path);
    std::string& training = file.metadata.at("training");
    const std::size_t at = training.find("\"scale\":{"), end = training.find('}', at);
    ASSERT_NE(at, std::string::npos);
    training.erase(at, end - at + 2);
    io::write_safetensors(o.checkpoint.path, file);
    o.resume = o.checkpoint.path;
    test::expect_error<invalid_argument>([&] { run(ctx, o); }, {"old.safetensors", "optimal scale of each batch"});
    EXPECT_EQ(model::load(o.resume).architecture(), optimal_network()) << "its parameters can be had";
}

TEST_F(VaeScale, TheDefaultBatchIsAtMostTheNumberOfRows) {
    for (const context& ctx : test::contexts())
        for (const std::int64_t count : {1, 12, 127, 128, 129}) {
            SCOPED_TRACE(ctx.name() + ", " + std::to_string(count) + " rows");
            const std::vector<float> x = real_rows(count);
            train_options o;
            o.epochs = 1;
            const train_result r = train(ctx, optimal_network(), rows_of(x, cols), o, rows_of(x, cols));
            EXPECT_EQ(r.steps, count > 128 ? 2 : 1);
            o.batch = std::min<std::int64_t>(128, count);
            test::expect_same_result(r, train(ctx, optimal_network(), rows_of(x, cols), o, rows_of(x, cols)));
            o.batch = count + 1;
            test::expect_error<invalid_argument>(
                [&] { train(ctx, optimal_network(), rows_of(x, cols), o); },
                {"batch = " + std::to_string(count + 1), "at most " + std::to_string(count), "the rows of"});
        }
}

} // namespace
} // namespace elbo::vae
