// Every wrong argument gets an exception that names it, its value and what was expected, the same on every back end.
#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"

#include <functional>
#include <limits>

namespace elbo::vae {
namespace {

using test::expect_error;
using test::noisy_bits;
using test::rows_of;
using test::small_network;
using parts = std::initializer_list<std::string_view>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t cols = 6;

class VaeBadInput : public testing::Test {
protected:
    train_options options() const {
        train_options o;
        o.epochs = 2;
        o.batch = 5;
        return o;
    }
    void expect_refused(const train_options& o, parts p) const {
        expect_refused(small_network(cols), rows_of(x_, cols), o, p);
    }
    void expect_refused(const architecture& a, const data_source& data, const train_options& o, parts p) const {
        for (const context& ctx : test::contexts())
            expect_error<invalid_argument>([&] { train(ctx, a, data, o); }, p);
    }
    void expect_rows_refused(const architecture& a, const std::vector<float>& x, parts p) const {
        expect_refused(a, rows_of(x, cols), options(), p);
        const model m(a);
        for (const context& ctx : test::contexts()) {
            expect_error<invalid_argument>([&] { evaluate(ctx, m, rows_of(x, cols)); }, p);
            expect_error<invalid_argument>([&] { encode(ctx, m, rows_of(x, cols)); }, p);
            expect_error<invalid_argument>([&] { reconstruct(ctx, m, rows_of(x, cols)); }, p);
        }
    }
    std::vector<float> x_ = noisy_bits(20, cols, 1);
    test::temporary_folder folder_;
};

TEST_F(VaeBadInput, Counts) {
    train_options o = options();
    o.epochs = 0;
    expect_refused(o, {"epochs = 0", "1 to 1073741824"});
    o = options();
    o.batch = 0;
    expect_refused(o, {"batch = 0", "at least 1"});
    o.batch = 21;
    expect_refused(o, {"batch = 21", "at most 20", "rows"});
    o = options();
    o.samples = 0;
    expect_refused(o, {"samples = 0", "1 to 1048576"});
    o = options();
    o.patience = -1;
    expect_refused(o, {"patience = -1"});
    o.patience = 3;
    expect_refused(o, {"patience = 3", "validation"});
    o = options();
    o.memory_limit = -1;
    expect_refused(o, {"memory_limit = -1"});
    o = options();
    constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
    o.epochs = largest;
    expect_refused(o, {"epochs = 9223372036854775807", "1 to 1073741824"});
    o = options();
    o.samples = largest;
    expect_refused(o, {"samples = 9223372036854775807", "1 to 1048576"});
}

TEST_F(VaeBadInput, PrecisionsThatTheDeviceDoesNotHave) {
    train_options o = options();
    for (const training_precision p : {training_precision::tf32, training_precision::bfloat16}) {
        o.precision = p;
        for (const context& ctx : test::contexts()) {
            if (ctx.where() == backend::cuda)
                continue;
            const auto refused = [&](const std::function<void()>& call) {
                expect_error<invalid_argument>(
                    call, {"precision = ", to_string(p), "expected float32", to_string(ctx.where())});
            };
            refused([&] { train(ctx, small_network(cols), rows_of(x_, cols), o); });
            refused([&] { trainer(ctx, model(small_network(cols)), o); });
        }
    }
}

TEST_F(VaeBadInput, OptimizerAndSchedule) {
    for (const double rate : {0.0, -1e-3, nan, infinity}) {
        train_options o = options();
        o.optimizer.learning_rate = rate;
        expect_refused(o, {"optimizer.learning_rate = ", "above 0"});
    }
    train_options o = options();
    o.optimizer.beta1 = 1;
    expect_refused(o, {"optimizer.beta1 = 1", "less than 1"});
    o = options();
    o.optimizer.beta2 = nan;
    expect_refused(o, {"optimizer.beta2 = nan"});
    o = options();
    o.optimizer.epsilon = 0;
    expect_refused(o, {"optimizer.epsilon = 0"});
    o = options();
    o.optimizer.momentum = -0.1;
    expect_refused(o, {"optimizer.momentum = -0.1"});
    o = options();
    o.optimizer.clip_norm = -1;
    expect_refused(o, {"optimizer.clip_norm = -1"});
    o = options();
    o.optimizer.weight_decay = 0.1;
    expect_refused(o, {"optimizer.weight_decay = 0.1", "adam", "adamw"});
    o = options();
    o.schedule.form = schedule::kind::steps;
    o.schedule.boundaries = {3};
    expect_refused(o, {"schedule.factors has 0", "expected 1"});
    o.schedule.boundaries = {3, 2};
    o.schedule.factors = {1, 1};
    expect_refused(o, {"schedule.boundaries[1] = 2", "more than 3"});
    o.schedule.boundaries = {3, 4};
    o.schedule.factors = {1, -1};
    expect_refused(o, {"schedule.factors[1] = -1"});
    o = options();
    o.schedule.warm_up_steps = -1;
    expect_refused(o, {"schedule.warm_up_steps = -1"});
    o = options();
    o.average_decay = 1;
    expect_refused(o, {"average_decay = 1"});
}

TEST_F(VaeBadInput, ObjectivesThatDoNotGoTogether) {
    train_options o = options();
    o.beta = -1;
    expect_refused(o, {"beta = -1"});
    o = options();
    o.kl_warm_up_epochs = nan;
    expect_refused(o, {"kl_warm_up_epochs = nan"});
    o = options();
    o.free_bits = -0.5;
    expect_refused(o, {"free_bits = -0.5"});
    o.free_bits = 0.5;
    o.estimator = gradient_estimator::sticking_the_landing;
    expect_refused(o, {"free_bits = 0.5", "sticking_the_landing"});
    o = options();
    o.estimator = gradient_estimator::doubly_reparameterized;
    expect_refused(o, {"doubly_reparameterized", "importance"});
    o = options();
    o.objective = objective::importance;
    o.beta = 2;
    expect_refused(o, {"beta = 2", "importance"});
    architecture gaussian = small_network(cols);
    gaussian.likelihood.family = likelihood_family::gaussian;
    o = options();
    o.binarize = true;
    expect_refused(gaussian, rows_of(x_, cols), o, {"binarize", "bernoulli", "gaussian"});
}

TEST_F(VaeBadInput, RowsThatTheLikelihoodDoesNotAllow) {
    std::vector<float> x = x_;
    x[7 * cols + 2] = 1.5f;
    expect_rows_refused(small_network(cols), x, {"row 7", "column 2", "1.5", "0 to 1", "bernoulli"});
    x = x_;
    x[3 * cols + 5] = -0.25f;
    expect_rows_refused(small_network(cols), x, {"row 3", "column 5", "-0.25", "0 to 1"});
    x = x_;
    x[19 * cols] = std::numeric_limits<float>::quiet_NaN();
    expect_rows_refused(small_network(cols), x, {"row 19", "column 0", "nan", "finite"});
    architecture one_hot = small_network(cols);
    one_hot.likelihood = {likelihood_family::categorical};
    one_hot.likelihood.blocks = {2, 4};
    std::vector<float> good(20 * cols, 0.0f);
    for (std::int64_t i = 0; i < 20; ++i)
        good[i * cols + i % 2] = good[i * cols + 2 + i % 4] = 1;
    x = good;
    x[4 * cols + 5] = 1; // two ones in the block of four
    expect_rows_refused(one_hot, x, {"row 4", "begins at column 2", "one-hot"});
    x = good;
    x[6 * cols] = 0; // none in the block of two
    expect_rows_refused(one_hot, x, {"row 6", "begins at column 0", "one-hot"});
}

TEST_F(VaeBadInput, DataOfAnotherShape) {
    const architecture other = small_network(cols + 1);
    expect_refused(other, rows_of(x_, cols), options(), {"6 columns", "expected 7", "architecture"});
    const model m(other);
    for (const context& ctx : test::contexts()) {
        expect_error<invalid_argument>([&] { encode(ctx, m, rows_of(x_, cols)); },
                                       {"6 columns", "expected 7", "model"});
        expect_error<invalid_argument>([&] { decode(ctx, m, rows_of(x_, cols)); },
                                       {"6 columns", "expected 3", "latent"});
        expect_error<invalid_argument>([&] { evaluate(ctx, m, rows_of(x_, cols)); }, {"6 columns", "expected 7"});
        const std::vector<float> nine = noisy_bits(10, 9, 1), none;
        expect_error<invalid_argument>(
            [&] { train(ctx, small_network(cols), rows_of(x_, cols), options(), rows_of(nine, 9)); },
            {"9 columns", "expected 6"});
        expect_error<invalid_argument>(
            [&] { train(ctx, small_network(cols), rows_of(x_, cols), options(), rows_of(none, cols)); }, {"no rows"});
    }
}

TEST_F(VaeBadInput, UseOfAModel) {
    const model m(small_network(cols));
    for (const context& ctx : test::contexts()) {
        evaluate_options e;
        e.samples = 0;
        expect_error<invalid_argument>([&] { evaluate(ctx, m, rows_of(x_, cols), e); },
                                       {"samples = 0", "1 to 2147483648"});
        e = {};
        e.importance_samples = -1;
        expect_error<invalid_argument>([&] { evaluate(ctx, m, rows_of(x_, cols), e); }, {"importance_samples = -1"});
        expect_error<invalid_argument>([&] { sample(ctx, m, 0); }, {"n = 0"});
        expect_error<invalid_argument>([&] { interpolate(ctx, m, {1, 0}, {1, 0}, 3); }, {"from has 2", "expected 6"});
        const std::vector<float> row(cols, 0.0f);
        expect_error<invalid_argument>([&] { interpolate(ctx, m, row, row, 1); }, {"steps = 1", "at least 2"});
        const std::vector<float> z = {0, 1, std::numeric_limits<float>::infinity()};
        expect_error<invalid_argument>([&] { decode(ctx, m, rows_of(z, 3)); }, {"row 0", "column 2", "inf"});
        std::vector<float> out(20 * 3);
        expect_error<invalid_argument>(
            [&] {
                encode(ctx, m, matrix_view<const float>(x_.data(), 20, cols), matrix_view<float>(out.data(), 20, 3),
                       matrix_view<float>(out.data(), 10, 3));
            },
            {"log_variance is 10 x 3", "expected 20 x 3"});
    }
}

TEST_F(VaeBadInput, OnlineBatches) {
    const model m(small_network(cols));
    for (const context& ctx : test::contexts()) {
        trainer t(ctx, m, options());
        expect_error<invalid_argument>([&] { t.partial_fit(matrix_view<const float>(x_.data(), 2, cols + 1)); },
                                       {"7 columns", "expected 6"});
        expect_error<invalid_argument>([&] { t.partial_fit(matrix_view<const float>(x_.data(), 0, cols)); },
                                       {"no rows"});
        std::vector<float> bad = x_;
        bad[cols] = 2;
        expect_error<invalid_argument>([&] { t.partial_fit(matrix_view<const float>(bad.data(), 20, cols)); },
                                       {"row 1", "column 0", "2"});
        EXPECT_EQ(t.steps(), 0);
        EXPECT_EQ(t.model().parameters(), m.parameters()) << "nothing has changed";
        train_options o = options();
        o.kl_warm_up_epochs = 1;
        expect_error<invalid_argument>([&] { trainer(ctx, m, o); }, {"kl_warm_up_epochs = 1", "trainer"});
    }
}

TEST_F(VaeBadInput, CheckpointsOfOtherRunsSayWhatDiffers) {
    const context ctx = context::reference();
    train_options o = options();
    o.checkpoint.path = folder_.path("run.safetensors");
    train(ctx, small_network(cols), rows_of(x_, cols), o);
    const std::string bytes = test::read_bytes(o.checkpoint.path);
    o.resume = o.checkpoint.path;
    architecture other = small_network(cols);
    other.latent = 2;
    expect_error<invalid_argument>([&] { train(ctx, other, rows_of(x_, cols), o); },
                                   {"run.safetensors", "architecture latent = 3", "has 2"});
    train_options changed = o;
    changed.batch = 4;
    expect_error<invalid_argument>([&] { train(ctx, small_network(cols), rows_of(x_, cols), changed); },
                                   {"option batch = 5", "has 4"});
    changed = o;
    changed.optimizer.learning_rate = 0.5;
    expect_error<invalid_argument>([&] { train(ctx, small_network(cols), rows_of(x_, cols), changed); },
                                   {"option learning_rate = 0.001", "has 0.5"});
    const std::vector<float> fewer(x_.begin(), x_.end() - cols);
    expect_error<invalid_argument>([&] { train(ctx, small_network(cols), rows_of(fewer, cols), o); },
                                   {"option rows = 20", "has 19"});
    expect_error<invalid_argument>([&] { trainer::resume(ctx, o.resume, options()); }, {"option"});
    EXPECT_EQ(test::read_bytes(o.checkpoint.path), bytes) << "nothing is lost";
}

TEST_F(VaeBadInput, CorruptCheckpointsAreRefusedAndKept) {
    const context ctx = context::reference();
    train_options o = options();
    o.checkpoint.path = folder_.path("run.safetensors");
    train(ctx, small_network(cols), rows_of(x_, cols), o);
    const std::string good = test::read_bytes(o.checkpoint.path);
    const auto refused = [&](const std::string& bytes, parts p) {
        o.resume = folder_.write("bad.safetensors", bytes);
        expect_error<file_error>([&] { train(ctx, small_network(cols), rows_of(x_, cols), o); }, p);
        EXPECT_EQ(test::read_bytes(o.checkpoint.path), good);
    };
    refused(good.substr(0, good.size() - 10), {"bad.safetensors", "ends here"});
    refused(good.substr(0, 100), {"bad.safetensors", "ends here"});
    refused("", {"bad.safetensors", "ends here"});
    io::tensor_file file = io::read_safetensors(o.checkpoint.path);
    file.tensors.at("optimizer.first_moment") = io::tensor::of({3}, std::vector<double>(3));
    io::write_safetensors(folder_.path("moment.safetensors"), file);
    refused(test::read_bytes(folder_.path("moment.safetensors")), {"optimizer.first_moment", "(3)"});
    file = io::read_safetensors(o.checkpoint.path);
    file.tensors.erase("optimizer.first_moment");
    io::write_safetensors(folder_.path("moment.safetensors"), file);
    refused(test::read_bytes(folder_.path("moment.safetensors")), {"optimizer.first_moment"});
    file = io::read_safetensors(o.checkpoint.path);
    std::string& training = file.metadata["training"];
    training.replace(training.find("\"step\":0"), 8, "\"step\":9");
    io::write_safetensors(folder_.path("step.safetensors"), file);
    refused(test::read_bytes(folder_.path("step.safetensors")), {"step 9", "below 4"});
    file = io::read_safetensors(o.checkpoint.path);
    std::string& position = file.metadata["training"];
    position.replace(position.find("\"window_rows\":20"), 16, "\"window_rows\":1000000000000000");
    io::write_safetensors(folder_.path("window.safetensors"), file);
    refused(test::read_bytes(folder_.path("window.safetensors")), {"window_rows 1000000000000000", "multiples"});
    file = io::read_safetensors(o.checkpoint.path);
    std::vector<double> history = file.doubles("history", {-1, -1}, "");
    history[0] = 1.5; // the number of an epoch
    file.tensors.at("history") = io::tensor::of(file.tensors.at("history").shape, history);
    io::write_safetensors(folder_.path("history.safetensors"), file);
    refused(test::read_bytes(folder_.path("history.safetensors")), {"history", "1.5", "whole number"});
    o.resume = folder_.path("none.safetensors");
    expect_error<file_error>([&] { train(ctx, small_network(cols), rows_of(x_, cols), o); }, {"No such file"});
}

TEST_F(VaeBadInput, CheckpointPathsAreTriedBeforeTheFirstStep) {
    train_options o = options();
    o.checkpoint.path = folder_.path("run.json");
    expect_refused(o, {"checkpoint.path", ".safetensors"});
    o.checkpoint.path = folder_.path("missing/run.safetensors");
    std::int64_t steps = 0;
    o.callback = [&](const train_progress& p) {
        steps = p.step;
        return true;
    };
    expect_error<file_error>([&] { train(context::reference(), small_network(cols), rows_of(x_, cols), o); },
                             {"missing/run.safetensors", "No such file"});
    EXPECT_EQ(steps, 0);
    o.checkpoint.path = folder_.path("of_another_run.safetensors");
    model(small_network(3)).save(o.checkpoint.path);
    o.callback = [&](const train_progress&) -> bool { throw error("stop"); };
    EXPECT_THROW(train(context::reference(), small_network(cols), rows_of(x_, cols), o), error);
    EXPECT_EQ(model::load(o.checkpoint.path).architecture(), small_network(3)) << "stays until there is news";
    o = options();
    o.checkpoint.path = folder_.path("first.safetensors");
    train(context::reference(), small_network(cols), rows_of(x_, cols), o);
    o.resume = o.checkpoint.path;
    o.checkpoint.path = folder_.path("missing/run.safetensors");
    o.epochs = 3;
    o.callback = [&](const train_progress& p) {
        steps = p.step;
        return true;
    };
    expect_error<file_error>([&] { train(context::reference(), small_network(cols), rows_of(x_, cols), o); },
                             {"missing/run.safetensors", "No such file"});
    EXPECT_EQ(steps, 0) << "a run that is resumed, too";
    o = options();
    o.checkpoint.every_seconds = -1;
    expect_refused(o, {"checkpoint.every_seconds = -1"});
}

TEST_F(VaeBadInput, AStartOfAnotherArchitecture) {
    train_options o = options();
    o.start = model(small_network(cols + 1));
    expect_refused(o, {"start has another architecture"});
}

} // namespace
} // namespace elbo::vae
