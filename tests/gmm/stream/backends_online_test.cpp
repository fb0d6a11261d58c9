// Stepwise EM against fits of all the data, and statistics and states on disk.
#include "elbo/error.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/online.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/stream.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::gmm {
namespace {

using test::part;
using test::refuses;
using test::start_of;
using test::view;

std::vector<double> shifted(std::vector<double> x, double by) {
    for (double& v : x)
        v += by;
    return x;
}

void expect_close(const model& a, const model& b, double relative, double mean_tolerance) {
    ASSERT_EQ(a.components(), b.components());
    for (std::size_t i = 0; i < a.weights().size(); ++i)
        EXPECT_NEAR(a.weights()[i], b.weights()[i], relative);
    for (std::size_t i = 0; i < a.means().size(); ++i)
        EXPECT_NEAR(a.means()[i], b.means()[i], mean_tolerance);
    for (std::size_t i = 0; i < a.precision_cholesky().size(); ++i)
        EXPECT_NEAR(a.precision_cholesky()[i], b.precision_cholesky()[i], relative * 10);
}

TEST(GmmOnline, StepsOverAllTheDataAtRateOneAreTheIterationsOfFit) {
    const std::int64_t rows = 700, cols = 3, k = 3;
    for (double offset : {0.0, 1e6}) {
        const std::vector<double> x = shifted(test::clustered(rows, cols, k, 4.0, 9), offset);
        for (const context& ctx : test::contexts())
            for (family f : test::all_families) {
                SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)) + " offset " + std::to_string(offset));
                fit_options options{.components = k, .shape = f, .start_model = start_of(x, cols, f, k)};
                options.max_iterations = 6;
                options.tolerance = 0;
                const fit_result whole = fit(ctx, view(x, cols), options);
                online stream(*options.start_model, {.rate = 1});
                // Both compute in float64. Statistics keep log-likelihood and entropy in multiples of 2⁻⁴¹ a unit:
                // less than 1e-15 of the mean of 700 rows. The frames differ, and with them roundings of the rows of
                // 2⁻⁵² max|x|, which six iterations of EM may amplify by a few hundred: 1e-13 and, at an offset of 1e6,
                // 1e-8.
                const double tolerance = offset == 0 ? 1e-10 : 1e-7;
                for (std::size_t t = 0; t < whole.trace.size(); ++t) {
                    const online_step step = stream.partial_fit(ctx, view(x, cols));
                    EXPECT_EQ(step.step, static_cast<std::int64_t>(t) + 1);
                    EXPECT_NEAR(step.log_likelihood, whole.trace[t].log_likelihood, tolerance);
                    EXPECT_NEAR(step.entropy, whole.trace[t].entropy, tolerance);
                    if (t + 2 == whole.trace.size())
                        expect_close(stream.model(), whole.model, tolerance, tolerance);
                }
            }
    }
}

TEST(GmmOnline, WithKappaOneAndNoDelayTheStatisticsAreTheMeanOfTheBatches) {
    const std::int64_t rows = 600, cols = 2, batches = 6;
    const std::vector<double> x = shifted(test::clustered(rows, cols, 3, 2.0, 4), 1e6);
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            // With one component the E-step says nothing: the mean of all batches is the closed form of all the data.
            fit_options options{.components = 1, .shape = f};
            const model whole = fit(context::reference(), view(x, cols), options).model;
            const std::int64_t size = covariance_size(f, 1, cols);
            std::vector<double> wide(size, 20.0);
            if (size == cols * cols)
                wide[1] = wide[2] = 0;
            const model far = model::from_covariances(f, cols, {1}, {1e6 - 9, 1e6 + 9}, wide);
            online stream(far, {.t0 = 0, .kappa = 1});
            for (std::int64_t b = 0; b < batches; ++b) {
                const online_step step = stream.partial_fit(ctx, part(x, cols, b * rows / batches, rows / batches));
                EXPECT_EQ(step.rate, 1.0 / static_cast<double>(b + 1));
            }
            // Rows and means round at 1e6 · 2⁻⁵² = 2e-10. The start is forgotten at once; sums about its means, two of
            // its deviations away, lose two digits of 2⁻⁵².
            expect_close(stream.model(), whole, 1e-9, 1e-8);
            EXPECT_EQ(stream.state().samples, rows);
            EXPECT_EQ(stream.state().total_weight, static_cast<double>(rows));
        }
}

TEST(GmmOnline, ManyEpochsSettleAboutTheOptimumOfTheFit) {
    const std::int64_t cols = 2, k = 3, batch = 250, batches = test::slow_device() ? 8 : 16, rows = batch * batches;
    const std::int64_t epochs = test::slow_device() ? 6 : 20;
    const std::vector<double> x = test::clustered(rows, cols, k, 6.0, 12);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        // It begins with what the first batch says.
        fit_options options{.components = k, .start_model = fit(ctx, part(x, cols, 0, batch), {.components = k}).model};
        const fit_result whole = fit(ctx, view(x, cols), options);
        online stream(*options.start_model, {.t0 = 1, .kappa = 0.7});
        double rate = 1;
        for (std::int64_t t = 0; t < epochs * batches; ++t)
            rate = stream.partial_fit(ctx, part(x, cols, t % batches * batch, batch)).rate;
        // The statistics fluctuate by about ρ/2 of the variance of those of one batch, which costs p ρ / (4 B) nats; a
        // factor of ten for the slow directions of EM.
        const double excess = 17 * rate / (4.0 * static_cast<double>(batch));
        const double settled = score(ctx, stream.model(), view(x, cols)).log_likelihood;
        EXPECT_LE(settled, whole.log_likelihood + 1e-7);
        EXPECT_GE(settled, whole.log_likelihood - 10 * excess);
    }
}

TEST(GmmOnline, AResumedStreamHasTheSameBits) {
    const std::int64_t cols = 2, batch = 200;
    const std::vector<double> x = test::clustered(6 * batch, cols, 3, 4.0, 2);
    const test::temporary_folder folder;
    const std::string path = folder.path("state.safetensors");
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            online whole(start_of(x, cols, f, 3), {.t0 = 2, .kappa = 0.6, .regularization = 1e-4});
            for (std::int64_t b = 0; b < 6; ++b) {
                whole.partial_fit(ctx, part(x, cols, b * batch, batch));
                if (b == 2)
                    whole.save(path, {"a", "b"});
            }
            online resumed = online::load(path);
            EXPECT_EQ(resumed.state().steps, 3);
            EXPECT_EQ(load(path), resumed.model()); // it is a model file, too
            for (std::int64_t b = 3; b < 6; ++b)
                resumed.partial_fit(ctx, part(x, cols, b * batch, batch));
            EXPECT_EQ(resumed.model(), whole.model());
            EXPECT_EQ(resumed.state().covariances, whole.state().covariances);
            EXPECT_EQ(resumed.state().total_weight, whole.state().total_weight);
        }
}

TEST(GmmOnline, ComponentsThatCollapseFollowThePolicy) {
    const std::vector<double> x = test::clustered(400, 2, 2, 5.0, 8);
    // The third component is where no data is.
    const model start = model::from_covariances(family::full, 2, {0.4, 0.4, 0.2}, {-3, 0, 3, 0, 1e3, 1e3},
                                                {9, 0, 0, 9, 9, 0, 0, 9, 1, 0, 0, 1});
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        online dropping(start, {.rate = 1, .on_collapse = collapse_policy::drop});
        const online_step step = dropping.partial_fit(ctx, view(x, 2));
        ASSERT_EQ(step.events.size(), 1u);
        EXPECT_EQ(step.events[0].component, 2);
        EXPECT_EQ(step.events[0].iteration, 1);
        EXPECT_EQ(dropping.model().components(), 2);
        EXPECT_EQ(dropping.partial_fit(ctx, view(x, 2)).events.size(), 0u);

        online reseeding(start, {.rate = 1});
        EXPECT_EQ(reseeding.partial_fit(ctx, view(x, 2)).events.size(), 1u);
        EXPECT_EQ(reseeding.state().reseeds, (std::vector<std::int32_t>{0, 0, 1}));
        double last = reseeding.partial_fit(ctx, view(x, 2)).log_likelihood;
        for (int t = 0; t < 5; ++t) {
            const double next = reseeding.partial_fit(ctx, view(x, 2)).log_likelihood;
            EXPECT_GE(next, last - 1e-7);
            last = next;
        }

        online failing(start, {.rate = 1, .on_collapse = collapse_policy::fail});
        EXPECT_THROW(failing.partial_fit(ctx, view(x, 2)), error);
        EXPECT_EQ(failing.model(), start);
        EXPECT_EQ(failing.state().steps, 0);
    }
}

TEST(GmmOnline, AComponentWithoutWeightLeavesAtOnce) {
    const std::vector<double> x = test::clustered(400, 2, 2, 5.0, 8);
    for (const context& ctx : test::contexts())
        for (const family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const auto covariances = [&](std::int64_t k) { // 9 times the identity
                std::vector<double> c(covariance_size(f, k, 2), 9);
                for (std::size_t i = 0; (f == family::full || f == family::tied) && i < c.size(); ++i)
                    c[i] = i % 4 % 3 == 0 ? 9 : 0;
                return c;
            };
            online with(model::from_covariances(f, 2, {0.5, 0, 0.5}, {-3, 0, 50, 50, 3, 0}, covariances(3)));
            online without(model::from_covariances(f, 2, {0.5, 0.5}, {-3, 0, 3, 0}, covariances(2)));
            for (int step = 0; step < 3; ++step) {
                EXPECT_TRUE(with.partial_fit(ctx, view(x, 2)).events.empty());
                without.partial_fit(ctx, view(x, 2));
                // The frames of the two differ where the component lies in one of them: roundings of the rows of
                // 2⁻⁵² max|x|, as above.
                expect_close(with.model(), without.model(), 1e-10, 1e-10);
                ASSERT_EQ(with.state().covariances.size(), without.state().covariances.size());
                for (std::size_t i = 0; i < with.state().covariances.size(); ++i)
                    EXPECT_NEAR(with.state().covariances[i], without.state().covariances[i], 1e-9);
            }
        }
}

TEST(GmmFit, AWarmStartGoesOnWhereTheFirstFitStopped) {
    const std::vector<double> x = test::clustered(800, 2, 3, 2.0, 21);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        fit_options options{.components = 3, .start_model = start_of(x, 2, family::full, 3)};
        options.tolerance = 0;
        options.max_iterations = 9;
        const fit_result whole = fit(ctx, view(x, 2), options);
        options.max_iterations = 5;
        const fit_result first = fit(ctx, view(x, 2), options);
        options.start_model = first.model;
        const fit_result second = fit(ctx, view(x, 2), options);
        // The returned model is that of the last E-step, which the second fit begins with. In units of the data it is
        // rounded once more, to 2⁻⁵³.
        for (std::size_t t = 0; t < second.trace.size(); ++t)
            EXPECT_NEAR(second.trace[t].log_likelihood, whole.trace[4 + t].log_likelihood, 1e-12);
    }
}

TEST(GmmOnline, FaultyStatesAreRefusedWithTheirPlace) {
    const test::temporary_folder folder;
    const std::string path = folder.path("state.safetensors");
    const model m = model::from_covariances(family::diagonal, 2, {0.5, 0.5}, {0, 0, 1, 1}, {1, 1, 1, 1});
    online(m).save(path);
    const io::tensor_file good = io::read_safetensors(path);
    const auto with = [&](const auto& change) {
        io::tensor_file file = good;
        change(file);
        io::write_safetensors(path, file);
        return [&] { online::load(path); };
    };
    refuses("running statistics", with([](io::tensor_file& f) { f.metadata.erase("online"); }));
    refuses("online: expected an object", with([](io::tensor_file& f) { f.metadata["online"] = "3"; }));
    refuses("steps", with([](io::tensor_file& f) { f.metadata["online"] = "{}"; }));
    refuses("online.covariances", with([](io::tensor_file& f) { f.tensors.erase("online.covariances"); }));
    refuses("covariances[1] = nan", with([](io::tensor_file& f) {
                f.tensors["online.covariances"] = io::tensor::of({2, 2}, std::vector{1.0, std::nan(""), 1.0, 1.0});
            }));
    refuses("online.reseeds", with([](io::tensor_file& f) {
                f.tensors["online.reseeds"] = io::tensor::of({2}, std::vector<std::int64_t>{0, -1});
            }));
    EXPECT_THROW(online(m).save(folder.path("state.json")), invalid_argument);
}

/// The message of the invalid_argument that `call` throws.
template <class Call>
std::string message_of(const Call& call) {
    try {
        call();
    } catch (const invalid_argument& e) {
        return e.what();
    }
    return "no exception";
}

TEST(GmmOnline, BadInputIsNamedAndChangesNothing) {
    const model m = model::from_covariances(family::full, 1, {1}, {0}, {1});
    const auto refused = [&](const online_options& o) { return message_of([&] { online(m, o); }); };
    EXPECT_TRUE(refused({.t0 = -1}).starts_with("t0 = -1"));
    EXPECT_TRUE(refused({.kappa = 0.5}).starts_with("kappa = 0.5"));
    EXPECT_TRUE(refused({.kappa = 1.5}).starts_with("kappa = 1.5"));
    EXPECT_TRUE(refused({.kappa = std::nan("")}).starts_with("kappa = nan"));
    EXPECT_TRUE(refused({.rate = 0.0}).starts_with("rate = 0"));
    EXPECT_TRUE(refused({.rate = 1.5}).starts_with("rate = 1.5"));
    EXPECT_TRUE(refused({.regularization = -1}).starts_with("regularization = -1"));
    EXPECT_TRUE(refused({.relative_regularization = -1}).starts_with("relative_regularization = -1"));
    EXPECT_TRUE(message_of([&] { online({m, {}, {0}}, {}); }).starts_with("covariances has 0 numbers"));
    EXPECT_TRUE(message_of([&] { online({m, {1}, {}}, {}); }).starts_with("reseeds has 0 numbers"));
    EXPECT_TRUE(message_of([&] { online({m, {1}, {0}, -1}, {}); }).starts_with("steps = -1"));

    const context ctx = context::reference();
    online stream(m);
    const std::vector<double> two = {1, 2, 3, 4}, bad = {1, std::nan("")}, weights = {1};
    EXPECT_NE(message_of([&] { stream.partial_fit(ctx, view(two, 2)); }).find("2 columns"), std::string::npos);
    EXPECT_NE(message_of([&] { stream.partial_fit(ctx, view(bad, 1)); }).find("row 1, column 0"), std::string::npos);
    EXPECT_TRUE(message_of([&] { stream.partial_fit(ctx, view(two, 1), weights); }).starts_with("weights has 1"));
    EXPECT_TRUE(message_of([&] { stream.partial_fit(statistics(m)); }).starts_with("statistics are empty"));
    statistics other(model::from_covariances(family::full, 1, {1}, {0}, {2}));
    other.accumulate(ctx, view(two, 1));
    EXPECT_TRUE(message_of([&] { stream.partial_fit(other); }).starts_with("statistics were made under another"));
    EXPECT_EQ(stream.model(), m);
    EXPECT_EQ(stream.state().steps, 0);
}

} // namespace
} // namespace elbo::gmm
