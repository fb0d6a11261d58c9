// Training on every back end: bits that nothing may change, what options do, and what the trained model is good for.
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

TEST_F(VaeTrain, RaisesTheBound) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.epochs = 40;
        const train_result r = run(ctx, o);
        EXPECT_EQ(r.stopped, train_stop::completed);
        EXPECT_EQ(r.steps, 40 * 7);
        ASSERT_EQ(r.history.size(), 40u);
        // Independent pixels of mean ½ cost 12 ln 2 = 8.3; the two prototypes with 10% noise cost ln 2 + 12 · 0.325
        // = 4.6.
        EXPECT_LT(r.history.front().train_elbo, -7.5);
        EXPECT_GT(r.history.back().train_elbo, -6.5);
        const epoch_record& last = r.history.back();
        EXPECT_DOUBLE_EQ(last.train_elbo, last.train_reconstruction - last.train_kl);
        EXPECT_NEAR(last.train_objective, last.train_elbo, 1e-9 * std::abs(last.train_elbo));
        EXPECT_EQ(r.elbo, last.train_elbo);
        EXPECT_GT(r.samples_per_second, 0);
    }
}

TEST_F(VaeTrain, EqualRunsGiveEqualBitsWhateverTheChunks) {
    const std::vector<any_matrix_view> parts = {matrix_view<const float>(x_.data(), 13, cols),
                                                matrix_view<const float>(x_.data() + 13 * cols, 1, cols),
                                                matrix_view<const float>(x_.data() + 14 * cols, 36, cols)};
    std::vector<double> wide(x_.begin(), x_.end());
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const train_result whole = run(ctx, options());
        test::expect_same_result(whole, run(ctx, options()));
        test::expect_same_result(whole, train(ctx, small_network(cols), data_source::chunks(parts), options()));
        test::expect_same_result(
            whole, train(ctx, small_network(cols), matrix_view<const double>(wide.data(), rows, cols), options()));
        train_options other = options();
        other.seed = 8;
        EXPECT_NE(run(ctx, other).model.parameters(), whole.model.parameters());
    }
}

TEST_F(VaeTrain, TheNumberOfThreadsChangesNoBit) {
    test::expect_same_result(run(context::cpu(1), options()), run(context::cpu(2), options()));
}

TEST_F(VaeTrain, BackEndsAgree) {
    const train_result reference = run(context::reference(), options());
    for (const context& ctx : test::contexts_under_test()) {
        SCOPED_TRACE(ctx.name());
        const train_result r = run(ctx, options());
        ASSERT_EQ(r.history.size(), reference.history.size());
        // 21 steps of Adam at 0.01: a parameter whose gradient is near zero may move by up to a rate a step in another
        // direction in float32; the bound sees that in second order. 1e-3 nats of 8.
        for (std::size_t i = 0; i < r.history.size(); ++i)
            EXPECT_NEAR(r.history[i].train_elbo, reference.history[i].train_elbo, 1e-3);
    }
}

TEST_F(VaeTrain, ValidationDataThatDoNotFitAreStreamed) {
    x_[0] = 0.3f; // neither bits nor bytes
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        const train_result resident = run_validated(ctx, o);
        // One byte less than what both data sets take.
        const auto engine = kernels::make_vae_engine(ctx, kernels::make_layout(small_network(cols)));
        const auto bytes = [&](std::vector<std::int64_t> slots) {
            return engine->bytes_needed({*o.batch, o.samples, std::move(slots), kernels::row_storage::float32});
        };
        o.memory_limit = bytes({rows, 20}) - bytes({}) - 1;
        ASSERT_GE(o.memory_limit, bytes({rows}) - bytes({})) << "the training data still fit";
        test::expect_same_result(resident, run_validated(ctx, o));
    }
}

TEST_F(VaeTrain, TheCallbackSeesEveryEpoch) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        std::vector<epoch_record> seen;
        double last_step = 0;
        o.callback = [&](const train_progress& p) {
            EXPECT_EQ(p.epochs, 3);
            EXPECT_EQ(p.total_steps, 21);
            EXPECT_GT(p.step, last_step);
            EXPECT_LT(p.elbo, 0);
            EXPECT_GE(p.seconds_left, 0);
            last_step = static_cast<double>(p.step);
            if (p.finished) {
                EXPECT_EQ(p.epoch, p.finished->epoch);
                EXPECT_EQ(p.step, p.finished->step);
                seen.push_back(*p.finished);
            }
            return true;
        };
        const train_result r = run(ctx, o);
        test::expect_same_history(seen, r.history);
        for (std::size_t i = 1; i < seen.size(); ++i)
            EXPECT_GE(seen[i].seconds, seen[i - 1].seconds);

        o.callback = [&](const train_progress& p) { return !p.finished || p.finished->epoch < 2; };
        const train_result stopped = run(ctx, o);
        EXPECT_EQ(stopped.stopped, train_stop::interrupted);
        EXPECT_EQ(stopped.epochs, 2);
        EXPECT_EQ(stopped.elbo, r.history[1].train_elbo);
    }
}

TEST_F(VaeTrain, TheAverageIsTheResultAndWhatValidationSees) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        const train_result plain = run_validated(ctx, o);
        o.average_decay = 0.95;
        const train_result averaged = run_validated(ctx, o);
        EXPECT_EQ(plain.history.back().train_elbo, averaged.history.back().train_elbo) << "training itself is the same";
        EXPECT_NE(plain.model.parameters(), averaged.model.parameters());
        evaluate_options e;
        e.seed = o.seed;
        EXPECT_NEAR(evaluate(ctx, averaged.model, rows_of(held_out_, cols), e).elbo,
                    *averaged.history.back().validation_elbo, 1e-12 * std::abs(averaged.elbo));
    }
}

TEST_F(VaeTrain, ReportsTheTrueBoundUnderEveryObjective) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.optimizer.learning_rate = 1e-12; // the parameters stay, so the bound does
        o.epochs = 1;
        const train_result plain = run(ctx, o);
        o.beta = 4;
        const train_result beta = run(ctx, o);
        EXPECT_NEAR(beta.elbo, plain.elbo, 1e-6);
        EXPECT_NEAR(beta.history[0].train_objective, plain.elbo - 3 * plain.history[0].train_kl, 1e-5);
        o.beta = 1;
        o.free_bits = 0.5;
        const train_result free = run(ctx, o);
        EXPECT_NEAR(free.elbo, plain.elbo, 1e-6);
        EXPECT_LT(free.history[0].train_objective, free.elbo);
        o.free_bits = 0;
        o.kl_warm_up_epochs = 1;
        const train_result warm = run(ctx, o);
        EXPECT_GT(warm.history[0].train_objective, warm.elbo);
        o.kl_warm_up_epochs = 0;
        o.objective = objective::importance;
        o.samples = 10;
        const train_result importance = run(ctx, o);
        EXPECT_GT(importance.history[0].train_objective, importance.elbo);
    }
}

TEST_F(VaeTrain, TheOptimalScaleIsTheMeanSquaredErrorOfTheResult) {
    std::vector<float> real(rows * 4);
    for (std::int64_t i = 0; i < rows * 4; ++i)
        real[i] = static_cast<float>(test::normal(3, i / 4) * (1 + i % 4) + 0.1 * test::normal(4, i));
    architecture a = small_network(4);
    a.likelihood.family = likelihood_family::gaussian;
    a.likelihood.scale = gaussian_scale::optimal;
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        train_options o = options();
        o.epochs = 15;
        const train_result r = train(ctx, a, rows_of(real, 4), o, rows_of(real, 4));
        const double sigma = r.model.sigma().front();
        EXPECT_LT(sigma, 2.5) << "the data's own deviation is 2.7";
        // With this σ the reconstruction term is −D/2 (ln 2πσ² + 1) exactly, which evaluate must find.
        evaluate_options e;
        e.seed = o.seed;
        const evaluation v = evaluate(ctx, r.model, rows_of(real, 4), e);
        EXPECT_NEAR(v.reconstruction, -2 * (std::log(2 * M_PI * sigma * sigma) + 1), 1e-4);
        EXPECT_NEAR(v.elbo, r.elbo, 1e-9 * std::abs(v.elbo) + 1e-12);
    }
}

TEST_F(VaeTrain, PartialFitIsTrainingOnBatches) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const model start(small_network(cols), 3);
        trainer t(ctx, start, options());
        epoch_record first, last;
        const std::string path = folder_.path("online.safetensors");
        std::vector<double> later;
        for (int pass = 0; pass < 60; ++pass) {
            const std::int64_t begin = pass % 2 == 0 ? 0 : 20, count = pass % 2 == 0 ? 20 : 30;
            last = t.partial_fit(matrix_view<const float>(x_.data() + begin * cols, count, cols));
            first = pass == 0 ? last : first;
            if (pass == 30)
                t.save(path);
        }
        EXPECT_EQ(t.steps(), 60);
        EXPECT_GT(last.train_elbo, first.train_elbo);
        EXPECT_DOUBLE_EQ(last.train_elbo, last.train_reconstruction - last.train_kl);

        trainer again = trainer::resume(ctx, path, options());
        EXPECT_EQ(again.steps(), 31);
        for (int pass = 31; pass < 60; ++pass) {
            const std::int64_t begin = pass % 2 == 0 ? 0 : 20, count = pass % 2 == 0 ? 20 : 30;
            again.partial_fit(matrix_view<const float>(x_.data() + begin * cols, count, cols));
        }
        EXPECT_EQ(again.model().parameters(), t.model().parameters());
        EXPECT_EQ(model::load(path).architecture(), start.architecture());
    }
}

TEST_F(VaeTrain, UsesAgreeWithEachOther) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const train_result r = run(ctx, options());
        const latents z = encode(ctx, r.model, rows_of(x_, cols));
        ASSERT_EQ(z.mean.size(), 3u * rows);
        ASSERT_EQ(z.log_variance.size(), 3u * rows);
        const std::vector<float> decoded = decode(ctx, r.model, rows_of(z.mean, 3));
        EXPECT_EQ(decoded, reconstruct(ctx, r.model, rows_of(x_, cols)));
        for (const float p : decoded)
            ASSERT_TRUE(p > 0 && p < 1);

        const std::vector<float> from(x_.begin(), x_.begin() + cols), to(x_.begin() + cols, x_.begin() + 2 * cols);
        const std::vector<float> line = interpolate(ctx, r.model, from, to, 5);
        ASSERT_EQ(line.size(), 5u * cols);
        for (std::int64_t j = 0; j < cols; ++j) {
            EXPECT_EQ(line[j], decoded[j]);
            EXPECT_EQ(line[4 * cols + j], decoded[cols + j]);
        }

        evaluate_options e;
        e.samples = 4;
        e.importance_samples = 50;
        const evaluation all = evaluate(ctx, r.model, rows_of(x_, cols), e);
        const std::vector<any_matrix_view> parts = {matrix_view<const float>(x_.data(), 7, cols),
                                                    matrix_view<const float>(x_.data() + 7 * cols, rows - 7, cols)};
        const evaluation in_chunks = evaluate(ctx, r.model, data_source::chunks(parts), e);
        EXPECT_EQ(in_chunks.elbo, all.elbo);
        EXPECT_EQ(in_chunks.log_likelihood_bound, all.log_likelihood_bound);
        const row_bounds each = evaluate_rows(ctx, r.model, rows_of(x_, cols), e);
        EXPECT_NEAR(std::accumulate(each.elbo.begin(), each.elbo.end(), 0.0) / rows, all.elbo, 1e-12 * rows);
        EXPECT_GT(*all.log_likelihood_bound, all.elbo);
        EXPECT_GE(*all.effective_sample_size, 1);
        EXPECT_LE(*all.effective_sample_size, 50 * (1 + 1e-6));
        // The KL from the float32 posteriors: 2⁻²⁴ of numbers below 10.
        EXPECT_NEAR(std::accumulate(all.kl_per_unit.begin(), all.kl_per_unit.end(), 0.0), all.kl, 1e-5);
        double activity = 0, mean = 0;
        for (std::int64_t n = 0; n < rows; ++n)
            mean += z.mean[3 * n] / static_cast<double>(rows);
        for (std::int64_t n = 0; n < rows; ++n)
            activity += std::pow(z.mean[3 * n] - mean, 2) / static_cast<double>(rows);
        EXPECT_NEAR(all.unit_activity[0], activity, 1e-6);
    }
}

TEST_F(VaeTrain, SamplesFollowTheModel) {
    const model m(small_network(cols), 4, std::vector<double>(cols, 0.2));
    const std::int64_t n = test::slow_device() ? 500 : 5000;
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        sample_options s;
        s.seed = 5;
        const std::vector<float> x = sample(ctx, m, n, s);
        EXPECT_EQ(x, sample(ctx, m, n, s));
        s.means = true;
        const std::vector<float> means = sample(ctx, m, n, s);
        double draws = 0, expected = 0, variance = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            ASSERT_TRUE(x[i] == 0 || x[i] == 1);
            draws += x[i];
            expected += means[i];
            variance += means[i] * (1 - means[i]);
        }
        EXPECT_NEAR(draws, expected, 5 * std::sqrt(variance));
    }
}

} // namespace
} // namespace elbo::vae
