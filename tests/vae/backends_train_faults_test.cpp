// Training that ends and goes on: checkpoints to the same bits, early stops, interruptions, bounds that are not finite.
#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "host/io/model/safetensors.hpp"
#include "kernels/contract/vae_engine.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"
#include "tests/support/vae_training.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace elbo::vae {
namespace {

/// Stops after every slice, again and again, and goes on from the checkpoint.
train_result in_pieces(const std::function<train_result(const train_options&)>& run, train_options o,
                       std::int64_t& pieces) {
    o.callback = [](const train_progress&) { return false; };
    for (pieces = 1;; ++pieces) {
        const train_result r = run(o);
        if (r.stopped != train_stop::interrupted)
            return r;
        o.resume = o.checkpoint.path;
        if (pieces > 100)
            throw error("no end");
    }
}

TEST_F(VaeTrain, GoesOnToTheSameBitsFromEveryStep) {
    for (const context& ctx : test::contexts())
        for (const bool validated : {false, true}) {
            SCOPED_TRACE(ctx.name());
            train_options o = options();
            o.average_decay = validated ? 0.9 : 0;
            o.patience = validated ? 2 : 0;
            o.binarize = true;
            const auto once = [&](const train_options& with) {
                return validated ? run_validated(ctx, with) : run(ctx, with);
            };
            const train_result straight = once(o);
            o.checkpoint.path = folder_.path("run.safetensors");
            std::int64_t pieces = 0;
            test::expect_same_result(straight, in_pieces(once, o, pieces));
            EXPECT_GT(pieces, straight.epochs) << "stopped inside epochs, too";
        }
}

TEST_F(VaeTrain, GoesOnToTheSameBitsWithDataInWindows) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.memory_limit = 17 * cols * 8; // at least two batches in float64, less than all rows unless kept as bits
        x_[0] = 0.3f;                   // neither bits nor bytes
        const train_result straight = run(ctx, o);
        o.memory_limit = 0;
        const train_result whole = run(ctx, o);
        EXPECT_NE(straight.model.parameters(), whole.model.parameters()) << "windows are shuffled in themselves";
        EXPECT_NEAR(straight.history.back().train_elbo, whole.history.back().train_elbo, 1.0);
        o.memory_limit = 17 * cols * 8;
        o.checkpoint.path = folder_.path("windows.safetensors");
        std::int64_t pieces = 0;
        test::expect_same_result(straight,
                                 in_pieces([&](const train_options& with) { return run(ctx, with); }, o, pieces));
        EXPECT_GT(pieces, 6);
    }
}

TEST_F(VaeTrain, MoreEpochsContinueARunThatHasEnded) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const train_result straight = run(ctx, options());
        train_options o = options();
        o.epochs = 1;
        o.checkpoint.path = folder_.path("short.safetensors");
        run(ctx, o);
        o.epochs = 3;
        o.resume = o.checkpoint.path;
        test::expect_same_result(straight, run(ctx, o));
    }
}

TEST_F(VaeTrain, CheckpointsAreWrittenByEpochs) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.epochs = 5;
        o.checkpoint.path = folder_.path("epochs_" + std::string(to_string(ctx.where())) + ".safetensors");
        o.checkpoint.every_seconds = 0;
        o.checkpoint.every_epochs = 2;
        std::vector<std::int64_t> there; // epochs in the file when an epoch has ended, before its own checkpoint
        o.callback = [&](const train_progress& p) {
            if (p.finished)
                there.push_back(io::read_safetensors(o.checkpoint.path).tensors.at("history").shape[0]);
            return true;
        };
        run(ctx, o);
        EXPECT_EQ(there, (std::vector<std::int64_t>{0, 0, 2, 2, 4}));
    }
}

TEST_F(VaeTrain, StopsEarlyWithTheBestModel) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.epochs = 30;
        o.optimizer.learning_rate = 0.3; // wild enough to get worse
        o.patience = 2;
        const train_result r = run_validated(ctx, o);
        ASSERT_EQ(r.stopped, train_stop::early_stopping);
        EXPECT_EQ(r.epochs, r.best_epoch + 2);
        double best = -1e300;
        for (const epoch_record& e : r.history)
            best = std::max(best, *e.validation_elbo);
        EXPECT_EQ(r.elbo, best);
        EXPECT_EQ(r.elbo, *r.history[r.best_epoch - 1].validation_elbo);
        evaluate_options e;
        e.seed = o.seed;
        EXPECT_NEAR(evaluate(ctx, r.model, rows_of(held_out_, cols), e).elbo, r.elbo, 1e-12 * std::abs(r.elbo));
    }
}

TEST_F(VaeTrain, AnInterruptedRunSaysTheBoundOfItsModelOnTheValidationData) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.callback = [](const train_progress&) { return false; };
        const train_result r = run_validated(ctx, o);
        ASSERT_EQ(r.stopped, train_stop::interrupted);
        ASSERT_LT(r.steps, 7) << "inside the first epoch";
        evaluate_options e;
        e.seed = o.seed;
        EXPECT_NEAR(evaluate(ctx, r.model, rows_of(held_out_, cols), e).elbo, r.elbo, 1e-12 * std::abs(r.elbo));
    }
}

TEST_F(VaeTrain, AValidationBoundThatIsNotFiniteStopsTheRun) {
    architecture a = small_network(cols);
    a.likelihood.family = likelihood_family::gaussian;
    a.encoder = {};
    std::fill_n(held_out_.begin(), cols, 3e38f); // with weights near 1 its mean of z is beyond float32
    for (const context& ctx : test::contexts()) {
        if (ctx.where() == backend::reference) // float64
            continue;
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.start = model(a, std::vector<double>(a.parameters(), 1.0));
        test::expect_error<error>([&] { train(ctx, a, rows_of(x_, cols), o, rows_of(held_out_, cols)); },
                                  {"validation data", "after epoch 1"});
    }
}

TEST_F(VaeTrain, ANonFiniteBoundStopsAndKeepsTheLastState) {
    architecture a = small_network(cols);
    a.likelihood.family = likelihood_family::gaussian;
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.epochs = 10;
        o.optimizer.kind = optimizer_kind::sgd;
        o.optimizer.learning_rate = 1e6; // every step makes the parameters a million times larger
        o.checkpoint.path = folder_.path("diverged.safetensors");
        test::expect_error<error>([&] { train(ctx, a, rows_of(x_, cols), o); },
                                  {"is not finite at step", "of epoch", "diverged.safetensors"});
        const model kept = model::load(o.checkpoint.path);
        EXPECT_NE(kept.parameters(), model(a, o.seed).parameters()) << "steps before the last are not lost";
        for (const double p : kept.parameters())
            ASSERT_TRUE(std::isfinite(p));
    }
}

TEST_F(VaeTrain, ParametersThatOverflowNeverReachACheckpoint) {
    architecture a = small_network(cols);
    a.likelihood.family = likelihood_family::gaussian;
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.optimizer.kind = optimizer_kind::sgd;
        o.optimizer.learning_rate = 1e308; // the first step already leaves the range of the numbers
        o.checkpoint.path = folder_.path("overflow_" + std::string(to_string(ctx.where())) + ".safetensors");
        EXPECT_THROW(train(ctx, a, rows_of(x_, cols), o), error);
        EXPECT_EQ(model::load(o.checkpoint.path).architecture(), a) << "the state before the first step";
    }
}

TEST_F(VaeTrain, EvaluationStopsWhereTheCallbackSaysSo) {
    const model m(small_network(cols), 1);
    for (const context& ctx : test::contexts()) {
        evaluate_options e;
        std::int64_t seen = 0;
        e.callback = [&](std::int64_t done, std::int64_t all) {
            seen = done;
            EXPECT_EQ(all, rows);
            return false;
        };
        test::expect_error<interrupted>([&] { evaluate(ctx, m, rows_of(x_, cols), e); }, {"stopped", "50 rows"});
        EXPECT_GT(seen, 0);
    }
}

} // namespace
} // namespace elbo::vae
